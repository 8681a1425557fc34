// Several studies side by side.
function comparison(all) {
  const studies = all.map((data) => new Trials(data)),
    names = all.map(
      (data, i) =>
        (all.filter((other) => other.study.name === data.study.name).length > 1
          ? `${data.study.name} (${data.study.folder})`
          : data.study.name) || `study ${i + 1}`,
    );
  return [
    ["progress", "Best so far", comparedProgress(studies, names)],
    ["budgets", "Budgets", comparedBudgets(all, names)],
    ["best", "Best configurations", comparedBest(all, names)],
    ["spaces", "Search spaces", comparedSpaces(all, names)],
  ];
}
const TINTS = ["complete", "pruned", "running", "infeasible", "failed", "interrupted", "created"];
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

function comparedProgress(studies, names) {
  const metric = studies[0].metrics[0];
  const isSame = (t) => t.metrics[0].name === metric.name && t.metrics[0].goal === metric.goal;
  const alike = studies.map((trials, i) => ({ trials, i, name: names[i] })).filter(({ trials }) => isSame(trials));
  const others = names.filter((_, i) => !isSame(studies[i]));
  const place = el("div");
  const draw = () => place.replaceChildren(bestsPlot(alike, over.value, metric.name).host);
  const kinds = ["trials", "time", "epochs", "hours"].map((kind) => el("option", { value: kind }, kind));
  const over = el("select", { "aria-label": "Over what", onchange: draw }, kinds);
  draw();
  return section(
    "progress",
    "Best so far",
    el("div", { class: "controls" }, el("label", {}, "over", over)),
    place,
    legend(alike.map(({ i, name }) => ["line", TINTS[i % TINTS.length], name])),
    others.length
      ? el("p", { class: "quiet" }, `Not drawn, as they measure something else: ${others.join(", ")}.`)
      : null,
  );
}

function bestsPlot(studies, over, metric) {
  const names = [...new Set(studies.map(({ trials }) => overName(trials, over)))];
  const label = names.length > 1 ? over : names[0];
  const lines = studies.map(({ trials, i, name }) => {
    const order = inOrder(trials, over);
    const points = stairs(bestSoFar(trials, over));
    if (points.length) points.push([order[order.length - 1][1], points[points.length - 1][1]]);
    return { i, name, points };
  });
  const end = Math.max(1e-9, ...lines.flatMap(({ points }) => points.map(([x]) => x)));
  const range = padded(extent(lines.flatMap(({ points }) => points.slice(points.length >> 3).map(([, v]) => v))));
  return new Plot({
    label: `Best ${metric} so far of ${studies.map(({ name }) => name).join(", ")} over ${label}`,
    height: 360,
    draw(ctx, width, height, plot) {
      const x = scale(over === "time" ? "time" : "linear", 0, end);
      const y = scale("linear", ...range);
      const { X, Y, box } = axes(ctx, width, height, { x, y, xlabel: label, ylabel: `best ${metric}` });
      within(ctx, box, () => {
        for (const { i, name, points } of lines) {
          ctx.strokeStyle = shade(TINTS[i % TINTS.length]);
          ctx.lineWidth = 2;
          ctx.setLineDash(DASHES[i % DASHES.length]);
          trace(ctx, points, X, Y);
          const text = (v) => () => `${name}\n${metric} ${figure(v)}`;
          plot.spots.push(...points.map(([at, v]) => ({ x: X(at), y: Y(v), text: text(v) })));
        }
      });
    },
  });
}

function comparedBudgets(all, names) {
  const row = (name, get) => [name, ...all.map(get)];
  return section(
    "budgets",
    "Budgets",
    grid(
      ["", ...names],
      [
        row("state", (d) => d.study.state),
        row("goal", (d) => d.study.metrics.map(({ name, goal }) => `${goal} ${name}`).join(", ")),
        row("best", (d) => (d.best ? `${figure(d.best.values[0], 6)} (trial ${d.best.trial})` : "–")),
        ...STATES.filter((state) => all.some((d) => d.study.counts[state])).map((state) =>
          row(state, (d) => d.study.counts[state] || 0),
        ),
        row("target", (d) => d.study.target ?? "–"),
        row("epochs", (d) => d.trials.epochs.reduce((a, b) => a + b, 0)),
        row(
          "GPU hours or hours of training",
          (d) => `${figure(d.study.hours.used, 4)}${d.study.hours.unit === "gpu" ? " GPU h" : " h"}`,
        ),
        row("ran for", (d) => duration(d.study.ran_seconds)),
        row("sampler", (d) => d.study.sampler),
        row("pruner", (d) => d.study.pruner),
        row("code", (d) => d.environment.code.join(", ") || "–"),
      ],
    ),
  );
}

function differing(head, rows) {
  const differs = (row) => new Set(row.slice(1)).size > 1;
  return [
    el(
      "p",
      { class: "quiet small" },
      `${plural(rows.filter(differs).length, "row")} of ${rows.length} ${rows.filter(differs).length === 1 ? "differs" : "differ"}: marked.`,
    ),
    grid(head, rows, { differs }),
  ];
}

function comparedBest(all, names) {
  const keys = [...new Set(all.flatMap((d) => (d.best ? Object.keys(d.best.configuration) : [])))];
  return section(
    "best",
    "Best configurations",
    differing(
      ["parameter", ...names],
      keys.map((key) => [
        key,
        ...all.map((d) => (d.best && Object.hasOwn(d.best.configuration, key) ? shown(d.best.configuration[key]) : "–")),
      ]),
    ),
    all.map((d, i) => (d.best && d.best.command ? [el("h3", {}, names[i]), toCopy(d.best.command)] : null)),
  );
}

function comparedSpaces(all, names) {
  const of = all.map((d) => new Map(spaceOf(d).map((each) => [each.name, range(each)]))),
    keys = [...new Set(of.flatMap((space) => [...space.keys()]))];
  return section(
    "spaces",
    "Search spaces",
    differing(
      ["parameter", ...names],
      keys.map((key) => [key, ...of.map((space) => space.get(key) ?? "–")]),
    ),
  );
}
