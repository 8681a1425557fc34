// What the figures say in words and tables, and where it ran.
function analysis(data) {
  const all = data.facts.analysis;
  if (!all) return null;
  const found = all.objectives.flatMap((each) => objective(each, all.objectives.length > 1, data)).filter(Boolean);
  const apart = [apartFrom("pruned trials", all.pruned), apartFrom("failed trials", all.failed)].flat().filter(Boolean);
  if (apart.length)
    found.push(
      el("h3", {}, "What sets them apart"),
      el(
        "ul",
        {},
        apart.map((text) => el("li", {}, text)),
      ),
    );
  if (all.pruned_at && all.pruned_at.counts.length)
    found.push(el("p", {}, `Half of the pruned trials were given up by step ${figure(all.pruned_at.median)}.`));
  found.push(spent(all.spending));
  return section("analysis", "Analysis", found);
}

// How many of the best have the parameter at all: of so many are the shares.
const bestOf = (shares) => shares.reduce((sum, one) => sum + one.part, 0);

function objective(each, several, data) {
  const out = several ? [el("h3", {}, each.name)] : [],
    share = (part) => `${Math.round(100 * part)} %`;
  const tables = Object.entries(each.wins || {}).map(([name, shares]) => [
    el("h3", {}, `${name}: which value won how often`),
    grid(
      ["value", "trials", `of the best ${bestOf(shares)}`, "share of them (95 %)", "its best", "its median"],
      shares.map((one) => [
        shown(one.value),
        `${one.trials} (${share(one.share)})`,
        one.part,
        `${share(one.part_share)} (${share(one.low)} to ${share(one.high)})`,
        one.best,
        one.median,
      ]),
      { numeric: [4, 5] },
    ),
  ]);
  const ranks = (each.correlations || []).map((one) => [
    one.parameter,
    one.where ? `${one.where[0]} = ${shown(one.where[1])}` : "all trials",
    one.correlation.rho,
    `${figure(one.correlation.low, 2)} to ${figure(one.correlation.high, 2)}`,
    one.correlation.pairs,
  ]);
  const ends = (each.borders || []).map(
    ({ parameter, border }) =>
      `${parameter}: ${border.near} of the best ${border.of} lie at its ${border.end === "low" ? "lower" : "upper"} end, ${figure(border.bound)}${isNumber(border.widen_to) ? `; a range to ${figure(border.widen_to)} would tell more` : ""}.`,
  );
  const more = (each.further || []).map((gain) => [
    gain.trials,
    gain.gain,
    `${figure(gain.low, 3)} to ${figure(gain.high, 3)}`,
    share(gain.chance),
  ]);
  out.push(...tables);
  if (ranks.length)
    out.push(
      el("h3", {}, "Rank correlations"),
      grid(["parameter", "in", "ρ", "95 % interval", "trials"], ranks, { numeric: [2, 4] }),
    );
  if (ends.length)
    out.push(
      el("h3", {}, "At the border of a range"),
      el(
        "ul",
        {},
        ends.map((text) => el("li", {}, text)),
      ),
    );
  if (each.expected_best && each.expected_best.length > 2)
    out.push(el("h3", {}, "Expected best against the number of trials"), expectedPlot(each).host);
  if (more.length)
    out.push(
      el("h3", {}, "Would more trials have helped?"),
      el(
        "p",
        { class: "quiet small" },
        "If further trials were like these: the gain to expect, with its 80 % interval.",
      ),
      grid(["further trials", `gain in ${each.name}`, "interval", "chance of a new best"], more, {
        numeric: [0, 1],
      }),
    );
  return out;
}

function apartFrom(who, found) {
  return (found || []).map((one) =>
    one.category
      ? `${who} have ${one.parameter} = ${shown(one.category.value)} more often than others (${Math.round(100 * one.category.part_share)} % against ${Math.round(100 * one.category.share)} % of all)`
      : `${who} have a ${one.above > 0.5 ? "larger" : "smaller"} ${one.parameter} (median ${figure(one.median, 3)} against ${figure(one.others_median, 3)})`,
  );
}

function spent(spending) {
  if (!spending || !spending.states.length) return null;
  return [
    el("h3", {}, "What it cost"),
    grid(
      ["trials that are", "how many", "hours of training", "GPU hours", "median of one"],
      spending.states.map((one) => [
        one.state,
        one.trials,
        one.hours,
        one.gpu_hours || "–",
        duration(one.median_seconds),
      ]),
      { numeric: [1, 2, 3, 4] },
    ),
    isNumber(spending.per_trial)
      ? el(
          "p",
          { class: "quiet small" },
          `One more result costs about ${duration(spending.per_trial * 3600)}, failures on the way included.`,
        )
      : null,
  ];
}

function environment(data) {
  const { environment: env } = data;
  return section(
    "environment",
    "Environment",
    facts([
      ["Outlast", env.outlast],
      [
        "code",
        env.code.length ? env.code.map((code) => el("div", {}, el("code", {}, code))) : "no git commit on record",
      ],
      ["hosts", env.hosts.join(", ")],
      ["GPUs", env.gpus.join(", ")],
      ["study seed", String(env.study_seed)],
      ["folder", el("code", {}, data.study.folder)],
    ]),
    env.code.some((code) => code.includes("+"))
      ? el("p", { class: "quiet small" }, "What stands after + is a hash of changes that were not committed.")
      : null,
    env.packages && env.packages.length
      ? el(
          "details",
          {},
          el("summary", {}, `${env.packages.length} packages (${env.packages_of})`),
          el("pre", {}, env.packages.join("\n")),
        )
      : null,
    env.diff ? el("details", {}, el("summary", {}, "Changes that were not committed"), el("pre", {}, env.diff)) : null,
  );
}
