// The parts of the page, from top to bottom. Each returns an element, or nothing where the study has nothing to say about it.
function range(each) {
  if (each.value !== undefined) return `always ${shown(each.value)}`;
  if (each.choices) return each.choices.map(shown).join(", ");
  return `${figure(each.low)} to ${figure(each.high)}${each.log ? ", log scale" : ""}${each.step ? `, step ${figure(each.step)}` : ""}`;
}

function searched(data) {
  const { study } = data;
  const rows = spaceOf(data).map((each) => [
    each.name,
    spaced(each.distribution),
    range(each),
    each.when
      ? Object.entries(each.when)
          .map(([name, values]) => `${name} = ${values.map(shown).join(" or ")}`)
          .join(", ")
      : "",
  ]);
  return section(
    "searched",
    "What was searched, and how",
    facts([
      ["goal", study.metrics.map(({ name, goal }) => `${goal} ${name}`).join(", ")],
      ["command", study.command ? el("code", {}, study.command) : null],
      ["sampler", study.sampler],
      ["pruner", study.pruner],
      ["budget", study.budget],
      ["a trial gets", study.resources],
      ["runs", study.runs],
      [
        "versions of the study file",
        study.revisions.length > 1
          ? el(
              "ul",
              {},
              study.revisions.map(({ number, at, changes }) =>
                el("li", {}, `${number}, ${moment(at)}: ${changes.join("; ") || "the first"}`),
              ),
            )
          : null,
      ],
    ]),
    el("h3", {}, "Search space"),
    grid(["parameter", "distribution", "values", "only if"], rows),
    data.study_file ? el("details", {}, el("summary", {}, "The study file, resolved"), toCopy(data.study_file)) : null,
  );
}

function progress(trials, pick) {
  if (!trials.rows.some((row) => trials.raw.finished[row] !== null)) return null;
  const place = el("div"),
    { name } = trials.metrics[0];
  const over = el("select", {
    "aria-label": "Over what",
    onchange: () => place.replaceChildren(progressPlot(trials, over.value, pick).host),
  });
  const kinds = [
    ["time", "time"],
    ["trials", "trials"],
    ["epochs", "epochs"],
    ["hours", overName(trials, "hours")],
  ].filter(([kind]) => kind !== "epochs" || trials.raw.epochs.some((n) => n > 0));
  add(
    over,
    kinds.map(([kind, text]) => el("option", { value: kind }, text)),
  );
  place.append(progressPlot(trials, "time", pick).host);
  const beyond = valueRange(
    trials.rows.map((row) => trials.value(row)),
    trials.sign[0],
  )[2];
  return section(
    "progress",
    "Best so far",
    el("div", { class: "controls" }, el("label", {}, "over", over)),
    place,
    legend([
      ["line", null, `best ${name} so far`],
      ["", "complete", "complete"],
      ["hollow", "pruned", "pruned (its last report)"],
    ]),
    beyond
      ? el(
          "p",
          { class: "quiet small" },
          `${plural(beyond, "trial")} far from the others ${beyond === 1 ? "lies" : "lie"} beyond the edge.`,
        )
      : null,
  );
}

function best(data) {
  if (!data.best) return null;
  const { best, study } = data;
  return section(
    "best",
    study.metrics.length > 1 ? "A best configuration" : "The best configuration",
    el(
      "p",
      {},
      `Trial ${best.trial}: ${study.metrics.map(({ name }, i) => `${name} ${figure(best.values[i], 8)}`).join(", ")}. `,
      el("span", { class: "quiet" }, howSure(data)),
    ),
    el(
      "div",
      { class: "pair" },
      el("div", {}, el("h3", {}, "Configuration"), toCopy(best.yaml)),
      best.command
        ? el(
            "div",
            {},
            el("h3", {}, "Train it"),
            toCopy(best.command),
            best.checkpoint ? el("p", { class: "quiet small" }, `Checkpoints: ${best.checkpoint}`) : null,
          )
        : null,
    ),
  );
}

