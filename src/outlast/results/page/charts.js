// Charts on a canvas: axes, layers, a tip for the nearest point. Drawn when they come into view, again when size or theme change.
const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries)
      if (isIntersecting) {
        seen.unobserve(target);
        target.plot.shown = true;
        target.plot.draw();
      }
  },
  { rootMargin: "300px" },
);
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.plot.shown) target.plot.draw();
});
function redrawAll() {
  shades.clear();
  document.querySelectorAll(".plot").forEach(({ plot }) => plot.shown && plot.draw());
}
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

class Plot {
  constructor({ height = 300, label, draw, onpick, minWidth = 0 }) {
    Object.assign(this, { height, paint: draw, onpick, minWidth, shown: false, spots: [] });
    this.canvas = el("canvas", { role: "img", "aria-label": label });
    this.host = el("div", { class: "plot" }, this.canvas);
    this.canvas.style.height = height + "px";
    if (minWidth) this.canvas.style.minWidth = minWidth + "px";
    this.host.plot = this;
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", hideTip);
    this.canvas.addEventListener("click", (event) => {
      const spot = this.nearest(event);
      if (spot && this.onpick && spot.row !== undefined) this.onpick(spot.row);
    });
    seen.observe(this.host);
    resized.observe(this.host);
  }
  draw() {
    const width = Math.max(this.host.clientWidth, this.minWidth),
      ratio = window.devicePixelRatio || 1;
    if (!width) return;
    this.canvas.width = width * ratio;
    this.canvas.height = this.height * ratio;
    const ctx = this.canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    ctx.font = FONT;
    this.spots = [];
    this.width = width;
    this.paint(ctx, width, this.height, this);
  }
  // Shows from now on what another plot would, on the canvas that is there.
  become(other) {
    seen.unobserve(other.host);
    resized.unobserve(other.host);
    Object.assign(this, { paint: other.paint, onpick: other.onpick });
    this.canvas.setAttribute("aria-label", other.canvas.getAttribute("aria-label"));
    if (this.shown) this.draw();
  }
  // At once, where nobody should see that it is a new one.
  now() {
    this.shown = true;
    this.draw();
  }
  nearest(event) {
    const box = this.canvas.getBoundingClientRect(),
      x = event.clientX - box.left,
      y = event.clientY - box.top;
    let best = null,
      least = 14 * 14;
    for (const spot of this.spots) {
      const far = spot.w
        ? x >= spot.x && x <= spot.x + spot.w && y >= spot.y && y <= spot.y + spot.h
          ? 0
          : Infinity
        : (spot.x - x) ** 2 + (spot.y - y) ** 2;
      if (far < least) {
        best = spot;
        least = far;
      }
    }
    return best;
  }
  hover(event) {
    const spot = this.nearest(event);
    this.canvas.style.cursor = spot && this.onpick ? "pointer" : "";
    if (spot) showTip(spot.text(), event.clientX, event.clientY);
    else hideTip();
  }
}

const tip = document.getElementById("tip");
function showTip(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = Math.max(4, y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18) + "px";
}
function hideTip() {
  tip.hidden = true;
}

// A scale: a place for each value, and ticks. `kind` is linear (words: true for whole numbers), log, time (seconds) or words.
function scale(kind, low, high, words) {
  if (kind === "words") {
    const index = new Map(words.map((word, i) => [word, i])),
      last = Math.max(1, words.length);
    return {
      kind,
      words,
      part: (value) => (index.has(value) ? (index.get(value) + 0.5) / last : null),
      ticks: () => words.map((word) => [word, word]),
    };
  }
  if (!(high - low > Math.max(1e-300, 1e-12 * Math.max(Math.abs(low), Math.abs(high))))) {
    // Nearer to each other than a tick can be: as one value.
    const pad = Math.abs(low) * 0.05 || 0.5;
    low -= kind === "log" ? 0 : pad;
    high = kind === "log" ? high * 1.1 : high + pad;
  }
  const to = kind === "log" ? Math.log10 : (v) => v,
    a = to(low),
    b = to(high);
  return {
    kind,
    low,
    high,
    part: (value) => (isNumber(value) ? (to(value) - a) / (b - a) : null),
    ticks: (count) =>
      (kind === "log"
        ? decades(low, high, count)
        : steps(low, high, count, { unit: kind === "time" ? unitOf(high)[0] : 1, whole: words === true })
      ).map((v) => [v, kind === "time" ? clock(v, high) : figure(v, 4)]),
  };
}
const UNITS = [
  [1, "s"],
  [60, "min"],
  [3600, "h"],
  [86400, "d"],
];
const unitOf = (most) => UNITS[most < 180 ? 0 : most < 10800 ? 1 : most < 259200 ? 2 : 3];
const clock = (seconds, most) => (seconds === 0 ? "0" : `${figure(seconds / unitOf(most)[0], 3)} ${unitOf(most)[1]}`);
const MOST_STEPS = 1000; // where a step is less than what two numbers can differ by, there would be no end of them
function steps(low, high, count, { unit = 1, whole = false } = {}) {
  const raw = Math.max((high - low) / Math.max(1, count) / unit, whole ? 1 : 0);
  const size = 10 ** Math.floor(Math.log10(raw)),
    step = (whole ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10]).map((m) => m * size).find((s) => s >= raw * 0.999) * unit,
    found = [];
  const first = Math.ceil(low / step - 1e-9);
  for (let i = 0; i < MOST_STEPS && (first + i) * step <= high + step * 1e-9; i += 1) {
    const v = (first + i) * step;
    found.push(Math.abs(v) < step * 1e-9 ? 0 : Number(v.toPrecision(12)));
  }
  return found;
}
function decades(low, high, count) {
  const a = Math.ceil(Math.log10(low) - 1e-9),
    b = Math.floor(Math.log10(high) + 1e-9),
    every = Math.max(1, Math.ceil((b - a + 1) / count)),
    found = [];
  for (let e = a; e <= b; e += every) found.push(10 ** e);
  return found.length > 1 ? found : steps(low, high, count);
}

