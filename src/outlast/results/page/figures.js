// Charts of what was worked out from all trials.
// Bars with whiskers: a name, a value, and how far it may be off.
function barsPlot(bars, { label, digits = 2 }) {
  return new Plot({
    label: `${label}: ${bars.map((bar) => `${bar.name} ${figure(bar.value, digits)}`).join(", ")}`,
    height: 26 * bars.length + 46,
    draw(ctx, width, height, plot) {
      const y = scale("words", 0, 0, bars.map((bar) => bar.name).reverse()),
        top = Math.max(...bars.map((bar) => bar.high ?? bar.value), 1e-9);
      const { X, Y } = axes(ctx, width, height, { x: scale("linear", 0, top * 1.04), y, xlabel: label });
      for (const bar of bars) {
        const v = Y(bar.name),
          zero = X(0),
          to = X(Math.max(0, bar.value));
        ctx.fillStyle = shade("complete");
        ctx.globalAlpha = 0.85;
        ctx.fillRect(zero, v - 7, Math.max(1, to - zero), 14);
        ctx.globalAlpha = 1;
        if (isNumber(bar.low) && isNumber(bar.high)) {
          whiskers(ctx, X(Math.max(0, bar.low)), X(bar.high), v);
        }
        plot.spots.push({
          x: zero,
          y: v - 12,
          w: width - zero,
          h: 24,
          text: () =>
            `${bar.name}: ${figure(bar.value, 3)}${isNumber(bar.low) ? ` (${figure(bar.low, 3)} to ${figure(bar.high, 3)})` : ""}`,
        });
      }
    },
  });
}

function expectedPlot(each) {
  const points = each.expected_best;
  return new Plot({
    label: `Expected best ${each.name} against the number of trials`,
    height: 260,
    draw(ctx, width, height, plot) {
      const x = scale(
          points[points.length - 1].trials > 20 ? "log" : "linear",
          points[0].trials,
          points[points.length - 1].trials,
        ),
        range = extent(points.slice(points.length > 10 ? 2 : 0).flatMap((p) => [p.low, p.high]));
      const { X, Y, box } = axes(ctx, width, height, {
        x,
        y: scale("linear", ...padded(range)),
        xlabel: "trials",
        ylabel: `expected best ${each.name}`,
      });
      ctx.save();
      ctx.beginPath();
      ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      ctx.clip();
      ctx.fillStyle = shade("complete");
      ctx.globalAlpha = 0.18;
      ctx.beginPath();
      points.forEach((p, i) => ctx[i ? "lineTo" : "moveTo"](X(p.trials), Y(p.high)));
      [...points].reverse().forEach((p) => ctx.lineTo(X(p.trials), Y(p.low)));
      ctx.fill();
      ctx.globalAlpha = 1;
      ctx.strokeStyle = shade("complete");
      ctx.lineWidth = 2;
      ctx.beginPath();
      points.forEach((p, i) => {
        ctx[i ? "lineTo" : "moveTo"](X(p.trials), Y(p.mean));
        plot.spots.push({
          x: X(p.trials),
          y: Y(p.mean),
          text: () =>
            `${plural(p.trials, "trial")}: ${figure(p.mean)}\n8 of 10 searches: ${figure(p.low)} to ${figure(p.high)}`,
        });
      });
      ctx.stroke();
      ctx.restore();
    },
  });
}

function whiskers(ctx, from, to, y) {
  ctx.strokeStyle = shade("ink");
  ctx.lineWidth = 1.5;
  stroke(ctx, from, y, to, y);
  stroke(ctx, from, y - 4, from, y + 4);
  stroke(ctx, to, y - 4, to, y + 4);
}
