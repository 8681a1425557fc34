// What happened to a search: who trained what when, and what went wrong.
function timeline(trials, pick) {
  if (!trials.data.attempts.row.length) return null;
  const faults = trials.data.attempts.row.filter((_, i) => FAULTS.has(trials.attempt.cause(i))).length,
    resumed = trials.data.attempts.resumed.filter(Boolean).length;
  return section(
    "timeline",
    "Timeline",
    el(
      "p",
      { class: "quiet" },
      `${plural(trials.data.attempts.row.length, "attempt")}, ${plural(faults, "fault")}, ${resumed.toLocaleString("en")} resumed from a checkpoint.`,
    ),
    timelinePlot(trials, pick).host,
    legend([
      ["box", "complete", "complete"],
      ["box", "pruned", "pruned"],
      ["box hollow", "interrupted", "interrupted, goes on later"],
      ["box", "failed", "failed; a narrow edge: a fault that the trial outlived"],
      ["box", "running", "runs"],
    ]),
    incidents(trials.data, pick, trials),
  );
}

function incidents(data, pick, trials) {
  const found = data.facts.incidents || [],
    shownOnes = found.slice(-200),
    before = found.length - shownOnes.length + (data.facts.incidents_before || 0),
    open = (number) => el("button", { type: "button", onclick: () => pick(trials.rowOf.get(number)) }, number);
  return found.length
    ? el(
        "details",
        {},
        el("summary", {}, plural(shownOnes.length + before, "incident")),
        before ? el("p", { class: "quiet small" }, `The latest ${shownOnes.length} of them.`) : null,
        grid(
          ["when", "what", "trials", "times", "until"],
          shownOnes.map((each) => [
            moment(each.at),
            each.text,
            el("span", {}, (each.trials || []).map((number, i) => [i ? ", " : "", open(number)])),
            each.times > 1 ? each.times : "",
            each.times > 1 ? moment(each.until) : "",
          ]),
        ),
      )
    : null;
}

function failures(data, trials, pick) {
  const groups = (data.facts.failures || []).slice(0, 60);
  if (!groups.length) return null;
  return section(
    "failures",
    "Failures",
    groups.map((group) =>
      el(
        "details",
        { open: groups.length < 4 },
        el("summary", {}, `${plural(group.trials.length, "trial")}: ${group.reason || spaced(group.cause)}`),
        facts([
          ["cause", spaced(group.cause)],
          ["signature", group.signature ? el("code", {}, group.signature) : null],
          [
            "all of them have",
            Object.entries(group.shared)
              .map(([name, value]) => `${name} = ${shown(value)}`)
              .concat(group.ranges.map((r) => `${r.parameter} ${r.is} ${figure(r.than)}`))
              .join(", ") || null,
          ],
          [
            "trials",
            el(
              "span",
              {},
              group.trials.slice(0, 12).map((number, i) => [
                i ? ", " : "",
                el(
                  "a",
                  {
                    href: `#trial-${number}`,
                    onclick: (event) => {
                      event.preventDefault();
                      pick(trials.rowOf.get(number));
                    },
                  },
                  number,
                ),
              ]),
              group.trials.length > 12 ? ` and ${group.trials.length - 12} more` : "",
            ),
          ],
        ]),
        data.stories[group.trials[0]] ? el("pre", {}, data.stories[group.trials[0]]) : null,
      ),
    ),
  );
}
