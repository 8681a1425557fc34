// Who trained what when.
const FAULTS = new Set(
  (
    "preempted lost walltime transient gpu_out_of_memory host_out_of_memory diverged crash no_score hang timeout " +
    "bad_checkpoint disk_full"
  ).split(" "),
);

// A lane for each slot of a machine. Slots with names of their own (jobs) share lanes, each the first that is free.
function lanesOf(trials) {
  const { attempts: raw, study } = trials.data;
  const slot = (i) => slotName(trials.attempt.slot(i));
  const order = raw.row.map((_, i) => i).filter((i) => raw.opened[i] !== null && slot(i) !== "none");
  order.sort((a, b) => raw.opened[a] - raw.opened[b]);
  const fixed = [...new Set(order.map(slot).filter((name) => name.startsWith("slot ")))];
  fixed.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const lanes = new Map(fixed.map((name, at) => [name, at]));
  const free = [];
  const places = order.map((i) => {
    const from = raw.opened[i];
    const to = raw.ended[i] ?? Math.max(study.now, from);
    if (lanes.has(slot(i))) return { i, lane: lanes.get(slot(i)), from, to };
    const found = free.findIndex((until) => until <= from);
    const at = found < 0 ? free.length : found;
    free[at] = to;
    return { i, lane: fixed.length + at, from, to };
  });
  const names = [...fixed, ...free.map((_, at) => `lane ${at + 1}`)];
  return { names, places };
}

function timelinePlot(trials, pick) {
  const { names, places } = lanesOf(trials);
  const tall = Math.max(7, Math.min(26, Math.floor(520 / Math.max(1, names.length))));
  const low = places.length ? Math.min(places[0].from, 0) : 0;
  const high = places.reduce((most, { to }) => Math.max(most, to), 1);
  return new Plot({
    label: `Timeline of ${names.length} slots and ${places.length} attempts`,
    height: Math.max(1, names.length) * tall + 50,
    onpick: pick,
    draw(ctx, width, height, plot) {
      const x = scale("time", low, high);
      const y = { ...scale("words", 0, 0, names), ticks: () => [] };
      const { X, box } = axes(ctx, width, height, { x, y, xlabel: "time since the start", left: 62 });
      laneNames(ctx, names, tall, box);
      for (const { i, lane, from, to } of places) {
        const gap = X(to) - X(from) > 4 ? 1 : 0;
        const bar = {
          x: X(from),
          y: box.top + lane * tall + 1,
          w: Math.max(1, X(to) - X(from) - gap),
          h: tall - 2,
        };
        attemptBar(ctx, trials, i, bar);
        const row = trials.data.attempts.row[i];
        plot.spots.push({ ...bar, row, text: () => attemptText(trials, i, row) });
      }
    },
  });
}

function laneNames(ctx, names, tall, box) {
  const every = Math.ceil(14 / tall);
  ctx.fillStyle = shade("quiet");
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  names.forEach((name, i) => {
    if (i % every === 0) ctx.fillText(short(ctx, name, box.left - 10), box.left - 6, box.top + (i + 0.5) * tall);
  });
}

// Its state's colour; hollow where it was interrupted; an edge for a fault, a notch where it went on from a checkpoint.
function attemptBar(ctx, trials, i, { x, y, w, h }) {
  const state = trials.attempt.state(i);
  ctx.fillStyle = ctx.strokeStyle = shade(state);
  ctx.globalAlpha = { interrupted: 0.25, complete: 0.6 }[state] || 0.8;
  ctx.fillRect(x, y, w, h);
  ctx.globalAlpha = 1;
  ctx.lineWidth = 1;
  if (state === "interrupted" && w > 3) ctx.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
  if (FAULTS.has(trials.attempt.cause(i)) && state !== "failed") {
    ctx.fillStyle = shade("failed");
    ctx.fillRect(x + w - Math.min(3, w), y, Math.min(3, w), h);
  }
  if (!trials.data.attempts.resumed[i] || w <= 6) return;
  ctx.fillStyle = shade("card");
  ctx.beginPath();
  ctx.moveTo(x + 1, y + 1);
  ctx.lineTo(x + 5, y + h / 2);
  ctx.lineTo(x + 1, y + h - 1);
  ctx.fill();
}

function attemptText(trials, i, row) {
  const raw = trials.data.attempts;
  const resumed = raw.resumed[i] ? ", resumed from a checkpoint" : "";
  return [
    `trial ${trials.number[row]}, attempt ${raw.number[i]}: ${endOf(trials.attempt, i)}`,
    `${duration(raw.seconds[i])}${resumed}`,
    trials.attempt.reason(i),
  ]
    .filter(Boolean)
    .join("\n");
}

// "failed (crash)"; plainly "pruned" where the cause says no more.
function endOf(attempt, i) {
  const state = attempt.state(i);
  const cause = attempt.cause(i);
  return !cause || cause === state || cause === "completed" ? state : `${state} (${spaced(cause)})`;
}
