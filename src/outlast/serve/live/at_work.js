// What runs now, a row each, and what has failed, by what it said.
function slots(studies, { named = true } = {}) {
  const rows = studies.flatMap((study) => (study.running || []).map((trial) => [study, trial]));
  const free = studies.reduce((sum, { slots, running }) => sum + Math.max(0, (slots || 0) - (running || []).length), 0);
  if (!rows.length && !studies.some(({ state }) => GOING.includes(state))) return null;
  const head = [...(named ? ["study"] : []), "trial", "for", "step", "last", "curve", "where"];
  return section(
    "slots",
    "Runs now",
    el(
      "div",
      { class: "scroll slots", tabindex: "0", role: "region", "aria-label": "What runs now" },
      plainTable(
        head,
        (name) => ["for", "step", "last"].includes(name),
        rows.map(([study, trial]) => slotRow(study, trial, named)),
      ),
    ),
    !named && free ? el("p", { class: "quiet small" }, `${plural(free, "slot")} free.`) : null,
  );
}

function slotRow(study, trial, named) {
  const job = trial.job ? `job ${trial.job}` : "",
    where = listed([slotName(trial.slot), trial.node, job, cards(trial.gpus.join(", "))]),
    state = trial.waits ? "waits for its job" : trial.suspended ? "suspended" : "";
  return el(
    "tr",
    { "data-key": `${study.key} ${trial.trial}` },
    named ? el("td", {}, el("a", { href: studyLink(study) }, nameOf(study))) : null,
    el(
      "td",
      {},
      el("a", { href: trialLink(study, trial.trial) }, `trial ${trial.trial}`),
      trial.attempt > 1 ? el("span", { class: "quiet" }, `, attempt ${trial.attempt}`) : null,
    ),
    el("td", { class: "num", "data-since": trial.since }, duration(Math.round(elapsed(trial.since)))),
    el("td", { class: "num" }, figure(trial.step)),
    el("td", { class: "num" }, figure(trial.value)),
    el(
      "td",
      { class: "curve" },
      trial.curve.length > 1 ? sparkline(study, trial) : el("span", { class: "quiet" }, "–"),
    ),
    el("td", {}, where.length ? where : "–", state ? el("span", { class: "quiet" }, ` ${state}`) : null),
  );
}

function sparkline(study, trial) {
  const plot = new Plot({
    label: `${study.metric.name} of trial ${trial.trial} so far, last ${figure(trial.value)}`,
    height: 28,
    draw(ctx, width, height) {
      const [low, high] = padded(extent(trial.curve.map(([, v]) => v))),
        [from, to] = extent(trial.curve.map(([step]) => step));
      ctx.strokeStyle = shade("running");
      ctx.lineWidth = 1.5;
      trace(
        ctx,
        trial.curve,
        (step) => 2 + ((step - from) / (to - from || 1)) * (width - 4),
        (v) => height - 2 - ((v - low) / (high - low || 1)) * (height - 4),
      );
    },
  });
  return plot.host;
}

function failureGroups(studies, { named = true } = {}) {
  const groups = studies.flatMap((study) => (study.failures || []).map((group) => [study, group]));
  if (!groups.length) return null;
  groups.sort(([, a], [, b]) => b.times - a.times);
  return section(
    "failed",
    "Failures",
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Failures that are alike" },
      plainTable(
        [...(named ? ["study"] : []), "times", "cause", "what it said", "trials"],
        (name) => name === "times",
        groups.slice(0, 40).map((group) => failureRow(...group, named)),
      ),
    ),
  );
}

function failureRow(study, { times: count, cause, reason, signature, trials }, named) {
  return el(
    "tr",
    { "data-key": `${study.key} ${cause} ${trials[0]}` },
    named ? el("td", {}, nameOf(study)) : null,
    el("td", { class: "num" }, count),
    el("td", {}, spaced(cause)),
    el("td", {}, reason || signature),
    el(
      "td",
      {},
      trials.map((number, i) => [i ? ", " : "", el("a", { href: trialLink(study, number) }, number)]),
      count > trials.length ? ", …" : "",
    ),
  );
}
