// The charts of a search, each from the columns of its trials.
const STATES = ["complete", "pruned", "failed", "infeasible", "running", "interrupted", "created"];

// One study's columns with what follows from them: which rows count, which is best, how long things took.
class Trials {
  constructor(data) {
    const raw = data.trials;
    Object.assign(this, { data, raw, count: raw.number.length, number: raw.number, metrics: data.study.metrics, params: Object.keys(raw.params) });
    for (const name of ["state", "cause", "reason", "source"]) this[name] = column(raw[name]);
    this.param = Object.fromEntries(this.params.map((name) => [name, column(raw.params[name])]));
    this.sign = this.metrics.map(({ goal }) => (goal === "maximize" ? -1 : 1));
    this.rows = Array.from({ length: this.count }, (_, row) => row);
    this.rowOf = new Map(raw.number.map((number, row) => [number, row]));
    this.space = new Map(data.space.map((each) => [each.name, each]));
    this.best = data.best ? this.rowOf.get(data.best.trial) : undefined;
    this.attempts = Array.from({ length: this.count }, () => []);
    data.attempts.row.forEach((row, i) => this.attempts[row].push(i));
    this.attempt = Object.fromEntries(["slot", "state", "cause", "reason", "host", "job", "code", "gpus"].map((name) => [name, column(data.attempts[name])]));
  }
  value(row, objective = 0) { return this.raw.values[objective][row]; }
  counts(row) { return this.state(row) === "complete" && this.raw.feasible[row] && isNumber(this.value(row)); }
  text(row) {
    const values = this.metrics.map(({ name }, i) => `${name} ${figure(this.value(row, i))}`).join(", ");
    return `trial ${this.number[row]}: ${this.state(row)}${this.value(row) === null ? "" : "\n" + values}`;
  }
  scaleOf(name) {
    const known = this.space.get(name), values = this.rows.map((row) => this.param[name](row)).filter((v) => v !== null);
    if (values.every(isNumber) && !(known && known.choices)) {
      const [low, high] = known && isNumber(known.low) ? [known.low, known.high] : extent(values);
      return scale(known && known.log && low > 0 ? "log" : "linear", Math.min(low, ...extent(values).slice(0, 1)), Math.max(high, ...extent(values).slice(1)), values.every(Number.isInteger));
    }
    const words = [...new Set([...(known && known.choices ? known.choices.map(shown) : []), ...values.map(shown)])];
    return scale("words", 0, 0, words);
  }
  place(name, row, to) { const value = this.param[name](row); return value === null ? null : to.part(to.kind === "words" ? shown(value) : value); }
}
const shown = (value) => (typeof value === "string" ? value : isNumber(value) ? figure(value) : JSON.stringify(value));
function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (isNumber(v)) { if (v < low) low = v; if (v > high) high = v; }
  return low === Infinity ? [0, 1] : [low, high];
}

// Where an axis of values begins and ends: what lies far out on the bad side is left beyond it, and said.
function valueRange(values, sign) {
  const sorted = values.filter(isNumber).sort((a, b) => sign * (a - b));
  if (sorted.length < 8) return [...extent(sorted), 0];
  const part = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  const reach = Math.abs(part(0.75) - part(0)) * 3, limit = part(0.75) + sign * reach;
  const inside = sorted.filter((v) => sign * (v - limit) <= 0);
  return [...extent(inside), sorted.length - inside.length];
}
const padded = ([low, high]) => [low - (high - low) * 0.05, high + (high - low) * 0.05];

const OVER = { time: ["time since the start", (t, row) => t.raw.finished[row]], trials: ["trials finished", () => 1], epochs: ["epochs trained", (t, row) => t.raw.epochs[row]], hours: [null, (t, row) => (t.gpu ? t.raw.gpu_seconds[row] : t.raw.seconds[row])] };
function hoursName(trials) { trials.gpu = trials.raw.gpu_seconds.some((v) => v > 0); return trials.gpu ? "GPU hours" : "hours of training"; }

