// Several studies side by side.
function comparison(all) {
  const studies = all.map((data) => new Trials(data)), names = all.map((data, i) => (all.filter((other) => other.study.name === data.study.name).length > 1 ? `${data.study.name} (${data.study.folder})` : data.study.name) || `study ${i + 1}`);
  return [
    ["progress", "Best so far", comparedProgress(studies, names)],
    ["budgets", "Budgets", comparedBudgets(all, names)],
    ["best", "Best configurations", comparedBest(all, names)],
    ["spaces", "Search spaces", comparedSpaces(all, names)],
  ];
}
const TINTS = ["complete", "pruned", "running", "infeasible", "failed", "interrupted", "created"], DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

function comparedProgress(studies, names) {
  const metric = studies[0].metrics[0], shown = studies.map((t, i) => [t, i]).filter(([t]) => t.metrics[0].name === metric.name && t.metrics[0].goal === metric.goal), left = names.filter((_, i) => !shown.some(([, k]) => k === i));
  const place = el("div"), over = el("select", { "aria-label": "Over what", onchange: () => draw() }, [["trials", "trials"], ["time", "time"], ["epochs", "epochs"], ["hours", "hours"]].map(([kind, text]) => el("option", { value: kind }, text)));
  const draw = () => {
    const kind = over.value, lines = shown.map(([t, i]) => [bestSoFar(t, kind), i, inOrder(t, kind)]).filter(([line]) => line.length), label = kind === "hours" ? hoursName(studies[0]) : OVER[kind][0];
    const values = lines.flatMap(([line]) => line.slice(Math.floor(line.length / 8)).map(([, v]) => v)), end = Math.max(1e-9, ...lines.map(([, , order]) => order[order.length - 1][1]));
    place.replaceChildren(new Plot({ label: `Best ${metric.name} so far of ${names.join(", ")} over ${label}`, height: 360, draw(ctx, width, height, plot) {
      const { X, Y, box } = axes(ctx, width, height, { x: scale(kind === "time" ? "time" : "linear", 0, end), y: scale("linear", ...padded(extent(values))), xlabel: label, ylabel: `best ${metric.name}` });
      ctx.save(); ctx.beginPath(); ctx.rect(box.left, box.top - 4, box.right - box.left, box.bottom - box.top + 8); ctx.clip();
      for (const [line, i, order] of lines) {
        ctx.strokeStyle = shade(TINTS[i % TINTS.length]); ctx.lineWidth = 2; ctx.setLineDash(DASHES[i % DASHES.length]); ctx.beginPath();
        line.forEach(([x, v], k) => { if (k) ctx.lineTo(X(x), Y(line[k - 1][1])); ctx[k ? "lineTo" : "moveTo"](X(x), Y(v)); plot.spots.push({ x: X(x), y: Y(v), text: () => `${names[i]}\n${metric.name} ${figure(v)}` }); });
        ctx.lineTo(X(order[order.length - 1][1]), Y(line[line.length - 1][1])); ctx.stroke();
      }
      ctx.restore();
    } }).host);
  };
  draw();
  return section("progress", "Best so far", el("div", { class: "controls" }, el("label", {}, "over", over)), place,
    legend(shown.map(([, i]) => ["line", TINTS[i % TINTS.length], names[i]])),
    left.length ? el("p", { class: "quiet" }, `Not drawn, as they measure something else: ${left.join(", ")}.`) : null);
}

function comparedBudgets(all, names) {
  const row = (name, get) => [name, ...all.map(get)];
  return section("budgets", "Budgets", grid(["", ...names], [
    row("state", (d) => d.study.state), row("goal", (d) => d.study.metrics.map(({ name, goal }) => `${goal} ${name}`).join(", ")), row("best", (d) => (d.best ? `${figure(d.best.values[0], 6)} (trial ${d.best.trial})` : "–")),
    ...STATES.filter((state) => all.some((d) => d.study.counts[state])).map((state) => row(state, (d) => d.study.counts[state] || 0)),
    row("target", (d) => d.study.target ?? "–"), row("epochs", (d) => d.trials.epochs.reduce((a, b) => a + b, 0)), row("GPU hours or hours of training", (d) => `${figure(d.study.hours.used, 4)}${d.study.hours.unit === "gpu" ? " GPU h" : " h"}`),
    row("ran for", (d) => duration(d.study.ran_seconds)), row("sampler", (d) => d.study.sampler), row("pruner", (d) => d.study.pruner), row("code", (d) => d.environment.code.join(", ") || "–")]));
}

function differing(head, rows) {
  const differs = (row) => new Set(row.slice(1)).size > 1;
  return [el("p", { class: "quiet small" }, `${plural(rows.filter(differs).length, "row")} of ${rows.length} ${rows.filter(differs).length === 1 ? "differs" : "differ"}: marked.`), grid(head, rows, { differs })];
}

function comparedBest(all, names) {
  const keys = [...new Set(all.flatMap((d) => (d.best ? Object.keys(d.best.configuration) : [])))];
  return section("best", "Best configurations", differing(["parameter", ...names], keys.map((key) => [key, ...all.map((d) => (d.best && key in d.best.configuration ? shown(d.best.configuration[key]) : "–"))])),
    all.map((d, i) => (d.best && d.best.command ? [el("h3", {}, names[i]), toCopy(d.best.command)] : null)));
}

function comparedSpaces(all, names) {
  const of = all.map((d) => new Map(d.space.map((each) => [each.name, range(each)]))), keys = [...new Set(of.flatMap((space) => [...space.keys()]))];
  return section("spaces", "Search spaces", differing(["parameter", ...names], keys.map((key) => [key, ...of.map((space) => space.get(key) ?? "–")])));
}
