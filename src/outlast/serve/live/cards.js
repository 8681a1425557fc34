// The first page: all studies together, side by side, what runs, what is wrong.
const GOING = ["running", "waiting"];
const STUDY_SHADE = {
  done: "complete",
  running: "running",
  waiting: "interrupted",
  halted: "failed",
  unreadable: "failed",
  "cannot start": "failed",
};
const studyLink = (study) => `#study-${study.key}`;
const trialLink = (study, number) => `#study-${study.key}-trial-${number}`;
const nameOf = (study) => study.study;
const stateTag = (state) => el("span", { class: `tag s-${STUDY_SHADE[state] || "pruned"}` }, state);
const elapsed = (iso) => Math.max(0, (Date.now() - Date.parse(iso)) / 1000 + skew);
let skew = 0; // seconds that the server's clock is ahead of this one

// When something is expected: the day as well, where it is not today.
function expected(iso) {
  if (!iso) return null;
  const when = new Date(iso),
    time = when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (when.toDateString() === new Date().toDateString()) return time;
  const soon = Math.abs(when - new Date()) < 6 * 86400e3;
  return `${when.toLocaleDateString("en-GB", soon ? { weekday: "short" } : { day: "numeric", month: "short" })} ${time}`;
}
function etaText(told) {
  if (!told.eta) return null;
  const range = told.eta_range;
  return expected(told.eta) + (range ? ` (${expected(range[0])} to ${expected(range[1])})` : "");
}

function bar(told) {
  const done = told.share ?? null,
    text = told.target
      ? `${told.counted.toLocaleString("en")}/${told.target.toLocaleString("en")}`
      : plural(told.counted, "trial");
  const label = done === null ? text : `${text}, ${(100 * done).toFixed(1)}%`;
  const fill = el("i");
  fill.style.width = `${100 * (done || 0)}%`;
  return [
    el("div", { class: "bar", role: "img", "aria-label": label }, done === null ? null : fill),
    el("p", { class: "small" }, label),
  ];
}

const countsText = (counts) =>
  STATES.filter((state) => counts[state])
    .map((state) => `${counts[state].toLocaleString("en")} ${state}`)
    .join(", ") || "no trial yet";

function milestonesText(told) {
  const ahead = (told.milestones || []).filter((each) => each.at && !each.reached);
  return ahead.length ? ahead.map((each) => `${each.percent}% ${expected(each.at)}`).join(" · ") : null;
}

// A curve with axes, small. `points` are [x, y]; `kind` of the x axis is time or steps.
function smallPlot(points, { label, kind, ylabel, height = 130, colour = "best", level = false }) {
  const line = level ? stairs(points) : points;
  return new Plot({
    label,
    height,
    draw(ctx, width, tall, plot) {
      if (!points.length) return;
      const x = scale(
        kind === "time" ? "time" : "linear",
        kind === "time" ? 0 : points[0][0],
        line[line.length - 1][0],
        kind !== "time",
      );
      const frame = axes(ctx, width, tall, {
        x,
        y: scale("linear", ...padded(extent(points.map(([, v]) => v)))),
        ylabel: short(ctx, ylabel, tall - 40),
      });
      ctx.strokeStyle = ctx.fillStyle = shade(colour);
      ctx.lineWidth = 2;
      within(ctx, frame.box, () => trace(ctx, line, frame.X, frame.Y));
      if (points.length === 1) spot(ctx, "complete", frame.X(points[0][0]), frame.Y(points[0][1]), 3);
      const said = kind === "time" ? (v) => clock(v, line[line.length - 1][0]) : (v) => `step ${v}`;
      for (const [px, py, trial] of points)
        plot.spots.push({
          x: frame.X(px),
          y: frame.Y(py),
          text: () => `${said(px)}${trial === undefined ? "" : `, trial ${trial}`}\n${ylabel} ${figure(py)}`,
        });
    },
  });
}