// Finished rows in the order in which they ended, and where each stands on the axis that was asked for.
function inOrder(trials, over) {
  const rows = trials.rows.filter((row) => trials.raw.finished[row] !== null).sort((a, b) => trials.raw.finished[a] - trials.raw.finished[b]);
  hoursName(trials);
  let sum = 0;
  return rows.map((row) => { const part = OVER[over][1](trials, row) || 0; sum += part; return [row, over === "time" ? part : over === "hours" ? sum / 3600 : sum]; });
}
function bestSoFar(trials, over, objective = 0) {
  let best = null;
  const found = [];
  for (const [row, x] of inOrder(trials, over)) {
    if (!trials.counts(row)) continue;
    const v = trials.value(row, objective);
    if (best === null || trials.sign[objective] * (v - best) < 0) { best = v; found.push([x, v, row]); }
  }
  return found;
}

function progressPlot(trials, over, pick) {
  const { name } = trials.metrics[0], order = inOrder(trials, over);
  const label = over === "hours" ? hoursName(trials) : OVER[over][0];
  const finished = order.filter(([row]) => trials.value(row) !== null);
  const [low, high] = valueRange(finished.map(([row]) => trials.value(row)), trials.sign[0]);
  const line = bestSoFar(trials, over), end = order.length ? order[order.length - 1][1] : 1;
  return new Plot({ label: `Best ${name} so far over ${label}`, onpick: pick, height: 340, draw(ctx, width, height, plot) {
    const y = scale("linear", ...padded([low, high])), x = scale(over === "time" ? "time" : "linear", 0, end || 1);
    const { X, Y, box } = axes(ctx, width, height, { x, y, xlabel: label, ylabel: name });
    ctx.save(); ctx.beginPath(); ctx.rect(box.left - 4, box.top - 4, box.right - box.left + 8, box.bottom - box.top + 8); ctx.clip();
    ctx.globalAlpha = finished.length > 2000 ? 0.25 : 0.55;
    for (const state of ["pruned", "complete"]) {
      ctx.fillStyle = ctx.strokeStyle = shade(state);
      for (const [row, h] of finished) {
        if (trials.state(row) !== state) continue;
        const px = X(h), py = Y(trials.value(row));
        spot(ctx, state, px, py, finished.length > 2000 ? 2 : 3);
        plot.spots.push({ x: px, y: py, row, text: () => trials.text(row) });
      }
    }
    ctx.globalAlpha = 1; ctx.strokeStyle = shade("best"); ctx.lineWidth = 2; ctx.beginPath();
    line.forEach(([h, v], i) => { if (i) ctx.lineTo(X(h), Y(line[i - 1][1])); ctx[i ? "lineTo" : "moveTo"](X(h), Y(v)); });
    if (line.length) ctx.lineTo(box.right, Y(line[line.length - 1][1]));
    ctx.stroke();
    ctx.restore();
  } });
}

