// One study: the figures of the first page, and all of its trials.
class LiveDetail extends Detail {
  constructor(trials, table, key) {
    super(trials, table);
    this.key = key;
    this.box.onclose = () => this.log && this.log.end();
  }
  address(number) {
    return number === null ? `#study-${this.key}` : `#study-${this.key}-trial-${number}`;
  }
  took(row, number) {
    const now = this.runs && this.runs.find(({ trial }) => trial === number),
      before = this.trials.raw.seconds[row];
    if (!now) return super.took(row);
    const since = el("span", { "data-since": now.since }, duration(Math.round(elapsed(now.since))));
    return [["runs for", since], ...(before ? [["before that", duration(before)]] : [])];
  }
  // The curve of a trial that runs comes with what the first page knows.
  content(row, number) {
    const now = this.runs && this.runs.find(({ trial }) => trial === number);
    if (now && now.curve.length > 1)
      this.trials.data.curves[row] = [now.curve.map(([step]) => step), now.curve.map(([, value]) => value)];
    return super.content(row, number);
  }
  output(row, number) {
    this.seen = this.mark(row);
    if (this.log && this.log.of === number && !this.log.ended) return [this.stopButton(row, number), this.log.view];
    if (this.log) this.log.end();
    if (!this.trials.attempts[row].length) return el("p", { class: "quiet" }, "It has not run.");
    this.log = new Log(`/api/studies/${this.key}/trials/${number}/log`);
    this.log.of = number;
    return [this.stopButton(row, number), this.log.view];
  }
  stopButton(row, number) {
    if (!DATA.may_stop || this.trials.state(row) !== "running") return null;
    if (!this.stop || this.stop.of !== number) {
      this.stop = stopOffer("Stop this trial", this.key, number);
      this.stop.of = number;
    }
    return this.stop; // the same one each time, with what was answered
  }
  mark(row) {
    const now = this.runs && this.runs.find(({ trial }) => trial === this.number);
    return `${this.trials.state(row)} ${this.trials.attempts[row].length} ${now ? now.step : ""}`;
  }
  // What is open has gone on: drawn anew only where it has, with everything where it was.
  refresh() {
    if (this.seen === this.mark(this.row) || isMarked(this.box)) return;
    const box = this.log ? this.log.box : null,
      [at, within] = [this.box.scrollTop, box ? box.scrollTop : 0],
      label = this.box.contains(document.activeElement) ? document.activeElement.textContent : "";
    this.box.replaceChildren(...this.content(this.row, this.number));
    this.box.scrollTop = at;
    if (box) box.scrollTop = within;
    const focus = [...this.box.querySelectorAll("button")].find((each) => each.textContent === label);
    (focus || this.box.querySelector("button.close")).focus({ preventScroll: true });
    this.box.querySelectorAll(".plot").forEach(({ plot }) => plot.now());
  }
}

