// Charts in which a trial is a line.
const MOST_LINES = 1500;

// All rows, or where they are many the best ones and every so-and-so-manieth of the others.
function someOf(rows, best) {
  if (rows.length <= MOST_LINES) return rows;
  const every = Math.ceil(rows.length / (MOST_LINES * 0.8));
  return [...new Set([...rows.filter((_, i) => i % every === 0), ...best.slice(0, MOST_LINES * 0.2)])];
}

// Complete trials through an axis for each parameter and one for the metric. The better, the stronger; by rank, so that a few
// that are far off do not make all others alike.
function parallelPlot(trials, inside) {
  const names = trials.params.slice(0, 16);
  const metric = trials.metrics[0].name;
  const best = trials.rows.filter((row) => trials.counts(row));
  best.sort((a, b) => trials.sign[0] * (trials.value(a) - trials.value(b)));
  const values = best.map((row) => trials.value(row));
  const [low, high] = valueRange(values, trials.sign[0]);
  const ends = names.map((name) => {
    const to = trials.scaleOf(name);
    return { name, to, part: (row) => trials.place(name, row, to) };
  });
  const last = scale("linear", low, high);
  const inRange = (value) => Math.max(low, Math.min(high, value));
  ends.push({ name: metric, to: last, part: (row) => last.part(inRange(trials.value(row))) });
  const good = new Map(best.map((row, i) => [row, 1 - i / Math.max(1, best.length - 1)]));
  const order = someOf(best, best).sort((a, b) => good.get(a) - good.get(b));
  const plot = new Plot({
    label: `Parallel coordinates: ${names.join(", ")} and ${metric}`,
    height: 360,
    minWidth: ends.length * 84,
    draw(ctx, width, height, self) {
      const gap = (width - 110) / Math.max(1, ends.length - 1);
      const frame = { top: 34, bottom: height - 16, gap, width, place: (i) => 46 + i * gap };
      const chosen = inside();
      const isIn = (row) => !chosen || chosen.has(row);
      for (const row of order) if (!isIn(row)) parallelLine(ctx, row, ends, frame, lineStyle(trials, row, null));
      for (const row of order) {
        if (!isIn(row)) continue;
        const places = parallelLine(ctx, row, ends, frame, lineStyle(trials, row, good.get(row), order.length));
        if (row !== trials.best) continue;
        for (const place of places) self.spots.push({ ...place, row, text: () => trials.text(row) });
      }
      ctx.globalAlpha = 1;
      ctx.lineWidth = 1;
      ends.forEach((end, i) => parallelAxis(ctx, end, i, ends.length, frame));
    },
  });
  plot.host.classList.add("parallel");
  return plot;
}

// `good` is from 0, the worst, to 1; null for a row that the filter leaves out.
function lineStyle(trials, row, good, many) {
  if (good === null) return { alpha: 0.06, width: 1, colour: shade("quiet") };
  if (row === trials.best) return { alpha: 1, width: 2.5, colour: shade("best") };
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  const alpha = many > 400 ? 0.12 + 0.25 * good ** 3 : 0.25 + 0.5 * good ** 3;
  return { alpha, width: 1, colour: ramp(dark ? 0.25 + 0.75 * good : 0.92 * (1 - good)) };
}

function parallelLine(ctx, row, ends, { top, bottom, place }, { alpha, width, colour }) {
  const places = [];
  let open = false;
  ctx.globalAlpha = alpha;
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  ends.forEach(({ part }, i) => {
    const share = part(row);
    if (share !== null) {
      const y = bottom - share * (bottom - top);
      ctx[open ? "lineTo" : "moveTo"](place(i), y);
      places.push({ x: place(i), y });
    }
    open = share !== null;
  });
  ctx.stroke();
  return places;
}