function parallelPlot(trials, inside) {
  const names = trials.params.slice(0, 16), metric = trials.metrics[0].name;
  const rows = trials.rows.filter((row) => trials.counts(row));
  const [low, high] = valueRange(rows.map((row) => trials.value(row)), trials.sign[0]);
  const ends = [...names.map((name) => [name, trials.scaleOf(name), (row, to) => trials.place(name, row, to)]), [metric, scale("linear", low, high), (row, to) => to.part(Math.max(low, Math.min(high, trials.value(row))))]];
  const some = rows.length > 1500 ? rows.filter((_, i) => i % Math.ceil(rows.length / 1200) === 0).concat([...rows].sort((a, b) => trials.sign[0] * (trials.value(a) - trials.value(b))).slice(0, 300)) : rows;
  const ranks = new Map([...rows].sort((a, b) => trials.sign[0] * (trials.value(b) - trials.value(a))).map((row, i, all) => [row, all.length > 1 ? i / (all.length - 1) : 1]));
  const plot = new Plot({ label: `Parallel coordinates: ${names.join(", ")} and ${metric}`, height: 360, minWidth: ends.length * 84, draw(ctx, width, height, self) {
    const top = 34, bottom = height - 16, gap = (width - 110) / Math.max(1, ends.length - 1), place = (i) => 46 + i * gap, dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    const good = (row) => ranks.get(row);
    const shownRows = inside(), order = [...some].sort((a, b) => good(a) - good(b));
    for (const chosen of [false, true]) for (const row of order) {
      if ((!shownRows || shownRows.has(row)) !== chosen) continue;
      ctx.globalAlpha = !chosen ? 0.06 : row === trials.best ? 1 : (order.length > 400 ? 0.12 : 0.25) + (order.length > 400 ? 0.25 : 0.5) * good(row) ** 3;
      ctx.strokeStyle = !chosen ? shade("quiet") : row === trials.best ? shade("best") : ramp(dark ? 0.25 + 0.75 * good(row) : 0.92 * (1 - good(row)));
      ctx.lineWidth = row === trials.best ? 2.5 : 1;
      ctx.beginPath();
      let open = false;
      ends.forEach(([, to, part], i) => {
        const p = part(row, to);
        if (p === null) { open = false; return; }
        ctx[open ? "lineTo" : "moveTo"](place(i), bottom - p * (bottom - top)); open = true;
        if (row === trials.best) self.spots.push({ x: place(i), y: bottom - p * (bottom - top), row, text: () => trials.text(row) });
      });
      ctx.stroke();
    }
    ctx.globalAlpha = 1; ctx.lineWidth = 1; ctx.font = FONT;
    ends.forEach(([name, to], i) => {
      ctx.strokeStyle = shade("quiet"); stroke(ctx, place(i) + 0.5, top, place(i) + 0.5, bottom);
      ctx.fillStyle = shade("ink"); ctx.textAlign = i === 0 ? "left" : i === ends.length - 1 ? "right" : "center"; ctx.textBaseline = "bottom";
      ctx.fillText(short(ctx, name, gap - 6), i === 0 ? 4 : i === ends.length - 1 ? width - 4 : place(i), top - 10);
      ctx.textAlign = "left"; ctx.textBaseline = "middle";
      const ticks = to.ticks(5), every = Math.ceil(ticks.length / 18);
      ticks.filter((_, k) => k % every === 0).forEach(([value, text]) => {
        const y = bottom - to.part(value) * (bottom - top), cut = short(ctx, text, gap - 16), w = ctx.measureText(cut).width;
        ctx.globalAlpha = 0.8; ctx.fillStyle = shade("card"); ctx.fillRect(place(i) + 4, y - 7, w + 4, 14);
        ctx.globalAlpha = 1; ctx.fillStyle = shade("quiet"); ctx.fillText(cut, place(i) + 6, y);
      });
    });
  } });
  plot.host.classList.add("parallel");
  return plot;
}

function slicePlot(trials, name, pick) {
  const metric = trials.metrics[0].name, rows = trials.rows.filter((row) => trials.value(row) !== null && trials.param[name](row) !== null);
  const [low, high] = valueRange(rows.map((row) => trials.value(row)), trials.sign[0]), x = trials.scaleOf(name);
  return new Plot({ label: `${metric} by ${name}`, height: 210, onpick: pick, draw(ctx, width, height, plot) {
    const { X, Y, box } = axes(ctx, width, height, { x, y: scale("linear", ...padded([low, high])), xlabel: name });
    const wide = x.kind === "words" ? (box.right - box.left) / Math.max(1, x.words.length) * 0.6 : 0;
    ctx.globalAlpha = rows.length > 2000 ? 0.2 : 0.55;
    for (const row of rows) {
      const state = trials.state(row), v = trials.value(row);
      if (v < low || v > high) continue;
      const px = X(x.kind === "words" ? shown(trials.param[name](row)) : trials.param[name](row)) + wide * (((trials.number[row] * 0.618034) % 1) - 0.5), py = Y(v);
      ctx.fillStyle = ctx.strokeStyle = shade(state);
      spot(ctx, state, px, py, 2.5);
      plot.spots.push({ x: px, y: py, row, text: () => `${trials.text(row)}\n${name} ${figure(trials.param[name](row))}` });
    }
    ctx.globalAlpha = 1;
    if (trials.best !== undefined && trials.param[name](trials.best) !== null) {
      ctx.strokeStyle = shade("best"); ctx.lineWidth = 2; ctx.beginPath();
      ctx.arc(X(x.kind === "words" ? shown(trials.param[name](trials.best)) : trials.param[name](trials.best)) + wide * (((trials.number[trials.best] * 0.618034) % 1) - 0.5), Y(trials.value(trials.best)), 5.5, 0, 7); ctx.stroke();
    }
  } });
}