class StudyView {
  constructor(key) {
    Object.assign(this, { key, parts: {}, wanted: null });
    this.top = el("div");
    this.note = el("p", { class: "quiet", role: "status" }, "Asking for its trials …");
    this.lower = el("div", {}, this.note);
    this.box = el("div", {}, this.top, this.lower);
    this.asker = new Asker(`/api/studies/${key}`, (data) => this.take(data), {
      every: 3000,
      tell: (found, said) => this.tell(found, said),
    });
  }
  // What the first page knows of it, every two seconds.
  show(board) {
    const study = board.studies.find((each) => each.key === this.key);
    if (!study) return [el("h1", {}, "There is no such study"), el("p", {}, el("a", { href: "#" }, "All studies"))];
    const parts = study.error
      ? [el("p", { class: "error" }, study.error)]
      : [findings(board, study), slots([study], { named: false }), failureGroups([study], { named: false })];
    this.runs = study.running || [];
    this.refresh();
    morphChildren(this.top, parts.filter(Boolean));
    return studyHead(study, board.studies.length > 1);
  }
  tell(found, said) {
    if (said) this.note.remove();
    else if (found && found.denied) this.note.textContent = EARLIER;
    else if (found && found.said) this.note.textContent = sentence(found.said.said);
    else this.note.textContent = "Its trials did not arrive; asking for them again …";
  }
  take(data) {
    if (data.error !== undefined) return;
    const pick = (row) => row !== undefined && this.detail.open(row);
    if (!this.trials) this.begin(data, pick);
    else {
      this.trials.take(data);
      this.view.adopt();
      this.refresh();
    }
    this.renew("progress", progress(this.trials, pick));
    this.renew("best", data.best ? best(data) : null);
    this.renew("timeline", timeline(this.trials, pick));
    if (this.wanted !== null) this.open(this.wanted);
  }
  refresh() {
    if (!this.detail) return;
    this.detail.runs = this.runs;
    if (this.detail.box.open) this.detail.refresh();
  }
  begin(data, pick) {
    this.trials = new Trials(data);
    this.view = new TrialTable(this.trials, pick);
    this.detail = new LiveDetail(this.trials, this.view, this.key);
    this.detail.runs = this.runs;
    const order = ["progress", "best", "trials", "timeline"];
    order.forEach((name) => (this.parts[name] = el("div", { hidden: true })));
    this.parts.trials = section("trials", "Trials", this.view.view);
    const log = el(
      "details",
      { class: "loose", "data-key": "log", "data-still": "1", "data-log": `/api/studies/${this.key}/log` },
      el("summary", {}, "What the run says"),
    );
    add(this.lower, [order.map((name) => this.parts[name]), log]);
    this.sized = new ResizeObserver(() => this.view.render());
    this.sized.observe(this.view.scroller);
  }
  renew(name, fresh) {
    this.parts[name] = renew(this.parts[name], fresh || el("div", { hidden: true }));
  }
  open(number) {
    this.wanted = number;
    if (number === null && this.detail && this.detail.box.open) this.detail.box.close();
    if (!this.trials || !this.trials.rowOf.has(number)) return;
    this.wanted = null;
    this.detail.open(this.trials.rowOf.get(number));
  }
  end() {
    this.asker.end();
    if (this.detail) {
      if (this.detail.box.open) this.detail.box.close();
      this.detail.leave.abort();
      if (this.detail.log) this.detail.log.end();
    }
    this.box.querySelectorAll("details").forEach(({ log }) => log && log.end());
    if (this.sized) this.sized.disconnect();
  }
}

function studyHead(study, several) {
  const stop = DATA.may_stop && GOING.includes(study.state);
  return [
    el(
      "div",
      { class: "top" },
      el(
        "div",
        {},
        several ? el("p", { class: "small" }, el("a", { href: "#" }, "← All studies")) : null,
        el("h1", {}, nameOf(study)),
        el("p", { class: "quiet" }, stateTag(study.state), ` ${study.reason || ""}`),
      ),
      el("div", { class: "tools", "data-key": "tools", "data-still": "1" }),
    ),
    study.error ? null : studyFigures(study),
    stop ? stopOffer("Stop this study", study.key) : null,
  ].filter(Boolean);
}

function studyFigures(study) {
  const { metric, best } = study;
  return el(
    "dl",
    { class: "figures" },
    tile(
      `best ${metric.name} (${metric.goal})`,
      best ? figure(best.value, 6) : "–",
      best ? `trial ${best.trial}` : "no trial has completed",
    ),
    tile(
      "trials",
      study.target
        ? `${study.counted.toLocaleString("en")}/${study.target.toLocaleString("en")}`
        : study.counted.toLocaleString("en"),
      countsText(study.counts),
    ),
    tile(
      "speed",
      study.rate_per_hour && GOING.includes(study.state) ? `${figure(study.rate_per_hour, 3)}/h` : "–",
      "trials",
    ),
    tile(
      "done about",
      expected(study.eta) || "–",
      study.eta_range
        ? `${expected(study.eta_range[0])} to ${expected(study.eta_range[1])}`
        : milestonesText(study) || "",
    ),
  );
}
