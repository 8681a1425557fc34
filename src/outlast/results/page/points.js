// Charts in which a trial is a point.
const MANY = 2000;

// Every finished trial with a value where it ended, and the best so far as a line.
function progressPlot(trials, over, pick) {
  const { name } = trials.metrics[0];
  const order = inOrder(trials, over);
  const finished = order.filter(([row]) => trials.value(row) !== null);
  const values = finished.map(([row]) => trials.value(row));
  const range = padded(valueRange(values, trials.sign[0]));
  const line = stairs(bestSoFar(trials, over));
  const end = order.length ? order[order.length - 1][1] : 1;
  if (line.length) line.push([end, line[line.length - 1][1]]);
  const label = overName(trials, over);
  return new Plot({
    label: `Best ${name} so far over ${label}`,
    onpick: pick,
    height: 340,
    draw(ctx, width, height, plot) {
      const x = scale(over === "time" ? "time" : "linear", 0, end || 1);
      const frame = axes(ctx, width, height, { x, y: scale("linear", ...range), xlabel: label, ylabel: name });
      within(ctx, frame.box, () => {
        ctx.globalAlpha = finished.length > MANY ? 0.25 : 0.55;
        for (const state of ["pruned", "complete"]) {
          for (const [row, at] of finished) {
            if (trials.state(row) === state) trialSpot(ctx, plot, trials, row, frame.X(at), frame.Y(trials.value(row)));
          }
        }
        ctx.globalAlpha = 1;
        ctx.strokeStyle = shade("best");
        ctx.lineWidth = 2;
        trace(ctx, line, frame.X, frame.Y);
      });
    },
  });
}

function trialSpot(ctx, plot, trials, row, x, y, { r = 3, text = () => trials.text(row) } = {}) {
  const state = trials.state(row);
  ctx.fillStyle = ctx.strokeStyle = shade(state);
  ctx.lineWidth = 1;
  spot(ctx, state, x, y, plot.spots.length > MANY ? 2 : r);
  plot.spots.push({ x, y, row, text });
}

// From points at which something changes to the corners of a line that is level in between.
function stairs(points) {
  return points.flatMap(([x, y], i) =>
    i
      ? [
          [x, points[i - 1][1]],
          [x, y],
        ]
      : [[x, y]],
  );
}

// The metric against one parameter. Where values are words, points stand beside each other, always in the same places.
function slicePlot(trials, name, pick) {
  const metric = trials.metrics[0].name;
  const value = trials.param[name];
  const rows = trials.rows.filter((row) => trials.value(row) !== null && value(row) !== null);
  const values = rows.map((row) => trials.value(row));
  const [low, high] = valueRange(values, trials.sign[0]);
  const x = trials.scaleOf(name);
  const words = x.kind === "words";
  return new Plot({
    label: `${metric} by ${name}`,
    height: 210,
    onpick: pick,
    draw(ctx, width, height, plot) {
      const y = scale("linear", ...padded([low, high]));
      const { X, Y, box } = axes(ctx, width, height, { x, y, xlabel: name });
      const wide = words ? ((box.right - box.left) / Math.max(1, x.words.length)) * 0.6 : 0;
      const aside = (row) => wide * (((trials.number[row] * 0.618034) % 1) - 0.5);
      const place = (row) => X(words ? shown(value(row)) : value(row)) + aside(row);
      ctx.globalAlpha = rows.length > MANY ? 0.2 : 0.55;
      for (const row of rows) {
        if (trials.value(row) < low || trials.value(row) > high) continue;
        const text = () => `${trials.text(row)}\n${name} ${figure(value(row))}`;
        trialSpot(ctx, plot, trials, row, place(row), Y(trials.value(row)), { r: 2.5, text });
      }
      ctx.globalAlpha = 1;
      if (trials.best === undefined || value(trials.best) === null) return;
      ctx.strokeStyle = shade("best");
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.arc(place(trials.best), Y(trials.value(trials.best)), 5.5, 0, 7);
      ctx.stroke();
    },
  });
}

// Two objectives against each other; what is on the front is a square.
function paretoPlot(trials, first, second, pick) {
  const rows = trials.rows.filter((row) => trials.counts(row) && isNumber(trials.value(row, second)));
  const front = new Set(trials.data.study.pareto.map((number) => trials.rowOf.get(number)));
  const of = (objective) => {
    const values = rows.map((row) => trials.value(row, objective));
    const { name, goal } = trials.metrics[objective];
    return { to: scale("linear", ...padded(valueRange(values, trials.sign[objective]))), label: `${name} (${goal})` };
  };
  const [x, y] = [of(first), of(second)];
  const line = [...front].map((row) => [trials.value(row, first), trials.value(row, second)]);
  line.sort((a, b) => a[0] - b[0]);
  return new Plot({
    label: `Pareto front: ${x.label} against ${y.label}`,
    height: 340,
    onpick: pick,
    draw(ctx, width, height, plot) {
      const { X, Y, box } = axes(ctx, width, height, { x: x.to, y: y.to, xlabel: x.label, ylabel: y.label });
      const place = (row) => [X(trials.value(row, first)), Y(trials.value(row, second))];
      within(ctx, box, () => {
        ctx.globalAlpha = 0.35;
        for (const row of rows) if (!front.has(row)) trialSpot(ctx, plot, trials, row, ...place(row));
        ctx.globalAlpha = 1;
        ctx.fillStyle = ctx.strokeStyle = shade("best");
        ctx.lineWidth = 1.5;
        for (const row of front) {
          const [px, py] = place(row);
          ctx.fillRect(px - 4, py - 4, 8, 8);
          plot.spots.push({ x: px, y: py, row, text: () => trials.text(row) });
        }
        ctx.globalAlpha = 0.7;
        if (trials.metrics.length === 2) trace(ctx, line, X, Y);
      });
    },
  });
}