// Frame, grid and ticks; returns what turns values into places.
function axes(ctx, width, height, { x, y, xlabel = "", ylabel = "", left }) {
  const line = shade("line"),
    quiet = shade("quiet"),
    ink = shade("ink");
  const yticks = y.ticks(Math.max(2, Math.floor((height - 60) / 45)));
  ctx.font = FONT;
  const labels = yticks.map(([, text]) => short(ctx, text, 110));
  const box = {
    left: left || Math.min(130, 14 + Math.max(10, ...labels.map((t) => ctx.measureText(t).width)) + (ylabel ? 16 : 0)),
    right: width - 10,
    top: 10,
    bottom: height - (xlabel ? 40 : 24),
  };
  const X = (value) => {
    const part = x.part(value);
    return part === null ? null : box.left + part * (box.right - box.left);
  };
  const Y = (value) => {
    const part = y.part(value);
    return part === null ? null : box.bottom - part * (box.bottom - box.top);
  };
  ctx.strokeStyle = line;
  ctx.lineWidth = 1;
  ctx.fillStyle = quiet;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  yticks.forEach(([value], i) => {
    const v = Math.round(Y(value)) + 0.5;
    if (y.kind !== "words") stroke(ctx, box.left, v, box.right, v);
    ctx.fillText(labels[i], box.left - 6, v);
  });
  ctx.textBaseline = "top";
  ctx.textAlign = "center";
  let xticks = x.ticks(Math.max(2, Math.floor((box.right - box.left) / 66)));
  const room = (box.right - box.left) / Math.max(1, xticks.length) - 6;
  let until = -Infinity;
  for (const [value, text] of xticks) {
    const h = Math.round(X(value)) + 0.5,
      shown = short(ctx, text, Math.max(30, room)),
      half = ctx.measureText(shown).width / 2;
    if (x.kind !== "words") stroke(ctx, h, box.top, h, box.bottom);
    const place = Math.min(h, width - half - 1);
    if (place - half > until) {
      ctx.fillText(shown, place, box.bottom + 6);
      until = place + half + 4;
    }
  }
  ctx.strokeStyle = quiet;
  stroke(ctx, box.left, box.bottom + 0.5, box.right, box.bottom + 0.5);
  ctx.fillStyle = ink;
  if (xlabel) {
    ctx.textBaseline = "bottom";
    ctx.fillText(short(ctx, xlabel, box.right - box.left), (box.left + box.right) / 2, height - 2);
  }
  if (ylabel) {
    ctx.save();
    ctx.translate(11, (box.top + box.bottom) / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.textBaseline = "middle";
    ctx.fillText(short(ctx, ylabel, box.bottom - box.top), 0, 0);
    ctx.restore();
  }
  return { X, Y, box };
}
function stroke(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
function short(ctx, text, room) {
  text = String(text);
  if (ctx.measureText(text).width <= room) return text;
  let keep = Math.min(text.length, Math.max(1, Math.floor((text.length * room) / ctx.measureText(text).width)));
  while (keep > 1 && ctx.measureText(text.slice(0, keep) + "…").width > room) keep -= 1;
  return text.slice(0, keep) + "…";
}
// Whatever is drawn by this stays inside the frame, but for the halves of points on its edge.
function within(ctx, box, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left - 5, box.top - 5, box.right - box.left + 10, box.bottom - box.top + 10);
  ctx.clip();
  draw();
  ctx.restore();
}
// A line through points; it breaks off where a value is none.
function trace(ctx, points, X, Y) {
  let open = false;
  ctx.beginPath();
  for (const [x, y] of points) {
    if (isNumber(y)) ctx[open ? "lineTo" : "moveTo"](X(x), Y(y));
    open = isNumber(y);
  }
  ctx.stroke();
}
// A filled dot for what is complete, a ring for what was pruned, a cross for what failed: told apart without colour as well.
function spot(ctx, state, x, y, r = 3) {
  ctx.beginPath();
  if (state === "failed" || state === "infeasible") {
    ctx.moveTo(x - r, y - r);
    ctx.lineTo(x + r, y + r);
    ctx.moveTo(x - r, y + r);
    ctx.lineTo(x + r, y - r);
    ctx.stroke();
    return;
  }
  ctx.arc(x, y, r, 0, 7);
  if (state === "pruned") ctx.stroke();
  else ctx.fill();
}
// Cividis, in nine steps: even in lightness, the same for most kinds of colour vision (Nuñez, Anderton and Renslow 2018).
const RAMP = [
  [0, 34, 78],
  [25, 53, 106],
  [63, 76, 108],
  [92, 98, 110],
  [124, 123, 120],
  [157, 148, 112],
  [193, 175, 98],
  [229, 204, 75],
  [254, 232, 56],
];
function ramp(part) {
  const place = Math.max(0, Math.min(1, part)) * (RAMP.length - 1),
    i = Math.min(RAMP.length - 2, Math.floor(place)),
    f = place - i;
  return `rgb(${RAMP[i].map((v, k) => Math.round(v + (RAMP[i + 1][k] - v) * f)).join(",")})`;
}
