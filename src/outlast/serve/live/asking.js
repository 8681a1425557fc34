// Asking the server: who we are, what we have already, and what to say when it is gone.
const STORE = "outlast-page-key";
const SOON = 2000, // ms between two questions
  LATER = 20000, // while nobody looks at the page
  BEGUN = 15000, // ms until an answer has begun
  ARRIVED = 90000; // and until all of it has arrived: a phone may need long for a big study
const EARLIER = "This page belongs to an earlier start of the server. Open the address that outlast serve printed.";

function ownKey() {
  let known = DATA.key;
  try {
    if (known) localStorage.setItem(STORE, known);
    else known = localStorage.getItem(STORE);
  } catch {
    /* without storage the address with the token is needed at each load */
  }
  if (location.search) history.replaceState(null, "", location.pathname + location.hash); // the token is not left lying about
  return known || "";
}
const KEY = ownKey();

// A question; `null` when the server gave no answer. One that is none of ours has a status only.
async function ask(path, options = {}) {
  const stop = new AbortController();
  let late = setTimeout(() => stop.abort(), BEGUN);
  try {
    const answer = await fetch(path, {
      ...options,
      headers: { "X-Outlast-Page": KEY, ...options.headers },
      signal: stop.signal,
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
    });
    const type = answer.headers.get("content-type") || "";
    if (answer.status === 401) return { denied: true };
    if (!type.startsWith("application/json")) return { status: answer.status };
    clearTimeout(late);
    late = setTimeout(() => stop.abort(), ARRIVED);
    return { status: answer.status, said: await answer.json() };
  } catch {
    return null;
  } finally {
    clearTimeout(late);
  }
}

// Asks again and again for one thing, and hands on what is new. One question at a time.
class Asker {
  constructor(path, take, { every = SOON, tell = () => {} } = {}) {
    Object.assign(this, { path, take, every, tell, have: "", ended: false });
    this.again();
  }
  async again() {
    if (this.ended) return;
    clearTimeout(this.timer);
    this.asking = true;
    const found = await ask(`${this.path}?have=${this.have}`);
    this.asking = false;
    if (this.ended) return;
    const said = found && found.status === 200 ? found.said : null;
    if (said && said.page && said.page !== DATA.version) return location.reload();
    if (said && said.data !== undefined) {
      this.have = said.version;
      this.take(said.data, said.age);
    }
    this.tell(found, said);
    this.timer = setTimeout(() => this.again(), document.hidden ? LATER : this.every);
  }
  now() {
    if (!this.asking) this.again();
  }
  end() {
    this.ended = true;
    clearTimeout(this.timer);
  }
}

// The line that says whether what is shown is so. Screen readers hear of a change, not of every second.
const stateLine = document.getElementById("state");
let lastHeard = null;
function tellState(found, said) {
  if (said) lastHeard = new Date();
  const since = lastHeard ? ` What you see is of ${clockTime(lastHeard)}.` : "";
  const [kind, text] =
    found && found.denied
      ? ["gone", EARLIER]
      : found && found.status === 503
        ? ["late", `Looking at the searches …${since}`]
        : !said
          ? ["gone", `The server does not answer; asking again.${since}`]
          : said.age > 30
            ? ["late", `Looking takes long: what you see is ${duration(Math.round(said.age))} old.`]
            : ["on", "Live"];
  if (stateLine.textContent !== text) stateLine.textContent = text;
  if (stateLine.className !== kind) stateLine.className = kind;
}
const clockTime = (when) => when.toLocaleTimeString("en-GB");

// A button that stops a study or a trial, and what was answered, which stays until it is asked again.
function stopOffer(text, key, trial) {
  const said = el("span", { class: "small", role: "status" }),
    onclick = () => stopIt(button, said, key, trial),
    button = el("button", { type: "button", class: "stop", onclick }, text);
  return el("p", { "data-key": `stop ${key} ${trial ?? ""}`, "data-still": "1" }, button, " ", said);
}

async function stopIt(button, answer, key, trial) {
  const name = nameOf((board.studies || []).find((study) => study.key === key) || { study: "this study" }),
    what =
      trial === undefined
        ? `Stop ${name}? It can go on later, where it was.`
        : `Stop trial ${trial} of ${name}? It counts as interrupted.`;
  if (!confirm(what)) return;
  answer.textContent = "";
  button.disabled = true;
  const found = await ask(`/api/studies/${key}/stop`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(trial === undefined ? {} : { trial }),
  });
  button.disabled = false;
  answer.textContent = !found
    ? "The server did not answer; nothing may have been stopped."
    : found.denied
      ? EARLIER
      : found.said
        ? sentence(found.said.said)
        : `The server could not do it (${found.status}); see what it said on its terminal.`;
}
