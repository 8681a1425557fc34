// Which page is shown, by the address behind #, and what keeps it up to date.
const head = document.getElementById("head"),
  main = document.getElementById("main"),
  tools = themeSwitch();
let board = null,
  view = null, // the study that is shown
  boardBox = el("div");

function asked() {
  const found = /^#study-([0-9a-f]+)(?:-trial-(\d+))?$/.exec(location.hash);
  return found
    ? { key: found[1], trial: found[2] === undefined ? null : Number(found[2]) }
    : { key: null, trial: null };
}

function place() {
  const only = board && board.studies && board.studies.length === 1 ? board.studies[0].key : null,
    { key, trial } = asked(),
    wanted = key || only;
  if ((view && view.key) !== wanted) {
    if (view) view.end();
    view = wanted ? new StudyView(wanted) : null;
    main.replaceChildren(view ? view.box : boardBox);
    scrollTo(0, 0);
  }
  if (view) view.open(trial);
  if (board) show();
}

function show() {
  if (board.trouble) {
    morphChildren(head, [el("h1", {}, "Outlast"), el("p", { class: "error" }, sentence(board.trouble))]);
    return;
  }
  morphChildren(head, (view ? view.show(board) : wholeHead(board)).filter(Boolean));
  const tray = head.querySelector(".tools");
  if (tray && tools.parentNode !== tray) tray.replaceChildren(tools);
  if (!view) morphChildren(boardBox, boardParts(board));
  const shown = view ? board.studies.find(({ key }) => key === view.key) : null;
  document.title = `${shown ? nameOf(shown) : board.name} – Outlast`;
}

function tick() {
  document.querySelectorAll("[data-since]").forEach((cell) => {
    const text = duration(Math.round(elapsed(cell.dataset.since)));
    if (cell.firstChild.data !== text) cell.firstChild.data = text;
  });
}

main.append(boardBox);
const boardAsker = new Asker(
  "/api/board",
  (data, age) => {
    board = data;
    skew = board.at ? (Date.parse(board.at) - Date.now()) / 1000 + age : skew;
    if (Math.abs(skew) < 5) skew = 0;
    if (view) show();
    else place(); // which view it is may not have been known
    window.outlastReady = true;
  },
  { tell: tellState },
);
addEventListener("hashchange", () => /^(#study-.*)?$/.test(location.hash) && place()); // others lead within the page
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  boardAsker.now();
  if (view) view.asker.now();
});
// A log is asked for as long as it is open.
document.addEventListener(
  "toggle",
  ({ target }) => {
    if (!target.dataset || !target.dataset.log) return;
    if (target.open && !target.log) {
      target.log = new Log(target.dataset.log);
      target.append(target.log.view);
    } else if (!target.open && target.log) {
      target.log.end();
      target.log.view.remove();
      target.log = null;
    }
  },
  true,
);
addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || document.querySelector("dialog[open]");
  if (event.key !== "/" || typing || !view || !view.view) return;
  event.preventDefault();
  view.view.filter.focus();
});
setInterval(tick, 1000);
