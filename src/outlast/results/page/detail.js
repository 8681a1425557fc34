// One trial, opened: parameters, curve, attempts, the end of its output, the command that trains it again.
class Detail {
  constructor(trials, table) {
    Object.assign(this, { trials, table, box: document.getElementById("detail"), leave: new AbortController() });
    const listen = (name, heard) => this.box.addEventListener(name, heard, { signal: this.leave.signal });
    listen("close", () => {
      if (location.hash === this.address(this.number)) this.tell(null);
    });
    listen("click", (event) => {
      if (event.target === this.box) this.box.close();
    });
    listen("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft") this.step(-1);
      else if (event.key === "ArrowRight") this.step(1);
    });
  }
  // What stands in the address bar while a trial is open, and afterwards.
  address(number) {
    return number === null ? location.pathname + location.search : `#trial-${number}`;
  }
  tell(number) {
    try {
      history.replaceState(null, "", this.address(number));
    } catch {
      /* a page inside a notebook has no address */
    }
  }
  step(by) {
    const rows = this.table.rows,
      to = rows[rows.indexOf(this.row) + by];
    if (to !== undefined) this.open(to);
  }
  open(row) {
    const { trials, box } = this,
      number = trials.number[row];
    Object.assign(this, { row, number });
    hideTip();
    box.replaceChildren(...this.content(row, number));
    if (!box.open) box.showModal();
    box.scrollTop = 0;
    box.querySelector("button.close").focus({ preventScroll: true });
    this.tell(number);
  }
  content(row, number) {
    const { trials } = this,
      { data } = trials,
      state = trials.state(row),
      command = data.commands[number],
      reason = trials.reason(row);
    const values = trials.metrics.map(({ name }, i) => [name, figure(trials.value(row, i), 8)]);
    const exact = data.best && data.best.trial === number ? data.best.configuration : null;
    const params = exact
      ? Object.entries(exact)
      : trials.params.map((name) => [name, trials.param[name](row)]).filter(([, value]) => value !== null);
    const nav = (text, by, name) =>
      el("button", { type: "button", "aria-label": name, onclick: () => this.step(by) }, text);
    const points = curveOf(data.curves[row]);
    return [
      el(
        "div",
        { class: "top" },
        el(
          "h2",
          { id: "detail-title" },
          `Trial ${number} `,
          el("span", { class: `tag s-${state}` }, state),
          row === trials.best ? [" ", el("span", { class: "tag" }, "best")] : null,
        ),
        el(
          "div",
          { class: "tools" },
          nav("←", -1, "The trial before"),
          nav("→", 1, "The next trial"),
          el("button", { type: "button", class: "close", onclick: () => this.box.close() }, "Close"),
        ),
      ),
      reason ? el("p", { class: state === "failed" ? "error" : "quiet" }, reason) : null,
      el(
        "div",
        { class: "pair" },
        el(
          "div",
          {},
          el("h3", {}, "Parameters"),
          facts(params.map(([name, value]) => [name, isNumber(value) ? String(value) : shown(value)])),
        ),
        el(
          "div",
          {},
          el("h3", {}, "Outcome"),
          facts([
            ...values,
            ...this.took(row, number),
            ["epochs", trials.raw.epochs[row] || null],
            ["GPU hours", trials.raw.gpu_seconds[row] ? figure(trials.raw.gpu_seconds[row] / 3600, 3) : null],
            ["started", at(data.study.created_at, trials.raw.started[row])],
            ["finished", at(data.study.created_at, trials.raw.finished[row])],
            ["seed", trials.raw.seed.length ? String(trials.raw.seed[row]) : null],
            ["came from", trials.source(row)],
            ["revision", trials.raw.revision[row]],
          ]),
        ),
      ),
      points.length ? [el("h3", {}, "Learning curve"), curvesPlot(trials, [row], { height: 230 }).host] : null,
      trials.attempts[row].length ? [el("h3", {}, "Attempts"), this.attempts(row)] : null,
      command ? [el("h3", {}, "Train it again"), toCopy(command)] : null,
      el("h3", {}, "Output"),
      this.output(row, number),
      trials.attempts[row].length ? toCopy(`outlast logs ${data.study.folder} ${number}`) : null,
    ]
      .flat(Infinity)
      .filter(Boolean);
  }
  took(row) {
    return [["duration", duration(this.trials.raw.seconds[row])]];
  }
  output(row, number) {
    const { trials } = this,
      log = trials.data.logs[number];
    if (log) return el("pre", {}, log);
    const why = trials.attempts[row].length
      ? "Not in this page, which holds the ends of some outputs only."
      : "It has not run.";
    return el("p", { class: "quiet" }, why);
  }
  attempts(row) {
    const { trials } = this,
      raw = trials.data.attempts,
      a = trials.attempt;
    return grid(
      ["#", "began", "took", "ended as", "where", "from", "why"],
      trials.attempts[row].map((i) => [
        raw.number[i],
        at(trials.data.study.created_at, raw.opened[i]),
        duration(raw.seconds[i]),
        endOf(a, i),
        listed([a.host(i), a.slot(i), a.job(i) ? `job ${a.job(i)}` : "", cards(a.gpus(i))]),
        raw.resumed[i] ? "a checkpoint" : "the start",
        a.reason(i) || "",
      ]),
    );
  }
}
