// Bringing what is shown up to date without drawing it anew: what is the same stays, with its focus, selection and scroll.

// Make `old` say what `fresh` does. Elements with a data-key stay with it wherever it moves; a plot keeps its canvas.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return undefined;
  }
  if (old.plot && fresh.plot) return old.plot.become(fresh.plot);
  if (old.dataset.still) return undefined; // looks after itself
  for (const { name, value } of [...fresh.attributes])
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && name !== "style" && name !== "open") old.removeAttribute(name);
  if (old.style.width !== fresh.style.width) old.style.width = fresh.style.width;
  return morphChildren(old, [...fresh.childNodes]);
}

function morphChildren(parent, fresh) {
  const keyed = new Map(
    [...parent.children].filter((each) => each.dataset.key).map((each) => [each.dataset.key, each]),
  );
  let place = parent.firstChild;
  for (const each of fresh) {
    const key = each.dataset && each.dataset.key,
      known = key ? keyed.get(key) : place && !(place.dataset && place.dataset.key) ? place : null;
    if (!known) {
      parent.insertBefore(each, place);
      continue;
    }
    if (known !== place) parent.insertBefore(known, place);
    const next = known.nextSibling;
    morph(known, each);
    place = next;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// Whether somebody is copying from it.
function isMarked(node) {
  const said = document.getSelection();
  return Boolean(said && !said.isCollapsed && node.contains(said.anchorNode));
}

// A part of the report, drawn anew: its choices stay as they were, and so does the focus.
function renew(old, fresh) {
  if (isMarked(old)) return old;
  const named = (root) => [...root.querySelectorAll("select[aria-label]")];
  for (const select of named(fresh)) {
    const before = named(old).find((each) => each.getAttribute("aria-label") === select.getAttribute("aria-label"));
    if (before && before.value !== select.value) {
      select.value = before.value;
      select.dispatchEvent(new Event("change"));
    }
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  old.replaceWith(fresh);
  if (focused)
    named(fresh).forEach((each) => each.getAttribute("aria-label") === focused && each.focus({ preventScroll: true }));
  fresh.querySelectorAll(".plot").forEach(({ plot }) => plot.now());
  return fresh;
}
