// What stands above the parts of the page: name, state, the figures that matter most.
const legend = (items) =>
  el(
    "ul",
    { class: "legend" },
    items.map(([cls, state, text]) => el("li", {}, el("i", { class: `${cls} ${state ? "s-" + state : ""}` }), text)),
  );

function headline(data) {
  const { study } = data,
    total = study.counts,
    best = data.best,
    metric = study.metrics[0];
  const share = study.target ? `of ${study.target.toLocaleString("en")}` : "trials",
    hours = study.hours;
  const states = STATES.filter((state) => total[state] && state !== "complete")
    .map((state) => `${total[state].toLocaleString("en")} ${state}`)
    .join(", ");
  return [
    el(
      "div",
      { class: "top" },
      el(
        "div",
        {},
        el("h1", {}, study.name),
        el(
          "p",
          { class: "quiet" },
          el(
            "span",
            {
              class: `tag s-${{ done: "complete", running: "running", halted: "failed" }[study.state] || "pruned"}`,
            },
            study.state,
          ),
          ` ${study.reason || ""}`,
        ),
        el("p", { class: "quiet small" }, `as of ${moment(data.made_at)}`),
      ),
      el("div", { class: "tools" }, themeSwitch()),
    ),
    el(
      "dl",
      { class: "figures" },
      tile(
        best ? `best ${metric.name} (${metric.goal})` : metric.name,
        best ? figure(best.values[0], 6) : "–",
        best
          ? `trial ${best.trial}${study.metrics.length > 1 ? `, one of ${study.pareto.length} on the front` : ""}`
          : "no trial has completed",
      ),
      tile("complete", (total.complete || 0).toLocaleString("en"), states || share),
      tile("counted", study.counted.toLocaleString("en"), study.target ? share : "no target"),
      tile(
        hours.unit === "gpu" ? "GPU hours" : "hours of training",
        figure(hours.used, 4),
        `${percent(hours.wasted, hours.used)} wasted, ${percent(hours.saved, hours.used)} saved by resuming`,
      ),
      tile(
        "ran for",
        duration(study.ran_seconds),
        study.eta ? `done about ${moment(study.eta).slice(0, 16)}` : moment(study.created_at).slice(0, 10),
      ),
    ),
  ];
}
const tile = (name, value, note) => el("div", {}, el("dt", {}, name), el("dd", {}, value, el("small", {}, note)));
const percent = (part, whole) => (whole > 0 ? `${Math.round((100 * part) / whole)} %` : "0 %");

function themeSwitch() {
  const root = document.documentElement,
    query = matchMedia("(prefers-color-scheme: dark)"),
    dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : query.matches);
  const button = el("button", {
    type: "button",
    onclick: () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try {
        localStorage.setItem("outlast-theme", root.dataset.theme);
      } catch {
        /* pages from a disk may have no storage */
      }
      told();
    },
  });
  const told = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", dark() ? "Switch to light colours" : "Switch to dark colours");
    redrawAll();
  };
  try {
    const known = localStorage.getItem("outlast-theme");
    if (known === "light" || known === "dark") root.dataset.theme = known;
  } catch {
    /* likewise */
  }
  query.addEventListener("change", told);
  told();
  return button;
}

function warnings(data) {
  const said = data.study.warnings || [];
  return said.length
    ? section(
        "warnings",
        "Worth knowing",
        el(
          "ul",
          {},
          said.map((text) => el("li", {}, text)),
        ),
      )
    : null;
}