function howSure({ best, confirm }) {
  if (!confirm || !confirm.best) return "One run each: how much of its lead is luck, outlast confirm can tell.";
  const { trial } = confirm.best;
  if (trial !== best.trial) return `With fresh seeds trial ${trial} is taken instead: see below.`;
  if (!confirm.final) return "Fresh seeds are not done with it: see below.";
  return confirm.beyond_noise ? "Fresh seeds confirm it." : "With fresh seeds it is taken as well, within noise: see below.";
}

function pareto(trials, pick) {
  const { metrics, data } = trials;
  if (metrics.length < 2 || !data.study.pareto.length) return null;
  const place = el("div"),
    draw = () => place.replaceChildren(paretoPlot(trials, Number(first.value), Number(second.value), pick).host);
  const choose = (chosen, label) =>
    add(
      el("select", { "aria-label": label, onchange: () => draw() }),
      metrics.map(({ name }, i) => el("option", { value: i, selected: i === chosen }, name)),
    );
  const first = choose(0, "Across"),
    second = choose(1, "Upwards");
  draw();
  return section(
    "pareto",
    "Pareto front",
    el("p", { class: "quiet" }, `${plural(data.study.pareto.length, "trial")} that no other beats in every objective.`),
    metrics.length > 2 ? el("div", { class: "controls" }, first, "against", second) : null,
    place,
    legend([
      ["box", null, "on the front"],
      ["", "complete", "complete"],
    ]),
    grid(
      ["trial", ...metrics.map(({ name }) => name)],
      data.study.pareto
        .slice(0, 50)
        .map((number) => [number, ...metrics.map((_, i) => trials.value(trials.rowOf.get(number), i))]),
      { numeric: [0, ...metrics.map((_, i) => i + 1)] },
    ),
  );
}

function table(trials, view) {
  return section(
    "trials",
    "Trials",
    el(
      "p",
      { class: "quiet small" },
      "Click a row, or choose one with the arrow keys and press Enter. The filter also chooses what stands out in the parallel coordinates and the curves.",
    ),
    view,
  );
}

function parameters(trials, view, pick, data) {
  if (!trials.params.length || !trials.rows.some((row) => trials.counts(row))) return null;
  const parallel = parallelPlot(trials, () => view.inside),
    names = trials.params.slice(0, 24),
    found = importances(data);
  view.listeners.push(() => {
    if (parallel.shown) parallel.draw();
  });
  return section(
    "parameters",
    "Parameters",
    found,
    el("h3", {}, "Parallel coordinates"),
    el(
      "p",
      { class: "quiet small" },
      "Each line is a complete trial; the stronger, the better. The thick one is the best.",
    ),
    parallel.host,
    el("h3", {}, "One by one"),
    el(
      "div",
      { class: "grid" },
      names.map((name) => slicePlot(trials, name, pick).host),
    ),
    names.length < trials.params.length
      ? el("p", { class: "quiet small" }, `The first ${names.length} of ${trials.params.length} parameters.`)
      : null,
  );
}

function importances(data) {
  const found = data.facts.importances;
  if (!found || !found.length) return null;
  return [
    el("h3", {}, "Importance"),
    el("p", { class: "quiet small" }, data.facts.importances_note || ""),
    barsPlot(found, { label: "importance" }).host,
  ];
}

function curves(trials, view, pick) {
  const all = trials.rows.filter((row) => trials.data.curves[row]);
  if (!all.length) return null;
  const some =
    all.length > 1500 ? all.filter((row, i) => row === trials.best || i % Math.ceil(all.length / 1500) === 0) : all;
  const plot = curvesPlot(trials, some, { pick, inside: () => view.inside });
  view.listeners.push(() => {
    if (plot.shown) plot.draw();
  });
  return section(
    "curves",
    "Learning curves",
    some.length < all.length
      ? el(
          "p",
          { class: "quiet small" },
          `${some.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} curves, evenly chosen.`,
        )
      : null,
    plot.host,
    legend([
      ["line", null, "the best trial"],
      ["line", "complete", "complete"],
      ["hollow", "pruned", "pruned, and where"],
      ["line", "failed", "failed"],
    ]),
  );
}