const curveOf = (raw) => (raw ? raw[1].map((v, i) => [Array.isArray(raw[0]) ? raw[0][i] : raw[0] + i, v]) : []);

// Curves of some rows in one chart; where each pruned one ends there is a ring.
function curvesPlot(trials, rows, { height = 340, pick, inside = () => null, ranged = true } = {}) {
  const curves = rows.map((row) => [row, curveOf(trials.data.curves[row])]).filter(([, points]) => points.length);
  const values = curves.flatMap(([, points]) => points.map(([, v]) => v)), [low, high] = ranged ? valueRange(values, trials.sign[0]) : extent(values);
  const last = extent(curves.flatMap(([, points]) => [points[0][0], points[points.length - 1][0]])), metric = trials.metrics[0].name;
  return new Plot({ label: `Learning curves: ${metric} over steps`, height, onpick: pick, draw(ctx, width, tall, plot) {
    const { X, Y, box } = axes(ctx, width, tall, { x: scale("linear", ...last, true), y: scale("linear", ...padded([low, high])), xlabel: "step", ylabel: metric });
    const chosen = inside();
    ctx.save(); ctx.beginPath(); ctx.rect(box.left - 5, box.top - 5, box.right - box.left + 10, box.bottom - box.top + 10); ctx.clip();
    const late = (row) => (row === trials.best ? 2 : trials.state(row) === "complete" ? 0 : 1), order = [...curves].sort(([a], [b]) => late(a) - late(b));
    for (const [row, points] of order) {
      const best = row === trials.best && curves.length > 1, state = trials.state(row);
      ctx.strokeStyle = ctx.fillStyle = best ? shade("best") : shade(state);
      ctx.globalAlpha = chosen && !chosen.has(row) ? 0.05 : best || curves.length < 5 ? 1 : curves.length > 300 ? 0.18 : 0.45;
      ctx.lineWidth = best ? 2.5 : curves.length < 5 ? 2 : 1;
      ctx.beginPath();
      points.forEach(([s, v], i) => ctx[i ? "lineTo" : "moveTo"](X(s), Y(v)));
      ctx.stroke();
      const [s, v] = points[points.length - 1], px = X(s), py = Y(v);
      ctx.globalAlpha = chosen && !chosen.has(row) ? 0.05 : Math.min(1, ctx.globalAlpha * 2.5);
      if (state === "pruned" || state === "failed") spot(ctx, state, px, py, 3);
      plot.spots.push({ x: px, y: py, row, text: () => trials.text(row) });
      if (curves.length < 5) points.forEach(([step, value]) => plot.spots.push({ x: X(step), y: Y(value), row, text: () => `step ${step}\n${metric} ${figure(value)}` }));
    }
    ctx.restore();
  } });
}

