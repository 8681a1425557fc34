// Puts the page together: one study, or several side by side.
function navigation(parts) {
  const links = parts.map(([id, text]) => el("a", { href: "#" + id }, text));
  document.getElementById("nav").replaceChildren(
    el(
      "ul",
      {},
      links.map((link) => el("li", {}, link)),
    ),
  );
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries)
        if (isIntersecting)
          links.forEach((link) => {
            if (link.hash === "#" + target.id) link.setAttribute("aria-current", "true");
            else link.removeAttribute("aria-current");
          });
    },
    { rootMargin: "-15% 0px -75% 0px" },
  );
  parts.forEach(([id]) => watch.observe(document.getElementById(id)));
}

function show(parts) {
  const there = parts.filter(([, , node]) => node);
  document.getElementById("main").replaceChildren(...there.map(([, , node]) => node));
  navigation(there);
}

function oneStudy(data) {
  const trials = new Trials(data),
    pick = (row) => row !== undefined && detail.open(row);
  document.getElementById("head").replaceChildren(...headline(data));
  const view = new TrialTable(trials, pick),
    detail = new Detail(trials, view);
  show([
    ["warnings", "Worth knowing", warnings(data)],
    ["progress", "Best so far", progress(trials, pick)],
    ["best", "Best configuration", best(data)],
    ["pareto", "Pareto front", pareto(trials, pick)],
    ["followups", "After the search", followUps(data)],
    ["trials", "Trials", trials.count ? table(trials, view.view) : null],
    ["parameters", "Parameters", parameters(trials, view, pick, data)],
    ["curves", "Curves", curves(trials, view, pick)],
    ["analysis", "Analysis", analysis(data)],
    ["timeline", "Timeline", timeline(trials, pick)],
    ["failures", "Failures", failures(data, trials, pick)],
    ["searched", "What was searched", searched(data)],
    ["environment", "Environment", environment(data)],
  ]);
  const wake = () => view.render(true);
  new ResizeObserver(() => view.render()).observe(view.scroller);
  addEventListener("beforeprint", () => {
    view.printing = true;
    wake();
    document.querySelectorAll(".plot").forEach(({ plot }) => plot.shown || plot.now());
  });
  addEventListener("afterprint", () => {
    view.printing = false;
    wake();
  });
  addEventListener("keydown", (event) => {
    if (
      event.key === "/" &&
      !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) &&
      !document.querySelector("dialog[open]")
    ) {
      event.preventDefault();
      view.filter.focus();
    }
  });
  const asked = () => {
    const found = /^#trial-(\d+)$/.exec(location.hash);
    if (found && trials.rowOf.has(Number(found[1]))) pick(trials.rowOf.get(Number(found[1])));
  };
  addEventListener("hashchange", asked);
  asked();
}

function severalStudies(all) {
  document
    .getElementById("head")
    .replaceChildren(
      el(
        "div",
        { class: "top" },
        el(
          "div",
          {},
          el("h1", {}, all.map(({ study }) => study.name).join(" · ")),
          el(
            "p",
            { class: "quiet" },
            `${plural(all.length, "study", "studies")} side by side, as of ${moment(DATA.made_at)}`,
          ),
        ),
        el("div", { class: "tools" }, themeSwitch()),
      ),
    );
  show(comparison(all));
}

if (DATA.studies) severalStudies(DATA.studies);
else oneStudy(DATA);
window.outlastReady = true;
