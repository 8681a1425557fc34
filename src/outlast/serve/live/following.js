// A log that is followed: what is new is appended; what somebody reads or has marked stays where it is.
const MOST_PIECES = 200; // of up to 64 KiB

class Log {
  constructor(path) {
    Object.assign(this, { path, source: "", after: 0, ended: false });
    this.rest = document.createTextNode("");
    this.box = el("pre", { class: "log", tabindex: "0", role: "log", "aria-label": "Output" }, this.rest);
    this.note = el("p", { class: "quiet small" }, "Asking for it …");
    this.view = el("div", {}, this.note, this.box);
    this.again();
  }
  async again() {
    if (this.ended) return;
    const found = await ask(`${this.path}?source=${encodeURIComponent(this.source)}&after=${this.after}`);
    if (this.ended) return;
    if (found && found.said && found.status === 200) this.take(found.said);
    this.timer = setTimeout(() => this.again(), document.hidden ? LATER : SOON);
  }
  take(said) {
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 24;
    if (said.source !== this.source || said.from !== this.after) {
      while (this.box.firstChild !== this.rest) this.box.firstChild.remove();
      this.skipped = said.from > 0;
    }
    Object.assign(this, { source: said.source, after: said.to });
    if (said.lines) this.box.insertBefore(document.createTextNode(said.lines), this.rest);
    if (this.rest.data !== said.rest) this.rest.data = said.rest;
    if (this.box.childNodes.length > MOST_PIECES) {
      this.box.firstChild.remove();
      this.skipped = true;
    }
    this.note.textContent =
      said.none || (!said.to && !said.rest) ? "It has printed nothing." : this.skipped ? "The end of it:" : "";
    this.box.hidden = !said.to && !said.rest;
    if (atEnd) this.box.scrollTop = this.box.scrollHeight;
  }
  end() {
    this.ended = true;
    clearTimeout(this.timer);
  }
}
