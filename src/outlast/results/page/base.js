// What everything below uses: the data, elements, figures as people read them. Text reaches the page as text, never as markup.
const DATA = JSON.parse(document.getElementById("data").textContent);

function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const isNumber = (value) => typeof value === "number";
const plural = (count, word, more) => `${count.toLocaleString("en")} ${count === 1 ? word : more || word + "s"}`;

function figure(value, digits = 5) {
  if (value === null || value === undefined) return "–";
  if (!isNumber(value)) return typeof value === "object" ? JSON.stringify(value) : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7))
    return value.toExponential(Math.max(0, digits - 2)).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(digits)));
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.round(seconds / 60),
    hours = Math.floor(minutes / 60),
    days = Math.floor(hours / 24);
  if (hours < 1) return `${minutes} min`;
  if (days < 2) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${days} d ${hours % 24} h`;
}

const moment = (iso) =>
  iso
    ? String(iso)
        .replace("T", " ")
        .replace(/(\.\d+)?(\+00:00|Z)$/, " UTC")
    : "–";
const at = (first, seconds) =>
  seconds === null || !first ? "–" : moment(new Date(Date.parse(first) + seconds * 1000).toISOString());

// A column of words is kept as its different words and which of them each row has.
function column(raw) {
  if (!raw) return () => null;
  if (Array.isArray(raw)) return (row) => raw[row];
  return (row) => (raw.at[row] < 0 ? null : raw.words[raw.at[row]]);
}

// The colours of the theme, looked up once until it changes.
const shades = new Map();
function shade(name) {
  if (!shades.has(name))
    shades.set(
      name,
      getComputedStyle(document.documentElement)
        .getPropertyValue("--" + name)
        .trim(),
    );
  return shades.get(name);
}
const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "");
// Cards are on record by their UUIDs, which nobody reads: their beginnings, and the whole to whoever points there.
const cards = (uuids) =>
  uuids
    ? el("span", { title: uuids }, uuids.replace(/\b((?:GPU|MIG)-[0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]+/gi, "$1…"))
    : null;
const listed = (parts) => parts.filter(Boolean).map((each, i) => [i ? ", " : "", each]);
const times = (count) => ["never", "once", "twice"][count] || `${count} times`;
const spaced = (word) => word.replaceAll("_", " ");
const slotName = (slot) => slot.replace(/^(local|kept):/, "slot "); // of this machine
const section = (id, title, ...children) =>
  el("section", { id, "aria-labelledby": id + "-title" }, el("h2", { id: id + "-title" }, title), ...children);

function copyButton(text, label = "Copy") {
  const button = el(
    "button",
    {
      type: "button",
      onclick: async () => {
        let done = false;
        try {
          await navigator.clipboard.writeText(text);
          done = true;
        } catch {
          done = copiedByHand(text);
        }
        button.textContent = done ? "Copied" : "Select and copy";
        setTimeout(() => {
          button.textContent = label;
        }, 1500);
      },
    },
    label,
  );
  return button;
}

// Pages from a disk may be refused the clipboard; a selection is not.
function copiedByHand(text) {
  const area = el("textarea", { readonly: true });
  area.value = text;
  (document.querySelector("dialog[open]") || document.body).append(area);
  area.select();
  try {
    return document.execCommand("copy");
  } finally {
    area.remove();
  }
}

const toCopy = (text) => el("div", { class: "copy" }, el("pre", {}, text), copyButton(text));

function facts(pairs) {
  return el(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => [
        el("dt", {}, name),
        el("dd", {}, value instanceof Node || Array.isArray(value) ? value : figure(value)),
      ]),
  );
}

// A table of rows below their heading; `numeric(name, i)`: whether a column's name stands to the right, above its figures.
function plainTable(head, numeric, rows) {
  return el(
    "table",
    { class: "plain" },
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        head.map((name, i) => el("th", { scope: "col", class: numeric(name, i) ? "num" : null }, name)),
      ),
    ),
    el("tbody", {}, rows),
  );
}

function grid(head, rows, { differs = () => false, numeric = [] } = {}) {
  const row = (cells) =>
    el(
      "tr",
      { class: differs(cells) ? "differs" : null },
      cells.map((cell, i) =>
        el(
          "td",
          { class: numeric.includes(i) ? "num" : null },
          cell instanceof Node ? cell : isNumber(cell) ? figure(cell) : cell,
        ),
      ),
    );
  return el(
    "div",
    { class: "scroll" },
    plainTable(head, (_, i) => numeric.includes(i), rows.map(row)),
  );
}
