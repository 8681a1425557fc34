// One search as columns, and what follows from them.
const STATES = ["complete", "pruned", "failed", "infeasible", "running", "interrupted", "created"];

// The parameters of the study file, and those that an objective drew as it went.
const spaceOf = (data) => [...data.space, ...(data.facts.drawn || [])];

// One study's columns with what follows from them: which rows count, which is best, how long things took.
class Trials {
  constructor(data) {
    this.take(data);
  }
  // The same search later: whoever holds this sees what is new.
  take(data) {
    const raw = data.trials;
    Object.assign(this, {
      data,
      raw,
      count: raw.number.length,
      number: raw.number,
      metrics: data.study.metrics,
      params: Object.keys(raw.params),
    });
    for (const name of ["state", "cause", "reason", "source"]) this[name] = column(raw[name]);
    this.param = Object.fromEntries(this.params.map((name) => [name, column(raw.params[name])]));
    this.sign = this.metrics.map(({ goal }) => (goal === "maximize" ? -1 : 1));
    this.rows = Array.from({ length: this.count }, (_, row) => row);
    this.rowOf = new Map(raw.number.map((number, row) => [number, row]));
    this.gpu = raw.gpu_seconds.some((v) => v > 0);
    this.space = new Map(spaceOf(data).map((each) => [each.name, each]));
    this.best = data.best ? this.rowOf.get(data.best.trial) : undefined;
    this.attempts = Array.from({ length: this.count }, () => []);
    data.attempts.row.forEach((row, i) => this.attempts[row].push(i));
    this.attempt = Object.fromEntries(
      ["slot", "state", "cause", "reason", "host", "job", "code", "gpus"].map((name) => [
        name,
        column(data.attempts[name]),
      ]),
    );
  }
  value(row, objective = 0) {
    return this.raw.values[objective][row];
  }
  counts(row) {
    return this.state(row) === "complete" && this.raw.feasible[row] && isNumber(this.value(row));
  }
  text(row) {
    const values = this.metrics.map(({ name }, i) => `${name} ${figure(this.value(row, i))}`).join(", ");
    return `trial ${this.number[row]}: ${this.state(row)}${this.value(row) === null ? "" : "\n" + values}`;
  }
  scaleOf(name) {
    const known = this.space.get(name) || {};
    const values = this.rows.map((row) => this.param[name](row)).filter((v) => v !== null);
    if (!values.every(isNumber) || known.choices) {
      return scale("words", 0, 0, [...new Set([...(known.choices || []), ...values].map(shown))]);
    }
    const ends = isNumber(known.low) ? [known.low, known.high] : [];
    const [low, high] = extent([...ends, ...values]);
    return scale(known.log && low > 0 ? "log" : "linear", low, high, values.every(Number.isInteger));
  }
  place(name, row, to) {
    const value = this.param[name](row);
    return value === null ? null : to.part(to.kind === "words" ? shown(value) : value);
  }
}
const shown = (value) => (typeof value === "string" ? value : isNumber(value) ? figure(value) : JSON.stringify(value));
function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (!isNumber(v)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return low === Infinity ? [0, 1] : [low, high];
}

// Where an axis of values begins and ends: what lies far out on the bad side is left beyond it, and said.
function valueRange(values, sign) {
  const sorted = values.filter(isNumber).sort((a, b) => sign * (a - b));
  if (sorted.length < 8) return [...extent(sorted), 0];
  const part = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  const limit = part(0.75) + sign * 3 * Math.abs(part(0.75) - part(0));
  const inside = sorted.filter((v) => sign * (v - limit) <= 0);
  return [...extent(inside), sorted.length - inside.length];
}
const padded = ([low, high]) => [low - (high - low) * 0.05, high + (high - low) * 0.05];

// What a search can be drawn over: its name, and what each trial adds.
const OVER = {
  time: ["time since the start", (t, row) => t.raw.finished[row]],
  trials: ["trials finished", () => 1],
  epochs: ["epochs trained", (t, row) => t.raw.epochs[row]],
  hours: [null, (t, row) => (t.gpu ? t.raw.gpu_seconds[row] : t.raw.seconds[row]) / 3600],
};
const overName = (trials, over) => OVER[over][0] || (trials.gpu ? "GPU hours" : "hours of training");

// Finished rows in the order in which they ended, and where each stands on the axis that was asked for.
function inOrder(trials, over) {
  const rows = trials.rows
    .filter((row) => trials.raw.finished[row] !== null)
    .sort((a, b) => trials.raw.finished[a] - trials.raw.finished[b]);
  let sum = 0;
  return rows.map((row) => {
    const part = OVER[over][1](trials, row) || 0;
    sum = over === "time" ? part : sum + part;
    return [row, sum];
  });
}

// The trials at which the best so far changed: place on the axis, value, row.
function bestSoFar(trials, over, objective = 0) {
  let best = null;
  const found = [];
  for (const [row, x] of inOrder(trials, over)) {
    if (!trials.counts(row)) continue;
    const v = trials.value(row, objective);
    if (best === null || trials.sign[objective] * (v - best) < 0) {
      best = v;
      found.push([x, v, row]);
    }
  }
  return found;
}
