// The table of trials: only the rows in view are elements. One filter for the table, the parallel coordinates and the curves.
const ROW = 32;
const CONDITION = /(?:"([^"]+)"|([^\s<>=!~"]+))\s*(<=|>=|!=|=|<|>|~)\s*(?:"([^"]*)"|(\S+))|"([^"]+)"|(\S+)/g;

class TrialTable {
  constructor(trials, open) {
    Object.assign(this, {
      trials,
      open,
      states: new Set(),
      query: "",
      listeners: [],
      active: 0,
      sorted: null,
      down: false,
    });
    this.columns = this.allColumns();
    this.filter = el("input", {
      type: "search",
      class: "grow",
      placeholder: this.example(),
      "aria-label": "Filter trials",
      spellcheck: "false",
      autocomplete: "off",
      oninput: () => {
        this.query = this.filter.value;
        this.update();
      },
    });
    this.said = el("span", { class: "quiet small", role: "status", "aria-live": "polite" });
    this.chips = el("span", { class: "controls" });
    this.body = el("tbody");
    this.table = el(
      "table",
      { "aria-label": "Trials" },
      (this.widths = el("colgroup")),
      el("thead", {}, (this.top = el("tr", { "aria-rowindex": 1 }))),
      this.body,
    );
    this.scroller = el(
      "div",
      {
        class: "scroll trials",
        tabindex: "0",
        role: "region",
        "aria-label": "Trials; arrow keys choose one, Enter opens it",
        onscroll: () => this.render(),
        onkeydown: (event) => this.key(event),
      },
      this.table,
    );
    this.view = [el("div", { class: "controls" }, this.filter, this.chips), this.said, this.scroller];
    this.lay();
    this.sort(2);
    if (trials.sign[0] < 0) this.sort(2);
  }
  // Chips for the states that there are, and the head of each column.
  lay() {
    const { trials } = this,
      there = STATES.filter(
        (state) => this.states.has(state) || trials.rows.some((row) => trials.state(row) === state),
      );
    this.chips.replaceChildren(
      ...there.map((state) =>
        el(
          "button",
          {
            type: "button",
            "aria-pressed": String(this.states.has(state)),
            onclick: (event) => this.toggle(state, event.currentTarget),
          },
          el("span", { class: `dot s-${state}` }),
          state,
        ),
      ),
    );
    this.heads = this.columns.map((col, i) =>
      el(
        "th",
        { scope: "col", "aria-sort": "none", class: col.numeric ? "num" : null },
        el("button", { type: "button", title: `Sort by ${col.name}`, onclick: () => this.sort(i) }, col.name),
      ),
    );
    this.top.replaceChildren(...this.heads);
    this.widths.replaceChildren(
      ...this.columns.map((col) => {
        const c = el("col");
        c.style.width = col.width + "px";
        return c;
      }),
    );
    this.there = there.join();
    this.mark();
  }
  // The trials have changed: what is sorted, filtered, chosen and in view stays so.
  adopt() {
    const { trials } = this,
      names = this.columns.map(({ name }) => name),
      chosen = this.rows[this.active];
    this.columns = this.allColumns();
    const there = STATES.filter(
      (state) => this.states.has(state) || trials.rows.some((row) => trials.state(row) === state),
    );
    if (there.join() !== this.there || this.columns.map(({ name }) => name).join() !== names.join()) this.lay();
    this.update(true);
    if (this.rows.includes(chosen)) this.active = this.rows.indexOf(chosen);
    this.render(true);
  }
  example() {
    const name = this.trials.params.find((param) => isNumber(this.trials.param[param](0)));
    return name
      ? `such as ${/\s/.test(name) ? `"${name}"` : name}<${figure(this.trials.param[name](0), 2)} state=complete`
      : "such as state=complete";
  }
  allColumns() {
    const t = this.trials,
      raw = t.raw,
      seconds = (get) => (row) => duration(get(row));
    const found = [
      { name: "trial", get: (row) => t.number[row], numeric: true, width: 72 },
      {
        name: "state",
        get: t.state,
        width: 118,
        cell: (row) => el("span", { class: `s-${t.state(row)}` }, el("span", { class: "dot" }), t.state(row)),
      },
      ...t.metrics.map(({ name }, i) => ({ name, get: (row) => t.value(row, i), numeric: true })),
      ...t.params.map((name) => ({ name, get: t.param[name], numeric: Array.isArray(raw.params[name]) })),
      {
        name: "duration",
        get: (row) => raw.seconds[row],
        numeric: true,
        width: 110,
        show: seconds((row) => raw.seconds[row]),
      },
      { name: "epochs", get: (row) => raw.epochs[row], numeric: true, width: 84 },
      { name: "attempts", get: (row) => t.attempts[row].length, numeric: true, width: 94 },
      {
        name: "cause",
        get: (row) => (t.state(row) === "complete" ? "" : t.cause(row)),
        width: 140,
        show: (row) => (t.state(row) === "complete" ? "" : spaced(t.cause(row) || "")),
      },
      { name: "reason", get: t.reason, width: 320 },
    ];
    for (const col of found) {
      const some = t.rows
        .filter((_, i) => i % Math.max(1, Math.floor(t.count / 40)) === 0)
        .map((row) => String(figure(col.get(row))).length);
      col.width = col.width || Math.max(84, Math.min(260, 24 + 8 * Math.max(col.name.length + 2, ...some)));
    }
    return found;
  }
  toggle(state, chip) {
    if (!this.states.delete(state)) this.states.add(state);
    chip.setAttribute("aria-pressed", String(this.states.has(state)));
    this.update();
  }
  sort(i) {
    if (this.sorted === i && this.down) {
      this.sorted = null;
      this.down = false;
    } else if (this.sorted === i) this.down = true;
    else {
      this.sorted = i;
      this.down = false;
    }
    this.mark();
    this.update();
  }
  mark() {
    this.heads.forEach((head, k) => {
      head.setAttribute("aria-sort", k !== this.sorted ? "none" : this.down ? "descending" : "ascending");
      head.firstChild.textContent = this.columns[k].name + (k !== this.sorted ? "" : this.down ? " ↓" : " ↑");
    });
  }
  // What the query asks for: a test for each of its words, or what is wrong with it.
  tests() {
    const found = [];
    for (const match of this.query.matchAll(CONDITION)) {
      const name = match[1] ?? match[2],
        sign = match[3],
        word = match[4] ?? match[5],
        free = match[6] ?? match[7];
      if (free !== undefined) {
        const low = free.toLowerCase();
        found.push((row) =>
          this.columns.some((col) =>
            String(col.get(row) ?? "")
              .toLowerCase()
              .includes(low),
          ),
        );
        continue;
      }
      const col = this.columns.find((each) => each.name === name);
      if (!col) return { error: `no column is called ${name}` };
      found.push((row) => compare(col.get(row), sign, word));
    }
    return { found };
  }
  update(again = false) {
    const { found, error } = this.tests(),
      { trials } = this;
    this.said.className = error ? "error small" : "quiet small";
    if (!error) {
      this.rows = trials.rows.filter(
        (row) => (!this.states.size || this.states.has(trials.state(row))) && found.every((test) => test(row)),
      );
      if (this.sorted !== null) {
        const { get } = this.columns[this.sorted],
          keys = new Map(this.rows.map((row) => [row, get(row)])),
          sign = this.down ? -1 : 1;
        this.rows.sort((a, b) => order(keys.get(a), keys.get(b), sign) || a - b);
      }
    }
    const filtered = this.rows.length !== trials.count;
    this.said.textContent =
      error ||
      `${filtered ? `${this.rows.length.toLocaleString("en")} of ` : ""}${plural(trials.count, "trial")}${this.sorted === null ? "" : `, by ${this.columns[this.sorted].name}`}`;
    this.active = Math.min(this.active, Math.max(0, this.rows.length - 1));
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.inside = filtered ? new Set(this.rows) : null;
    if (!again) this.scroller.scrollTop = 0;
    this.render(true);
    this.listeners.forEach((listen) => listen());
  }
  render(anew = false) {
    const height = this.scroller.clientHeight || 480,
      most = Math.ceil(height / ROW) + 12;
    const first = this.printing
        ? 0
        : Math.max(0, Math.min(this.rows.length - most, Math.floor(this.scroller.scrollTop / ROW) - 6)),
      last = Math.min(this.rows.length, first + (this.printing ? 60 : most));
    if (!anew && this.first === first && this.last === last) return;
    Object.assign(this, { first, last });
    const pad = (rows) => {
      const cell = el("td", { colspan: this.columns.length });
      cell.style.height = rows * ROW + "px";
      return rows > 0 ? el("tr", { class: "pad", "aria-hidden": "true" }, cell) : null;
    };
    this.body.replaceChildren();
    add(this.body, [
      this.printing ? null : pad(first),
      this.rows.slice(first, last).map((row, i) => this.line(row, first + i)),
      this.printing ? null : pad(this.rows.length - last),
    ]);
  }
  line(row, place) {
    const { trials } = this;
    return el(
      "tr",
      {
        "aria-rowindex": place + 2,
        "data-trial": trials.number[row],
        class: [place === this.active ? "active" : "", row === trials.best ? "best" : ""].join(" ").trim() || null,
        onclick: () => {
          this.active = place;
          this.render(true);
          this.open(row);
        },
      },
      this.columns.map((col) => {
        const text = col.show ? col.show(row) : figure(col.get(row));
        return el(
          "td",
          { class: col.numeric ? "num" : null, title: text.length > 24 ? text : null },
          col.cell ? col.cell(row) : text,
        );
      }),
    );
  }
  key(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 2),
      last = this.rows.length - 1;
    const to = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: last,
    }[event.key];
    if (event.target !== this.scroller) return;
    if (event.key === "Enter" && this.rows.length) {
      event.preventDefault();
      this.open(this.rows[this.active]);
    }
    if (to === undefined) return;
    event.preventDefault();
    this.active = Math.max(0, Math.min(last, to));
    const y = this.active * ROW,
      height = this.scroller.clientHeight - 2 * ROW;
    if (y < this.scroller.scrollTop) this.scroller.scrollTop = y;
    else if (y > this.scroller.scrollTop + height) this.scroller.scrollTop = y - height;
    this.render(true);
  }
}

function order(a, b, sign) {
  if (a === null || a === undefined || a === "") return b === null || b === undefined || b === "" ? 0 : 1;
  if (b === null || b === undefined || b === "") return -1;
  if (isNumber(a) && isNumber(b)) return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

function compare(value, sign, word) {
  if (value === null || value === undefined) return sign === "!=";
  const number = Number(word),
    numeric = isNumber(value) && word !== "" && !Number.isNaN(number),
    [a, b] = numeric ? [value, number] : [String(value).toLowerCase(), word.toLowerCase()];
  switch (sign) {
    case "=":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case ">":
      return a > b;
    case "<=":
      return a <= b;
    case ">=":
      return a >= b;
    default:
      return String(value).toLowerCase().includes(word.toLowerCase());
  }
}