function paretoPlot(trials, first, second, pick) {
  const rows = trials.rows.filter((row) => trials.counts(row) && isNumber(trials.value(row, second)));
  const front = new Set((trials.data.study.pareto || []).map((number) => trials.rowOf.get(number)));
  const [a, b] = [first, second].map((i) => padded(valueRange(rows.map((row) => trials.value(row, i)), trials.sign[i])));
  return new Plot({ label: `Pareto front: ${trials.metrics[first].name} against ${trials.metrics[second].name}`, height: 340, onpick: pick, draw(ctx, width, height, plot) {
    const { X, Y, box } = axes(ctx, width, height, { x: scale("linear", ...a), y: scale("linear", ...b), xlabel: `${trials.metrics[first].name} (${trials.metrics[first].goal})`, ylabel: `${trials.metrics[second].name} (${trials.metrics[second].goal})` });
    ctx.save(); ctx.beginPath(); ctx.rect(box.left - 5, box.top - 5, box.right - box.left + 10, box.bottom - box.top + 10); ctx.clip();
    for (const onFront of [false, true]) for (const row of rows) {
      if (front.has(row) !== onFront) continue;
      const px = X(trials.value(row, first)), py = Y(trials.value(row, second));
      ctx.globalAlpha = onFront ? 1 : 0.35; ctx.fillStyle = onFront ? shade("best") : shade("complete");
      if (onFront) { ctx.fillRect(px - 4, py - 4, 8, 8); } else spot(ctx, "complete", px, py, 3);
      plot.spots.push({ x: px, y: py, row, text: () => trials.text(row) });
    }
    if (trials.metrics.length === 2) {
      const line = [...front].sort((p, q) => trials.value(p, first) - trials.value(q, first));
      ctx.globalAlpha = 0.7; ctx.strokeStyle = shade("best"); ctx.lineWidth = 1.5; ctx.beginPath();
      line.forEach((row, i) => ctx[i ? "lineTo" : "moveTo"](X(trials.value(row, first)), Y(trials.value(row, second))));
      ctx.stroke();
    }
    ctx.restore();
  } });
}

// Bars with whiskers: a name, a value, and how far it may be off.
function barsPlot(bars, { label, digits = 2 }) {
  return new Plot({ label: `${label}: ${bars.map((bar) => `${bar.name} ${figure(bar.value, digits)}`).join(", ")}`, height: 26 * bars.length + 46, draw(ctx, width, height, plot) {
    const y = scale("words", 0, 0, bars.map((bar) => bar.name).reverse()), top = Math.max(...bars.map((bar) => bar.high ?? bar.value), 1e-9);
    const { X, Y } = axes(ctx, width, height, { x: scale("linear", 0, top * 1.04), y, xlabel: label });
    for (const bar of bars) {
      const v = Y(bar.name), zero = X(0), to = X(Math.max(0, bar.value));
      ctx.fillStyle = shade("complete"); ctx.globalAlpha = 0.85; ctx.fillRect(zero, v - 7, Math.max(1, to - zero), 14); ctx.globalAlpha = 1;
      if (isNumber(bar.low) && isNumber(bar.high)) {
        ctx.strokeStyle = shade("ink"); ctx.lineWidth = 1.5; const a = X(Math.max(0, bar.low)), b = X(bar.high);
        stroke(ctx, a, v, b, v); stroke(ctx, a, v - 4, a, v + 4); stroke(ctx, b, v - 4, b, v + 4);
      }
      plot.spots.push({ x: zero, y: v - 12, w: width - zero, h: 24, text: () => `${bar.name}: ${figure(bar.value, 3)}${isNumber(bar.low) ? ` (${figure(bar.low, 3)} to ${figure(bar.high, 3)})` : ""}` });
    }
  } });
}