function parallelAxis(ctx, { name, to }, i, count, { top, bottom, gap, width, place }) {
  ctx.font = FONT;
  ctx.strokeStyle = shade("quiet");
  stroke(ctx, place(i) + 0.5, top, place(i) + 0.5, bottom);
  const [align, x] = i === 0 ? ["left", 4] : i === count - 1 ? ["right", width - 4] : ["center", place(i)];
  ctx.fillStyle = shade("ink");
  ctx.textAlign = align;
  ctx.textBaseline = "bottom";
  ctx.fillText(short(ctx, name, gap - 6), x, top - 10);
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  const ticks = to.ticks(5);
  const every = Math.ceil(ticks.length / 18);
  ticks.forEach(([value, text], k) => {
    if (k % every) return;
    const y = bottom - to.part(value) * (bottom - top);
    const cut = short(ctx, text, gap - 16);
    ctx.globalAlpha = 0.8;
    ctx.fillStyle = shade("card");
    ctx.fillRect(place(i) + 4, y - 7, ctx.measureText(cut).width + 4, 14);
    ctx.globalAlpha = 1;
    ctx.fillStyle = shade("quiet");
    ctx.fillText(cut, place(i) + 6, y);
  });
}

// A curve's points: its steps are kept as the first one where they follow each other.
const curveOf = (raw) => (raw ? raw[1].map((v, i) => [Array.isArray(raw[0]) ? raw[0][i] : raw[0] + i, v]) : []);

// Curves of some rows in one chart; where each pruned one ends there is a ring, where a failed one does, a cross.
function curvesPlot(trials, rows, { height = 340, pick, inside = () => null } = {}) {
  const metric = trials.metrics[0].name;
  const curves = rows.map((row) => [row, curveOf(trials.data.curves[row])]);
  const few = curves.length < 5;
  const values = curves.flatMap(([, points]) => points.map(([, v]) => v));
  const range = few ? extent(values) : valueRange(values, trials.sign[0]);
  const last = extent(curves.flatMap(([, points]) => [points[0][0], points[points.length - 1][0]]));
  const late = (row) => (row === trials.best ? 2 : trials.state(row) === "complete" ? 0 : 1);
  curves.sort(([a], [b]) => late(a) - late(b));
  return new Plot({
    label: `Learning curves: ${metric} over steps`,
    height,
    onpick: pick,
    draw(ctx, width, tall, plot) {
      const x = scale("linear", ...last, true);
      const y = scale("linear", ...padded(range));
      const frame = axes(ctx, width, tall, { x, y, xlabel: "step", ylabel: metric });
      const chosen = inside();
      within(ctx, frame.box, () => {
        for (const [row, points] of curves) {
          const best = row === trials.best && curves.length > 1;
          const alpha = chosen && !chosen.has(row) ? 0.05 : best || few ? 1 : curves.length > 300 ? 0.18 : 0.45;
          ctx.strokeStyle = ctx.fillStyle = shade(best ? "best" : trials.state(row));
          ctx.lineWidth = best ? 2.5 : few ? 2 : 1;
          curve(ctx, points, frame, alpha, trials.state(row));
          const known = points.filter(([, v]) => isNumber(v));
          const end = known[known.length - 1];
          if (end) plot.spots.push({ x: frame.X(end[0]), y: frame.Y(end[1]), row, text: () => trials.text(row) });
          if (few) plot.spots.push(...known.map(([s, v]) => pointOf(frame, s, v, row, metric)));
        }
      });
    },
  });
}

function curve(ctx, points, { X, Y }, alpha, state) {
  ctx.globalAlpha = alpha;
  trace(ctx, points, X, Y);
  if (state !== "pruned" && state !== "failed") return;
  const end = points.filter(([, v]) => isNumber(v)).pop();
  if (!end) return;
  ctx.globalAlpha = alpha === 0.05 ? alpha : Math.min(1, alpha * 2.5);
  spot(ctx, state, X(end[0]), Y(end[1]), 3);
}

const pointOf = ({ X, Y }, step, value, row, metric) => ({
  x: X(step),
  y: Y(value),
  row,
  text: () => `step ${step}\n${metric} ${figure(value)}`,
});