function studyCard(study) {
  const link = el("a", { href: studyLink(study) }, nameOf(study));
  const heading = el("h2", { id: `name-${study.key}` }, link, " ", stateTag(study.state));
  if (study.error)
    return el(
      "section",
      { class: "study", "data-key": study.key, "aria-labelledby": `name-${study.key}` },
      heading,
      el("p", { class: study.state === "not begun" ? "quiet" : "error" }, study.error),
    );
  const { metric, best, line } = study,
    end = [...line];
  if (line.length)
    end.push([
      Math.max(line[line.length - 1][0], secondsBetween(study.began, study.ended || study.at)),
      line[line.length - 1][1],
      line[line.length - 1][2],
    ]);
  return el(
    "section",
    { class: "study", "data-key": study.key, "aria-labelledby": `name-${study.key}` },
    heading,
    study.reason ? el("p", { class: study.state === "halted" ? "error small" : "quiet small" }, study.reason) : null,
    bar(study),
    el("p", { class: "quiet small" }, countsText(study.counts)),
    facts([
      [
        `best ${metric.name}`,
        best
          ? el(
              "span",
              {},
              figure(best.value, 6),
              " ",
              el("a", { href: trialLink(study, best.trial) }, `trial ${best.trial}`),
            )
          : "none yet",
      ],
      [
        "speed",
        study.rate_per_hour && GOING.includes(study.state) ? `${figure(study.rate_per_hour, 3)} trials/h` : null,
      ],
      ["done about", etaText(study)],
    ]),
    line.length
      ? smallPlot(end, {
          label: `Best ${metric.name} so far of ${nameOf(study)}`,
          kind: "time",
          ylabel: metric.name,
          level: true,
        }).host
      : el("p", { class: "quiet small" }, "No trial has completed."),
  );
}
const secondsBetween = (from, to) => (from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : 0);

function wholeHead(board) {
  const { studies } = board,
    going = studies.filter(({ state }) => GOING.includes(state)),
    notes = board.findings.filter(({ level }) => level === "note").length,
    wrong = board.findings.length - notes,
    below = [wrong ? "see below" : "", notes ? `${plural(notes, "note")} below` : ""].filter(Boolean).join(", ");
  const running = studies.flatMap((study) => study.running || []).length,
    said = Object.entries(board.states || {}).map(([state, count]) => `${count} ${state}`);
  return [
    el(
      "div",
      { class: "top" },
      el(
        "div",
        {},
        el("h1", {}, board.name),
        el("p", { class: "quiet" }, `${plural(studies.length, "study", "studies")}: ${said.join(", ") || "none"}`),
      ),
      el("div", { class: "tools", "data-key": "tools", "data-still": "1" }),
    ),
    el(
      "dl",
      { class: "figures" },
      tile(
        "trials",
        board.target
          ? `${board.counted.toLocaleString("en")}/${board.target.toLocaleString("en")}`
          : board.counted.toLocaleString("en"),
        board.without.length
          ? `without ${board.without.join(", ")}`
          : board.share === null
            ? countsText(board.counts)
            : `${(100 * board.share).toFixed(1)}%`,
      ),
      tile(
        "running now",
        running,
        board.parallel ? `of ${board.parallel} slots` : `in ${plural(going.length, "study", "studies")}`,
      ),
      tile("speed", board.rate_per_hour ? `${figure(board.rate_per_hour, 3)}/h` : "–", "trials of all together"),
      tile(
        "done about",
        expected(board.eta) || "–",
        board.eta_range
          ? `${expected(board.eta_range[0])} to ${expected(board.eta_range[1])}`
          : milestonesText(board) || "",
      ),
      tile("findings", wrong, below || "nothing is wrong"),
    ),
    board.eta_range && milestonesText(board) ? el("p", { class: "quiet small" }, milestonesText(board)) : null,
  ];
}

// Of all of them, or of one: what is wrong, since when, what to do. Notes come last.
function findings(board, of = null) {
  const found = board.findings.filter(({ study }) => of === null || study === nameOf(of)),
    known = new Map(board.studies.map((study) => [nameOf(study), study]));
  if (!found.length) return null;
  const said = ({ study, text }) => {
    if (of !== null || !known.has(study)) return sentence(text);
    const link = el("a", { href: studyLink(known.get(study)) }, study);
    return text.startsWith(`${study} `) ? [link, sentence(text).slice(study.length)] : [link, ": ", sentence(text)];
  };
  return section(
    "findings",
    "Findings",
    el(
      "ul",
      { class: "findings" },
      found.map((each) =>
        el(
          "li",
          { "data-key": `${each.study} ${each.key}`, class: each.level },
          said(each),
          each.since ? el("span", { class: "quiet" }, ` Since ${expected(each.since)}.`) : null,
          each.cure ? el("span", { class: "cure" }, ` ${each.cure}`) : null,
        ),
      ),
    ),
  );
}

function boardParts(board) {
  const { studies } = board;
  return [
    findings(board),
    el("div", { class: "studies" }, studies.map(studyCard)),
    slots(studies),
    failureGroups(studies),
    board.is_campaign
      ? el(
          "details",
          { class: "loose", "data-key": "log", "data-still": "1", "data-log": "/api/log" },
          el("summary", {}, "What the supervisor says"),
        )
      : null,
  ].filter(Boolean);
}