// Who trained what when: a lane for each slot. Slots with names of their own (jobs) share lanes, each with the first that is free.
function lanesOf(trials) {
  const raw = trials.data.attempts, order = raw.row.map((_, i) => i).filter((i) => raw.opened[i] !== null).sort((a, b) => raw.opened[a] - raw.opened[b]);
  const now = trials.data.study.now, end = (i) => raw.ended[i] ?? Math.max(now, raw.opened[i]), free = [], lane = new Map(), names = [];
  const fixed = new Set(order.map((i) => trials.attempt.slot(i)).filter((slot) => slot.startsWith("local:")));
  [...fixed].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).forEach((slot) => { names.push(slot.replace("local:", "slot ")); lane.set(slot, names.length - 1); });
  const places = order.filter((i) => trials.attempt.slot(i) !== "none").map((i) => {
    const slot = trials.attempt.slot(i);
    if (lane.has(slot)) return [i, lane.get(slot), raw.opened[i], end(i)];
    let at = free.findIndex((until) => until <= raw.opened[i]);
    if (at < 0) { at = free.length; free.push(0); names.push(`lane ${at + 1}`); }
    free[at] = end(i);
    return [i, fixed.size + at, raw.opened[i], end(i)];
  });
  return { names, places };
}
const FAULTS = new Set(["preempted", "lost", "walltime", "transient", "gpu_out_of_memory", "host_out_of_memory", "diverged", "crash", "no_score", "hang", "timeout", "bad_checkpoint", "disk_full"]);
function timelinePlot(trials, pick) {
  const { names, places } = lanesOf(trials), lanes = Math.max(1, names.length), each = Math.max(7, Math.min(26, Math.floor(520 / lanes)));
  const [low, high] = places.length ? [Math.min(places[0][2], 0), places.reduce((most, place) => Math.max(most, place[3]), 1)] : [0, 1];
  return new Plot({ label: `Timeline of ${lanes} slots and ${places.length} attempts`, height: lanes * each + 50, onpick: pick, draw(ctx, width, height, plot) {
    const every = Math.ceil(14 / each), y = scale("words", 0, 0, names.filter((_, i) => i % every === 0).reverse());
    const left = lanes > 1 || names.length ? 62 : 20, { X, box } = axes(ctx, width, height, { x: scale("time", low, high), y: { ...y, ticks: () => [] }, xlabel: "time since the start", left });
    ctx.fillStyle = shade("quiet"); ctx.textAlign = "right"; ctx.textBaseline = "middle";
    names.forEach((name, i) => { if (i % every === 0) ctx.fillText(short(ctx, name, left - 10), left - 6, box.top + (i + 0.5) * each); });
    for (const [i, at, from, to] of places) {
      const x = X(from), w = Math.max(1, X(to) - x - (X(to) - x > 4 ? 1 : 0)), v = box.top + at * each + 1, cause = trials.attempt.cause(i), state = trials.attempt.state(i), fault = FAULTS.has(cause);
      ctx.fillStyle = ctx.strokeStyle = shade(state); ctx.globalAlpha = state === "interrupted" ? 0.25 : state === "complete" ? 0.6 : 0.8; ctx.fillRect(x, v, w, each - 2);
      if (state === "interrupted" && w > 3) { ctx.globalAlpha = 1; ctx.lineWidth = 1; ctx.strokeRect(x + 0.5, v + 0.5, w - 1, each - 3); }
      ctx.globalAlpha = 1;
      if (fault && state !== "failed") { ctx.fillStyle = shade("failed"); ctx.fillRect(x + w - Math.min(3, w), v, Math.min(3, w), each - 2); }
      if (trials.data.attempts.resumed[i] && w > 6) { ctx.fillStyle = shade("card"); ctx.beginPath(); ctx.moveTo(x + 1, v + 1); ctx.lineTo(x + 5, v + (each - 2) / 2); ctx.lineTo(x + 1, v + each - 3); ctx.fill(); }
      const row = trials.data.attempts.row[i];
      plot.spots.push({ x, y: v, w, h: each - 2, row, text: () => `trial ${trials.number[row]}, attempt ${trials.data.attempts.number[i]}: ${state}${cause && cause !== state ? ` (${cause.replaceAll("_", " ")})` : ""}\n${duration(trials.data.attempts.seconds[i])}${trials.data.attempts.resumed[i] ? ", resumed from a checkpoint" : ""}${trials.attempt.reason(i) ? "\n" + trials.attempt.reason(i) : ""}` });
    }
  } });
}
