// What came after the search: the best again with fresh seeds, the model that was kept, its looks at the test set.
function followUps(data) {
  const parts = [
    data.confirm ? confirmation(data.confirm) : null,
    data.refit ? refitted(data.refit) : null,
    data.evaluate ? looks(data.evaluate) : null,
  ].filter(Boolean);
  return parts.length ? section("followups", "After the search", parts) : null;
}

const apart = (low, high) => (isNumber(low) && isNumber(high) ? `${figure(low, 4)} to ${figure(high, 4)}` : "–");

function confirmation(found) {
  const head = ["rank", "trial", "mean", "95 % interval", "seeds", "failed", "in the search", "behind the best", ""];
  const rows = found.ranking.map((row) => [
    row.rank,
    row.trial,
    row.mean,
    apart(row.low, row.high),
    row.n,
    row.failed || "",
    row.search_value,
    row.behind ? `${figure(row.behind.mean, 3)} (${apart(row.behind.low, row.behind.high)})` : "",
    row.dropped ? `dropped after ${plural(row.dropped.after, "seed")}` : "",
  ]);
  const scored = found.ranking.filter((row) => isNumber(row.mean));
  return [
    el("h3", {}, "Confirmed with fresh seeds"),
    el("p", {}, sentence(found.verdict)),
    found.final ? null : el("p", { class: "quiet" }, "Not all of its repetitions have ended."),
    found.best ? el("p", {}, `Taken: trial ${found.best.trial}. ${sentence(found.best.reason)}`) : null,
    scored.length ? repetitionsPlot(scored, found.metric.name).host : null,
    grid(head, rows, { numeric: [0, 1, 2, 4, 5, 6] }),
    found.seeds_that_would_tell > (found.seeds || []).length
      ? el(
          "p",
          { class: "quiet small" },
          `About ${plural(found.seeds_that_would_tell, "seed")} each would tell them apart.`,
        )
      : null,
  ];
}

// A line for each configuration: every repetition a ring, the mean and its interval on top.
function repetitionsPlot(rows, metric) {
  const names = rows.map((row) => `trial ${row.trial}`);
  const scores = rows.map((row) => Object.values(row.scores).filter(isNumber));
  const range = padded(extent(rows.flatMap((row, i) => [row.low, row.high, ...scores[i]])));
  return new Plot({
    label: `${metric} of ${rows.length} configurations with fresh seeds`,
    height: 30 * rows.length + 50,
    draw(ctx, width, height, plot) {
      const y = scale("words", 0, 0, [...names].reverse());
      const { X, Y } = axes(ctx, width, height, { x: scale("linear", ...range), y, xlabel: metric });
      rows.forEach((row, i) => {
        const v = Y(names[i]);
        ctx.strokeStyle = shade("complete");
        ctx.globalAlpha = 0.7;
        scores[i].forEach((score) => spot(ctx, "pruned", X(score), v, 3.5));
        ctx.globalAlpha = 1;
        if (isNumber(row.low) && isNumber(row.high)) whiskers(ctx, X(row.low), X(row.high), v);
        ctx.fillStyle = shade("best");
        ctx.fillRect(X(row.mean) - 3, v - 6, 6, 12);
        const text = () =>
          `${names[i]}: mean ${figure(row.mean)} (${apart(row.low, row.high)})\n${plural(row.n, "seed")}`;
        plot.spots.push({ x: 0, y: v - 14, w: width, h: 28, text });
      });
    },
  });
}

function refitted(found) {
  const length = found.epochs ? `, for ${plural(found.epochs, "epoch")}` : "";
  return [
    el("h3", {}, "Trained once more, to keep"),
    el("p", {}, `Trial ${found.trial}${found.confirmed ? ", as confirmed" : ""}${length}. ${sentence(found.why)}`),
    grid(
      ["training", "seed", "state", "took", "metrics", "model"],
      found.trainings.map((each) => [
        each.trial,
        String(each.seed),
        each.state,
        duration(each.seconds),
        scoresOf(each.metrics),
        each.model || "",
      ]),
    ),
  ];
}

function looks(found) {
  return [
    el("h3", {}, "On the test set"),
    el("p", {}, `The test set was looked at ${times(found.looked)}.`),
    grid(
      ["look", "when", "scores", "models"],
      found.looks.map((each) => [each.look, moment(each.at), scoresOf(each.scores), each.models.length]),
    ),
  ];
}

const scoresOf = (scores) =>
  Object.entries(scores || {})
    .map(([name, value]) => `${name} ${figure(value)}`)
    .join(", ");
