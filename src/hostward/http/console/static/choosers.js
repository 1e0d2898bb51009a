// Fields that take many names. The text area stays the field that is sent, one name a line; over it lie what is chosen, as
// labels, and a field for which the server suggests names while somebody types. What is typed counts without being chosen.
const WAIT_MS = 100;
const MAX_ASKED = 500; // characters
const SHOWN = 24; // labels; more names than that are read and changed as text
const base = document.querySelector("meta[name=base]").content;
const parts = document.getElementById("chooser");
const same = (one, other) => one.toLowerCase() === other.toLowerCase();
const part = (name) => parts.content.querySelector(`[data-is=${name}]`).content.firstElementChild.cloneNode(true);
const lines = (text) => text.split(/[\r\n]+/).map((line) => line.trim()).filter(Boolean);

class Chooser {
  constructor(area) {
    this.area = area;
    this.whole = parts.content.firstElementChild.cloneNode(true);
    const one = (name) => this.whole.querySelector(`[data-is=${name}]`);
    [this.box, this.list, this.field, this.found, this.options, this.said, this.told, this.chosen, this.toggle] =
      ["box", "list", "field", "found", "options", "said", "told", "chosen", "as-text"].map(one);
    this.id = area.id;
    this.options.id = `${this.id}-found`;
    this.chosen.id = `${this.id}-chosen`;
    this.field.setAttribute("aria-controls", this.options.id);
    this.field.setAttribute("aria-describedby", [area.getAttribute("aria-describedby"), this.chosen.id].filter(Boolean).join(" "));
    this.text = area.parentElement;
    this.text.before(this.whole);
    one("place").append(this.text);
    this.asText(false);
    this.listen();
  }

  listen() {
    this.field.addEventListener("input", () => {
      this.write();
      if (this.field.value.trim()) this.look();
      else this.close();
    });
    this.field.addEventListener("click", () => { if (this.found.hidden) this.look(); });
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.field.addEventListener("paste", (event) => this.paste(event));
    this.box.addEventListener("click", (event) => { if (event.target === this.box || event.target === this.list) this.field.focus(); });
    this.whole.addEventListener("focusout", ({ relatedTarget }) => { if (!this.whole.contains(relatedTarget)) this.close(); });
    this.found.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    this.options.addEventListener("click", ({ target }) => this.pick(target.closest("[role=option]"), true));
    this.list.addEventListener("click", ({ target }) => this.remove(target.closest("[data-name]")?.dataset.name));
    this.list.addEventListener("keydown", (event) => this.labelKey(event));
    this.toggle.addEventListener("click", () => {
      this.asText(!this.box.hidden);
      (this.box.hidden ? this.area : this.field).focus();
    });
    this.area.addEventListener("change", () => this.read());
    this.area.form?.addEventListener("reset", () => setTimeout(() => this.read()));
    const place = this.whole.closest("[data-field]");
    if (place) new MutationObserver(() => this.mark()).observe(place, { childList: true, subtree: true });
  }

  // What is seen carries the id, so that the label of the form leads there.
  asText(on) {
    this.box.hidden = on;
    this.text.hidden = !on;
    this.area.id = on ? this.id : `${this.id}-text`;
    this.field.id = on ? `${this.id}-field` : this.id;
    this.toggle.textContent = on ? "Choose" : "As text";
    this.close();
    if (!on) this.read();
  }

  read() {
    this.names = [];
    this.add(lines(this.area.value));
    this.field.value = "";
    this.draw();
  }

  write() {
    this.area.value = [...this.names, this.field.value.trim()].filter(Boolean).join("\n");
  }

  changed(said) {
    this.write();
    this.draw();
    this.told.textContent = `${said}; ${this.names.length.toLocaleString("en")} chosen`;
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  draw() {
    const hidden = Math.max(0, this.names.length - SHOWN);
    const labels = this.names.slice(hidden).map((name) => {
      const item = part("label");
      const button = item.querySelector("button");
      button.dataset.name = name;
      button.setAttribute("aria-label", `Remove ${name}`);
      const text = item.querySelector("[data-is=text]");
      text.textContent = text.title = name;
      return item;
    });
    if (hidden) labels.unshift(this.more(hidden));
    this.list.replaceChildren(...labels);
    this.list.hidden = !labels.length;
    this.list.querySelector("li:last-child button")?.removeAttribute("tabindex");
    this.chosen.textContent = this.names.length ? `Chosen: ${this.names.slice(hidden).join(", ")}${hidden ? `, and ${hidden.toLocaleString("en")} more` : ""}` : "";
    this.mark();
  }

  more(hidden) {
    const item = part("more");
    const button = item.querySelector("button");
    button.querySelector("span").textContent = `${hidden.toLocaleString("en")} more`;
    button.addEventListener("click", () => { this.asText(true); this.area.focus(); });
    return item;
  }

  // What the answer to the form says isn't there is marked where it is.
  mark() {
    const said = [...this.whole.closest("[data-field]")?.querySelectorAll(".hw-mistake") ?? []].map((shown) => shown.textContent).join("\n");
    for (const button of this.list.querySelectorAll("[data-name]")) {
      const label = button.closest("li").firstElementChild;
      const wrong = said.includes(`“${button.dataset.name}”`);
      label.classList.toggle("pf-m-danger", wrong);
      label.classList.toggle("pf-m-outline", !wrong);
      label.querySelector("[data-is=wrong]").hidden = !wrong;
    }
  }

  add(names) {
    const before = this.names.length;
    const seen = new Set(this.names.map((name) => name.toLowerCase()));
    for (const name of names) if (seen.size !== seen.add(name.toLowerCase()).size) this.names.push(name);
    return this.names.length - before;
  }

  remove(name) {
    if (name === undefined) return;
    const buttons = [...this.list.querySelectorAll("[data-name]")];
    const next = buttons.findIndex((button) => button.dataset.name === name);
    const focused = this.list.contains(document.activeElement);
    this.names = this.names.filter((other) => other !== name);
    this.changed(`${name} removed`);
    this.tick();
    if (focused) (this.list.querySelectorAll("[data-name]")[next] ?? this.field).focus();
  }

  paste(event) {
    const names = lines(event.clipboardData.getData("text"));
    if (names.length < 2) return;
    event.preventDefault();
    const added = this.add(names);
    this.changed(`${added.toLocaleString("en")} added`);
  }

  // After a click the list stays open, for the next one.
  pick(option, clicked = false) {
    if (!option) return;
    const { name } = option.dataset;
    this.field.value = "";
    const there = this.names.find((other) => same(other, name));
    if (there !== undefined && (clicked || this.moved)) this.remove(there);
    else if (this.add([name])) this.changed(`${name} added`);
    else this.changed(`${name} was chosen already`);
    this.tick();
    if (!clicked) this.close();
  }

  look(from) {
    const asked = (this.asked = {});
    setTimeout(async () => {
      if (this.asked !== asked) return;
      const q = this.field.value.trim();
      const shown = await this.ask(q);
      if (this.asked !== asked || !shown) return;
      const options = [...shown.querySelectorAll("[role=option]")];
      const exact = options.find(({ dataset }) => same(dataset.name, q));
      if ("free" in this.area.dataset && q && !exact) options.push(this.own(q));
      const kept = this.moved && options.find(({ dataset }) => dataset.name === this.here?.dataset.name);
      this.show(options, shown.querySelector("p").textContent);
      if (from) this.move(from);
      else if (q) this.go(kept || (exact ?? options[0]));
      this.moved = Boolean(kept || from);
      // Typed faster than the server answers, it is what has that very name, or else nothing yet.
      if (exact && this.entered === q) this.pick(exact);
      this.entered = null;
    }, WAIT_MS);
  }

  async ask(q) {
    const path = `${base}/names/${this.area.dataset.names}?${new URLSearchParams({ q: q.slice(0, MAX_ASKED) })}`;
    try {
      const answer = await fetch(path, { headers: { "HX-Request": "true" } });
      if (answer.status === 401) dispatchEvent(new CustomEvent("hw:login-ended"));
      return answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return null; // the server is away, and the page says so; what is typed counts
    }
  }

  // A name that isn't there yet.
  own(q) {
    const option = part("own");
    option.dataset.name = q;
    option.querySelector("b").textContent = q;
    return option;
  }

  show(options, said) {
    options.forEach((option, n) => { option.id = `${this.id}-option-${n}`; });
    this.options.replaceChildren(...options);
    this.options.hidden = !options.length;
    this.said.textContent = this.told.textContent = said;
    this.found.hidden = false;
    this.found.scrollIntoView({ block: "nearest" });
    this.field.setAttribute("aria-expanded", String(options.length > 0));
    this.shownFor = this.field.value.trim();
    this.go(null);
    this.tick();
  }

  tick() {
    for (const option of this.options.children)
      option.setAttribute("aria-selected", String(this.names.some((name) => same(name, option.dataset.name))));
  }

  close() {
    this.asked = this.entered = null;
    this.moved = false;
    this.found.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.go(null);
  }

  go(option) {
    this.here?.classList.remove("hw-chooser__here");
    this.here = option;
    option?.classList.add("hw-chooser__here");
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.field.setAttribute("aria-activedescendant", option.id);
    else this.field.removeAttribute("aria-activedescendant");
  }

  move(by) {
    const all = [...this.options.children];
    if (!all.length) return;
    const here = all.indexOf(this.here);
    this.go(all[here < 0 ? (by > 0 ? 0 : all.length - 1) : (here + by + all.length) % all.length]);
    this.moved = true;
  }

  key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const open = !this.found.hidden;
    const empty = this.field.value === "";
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) open ? this.move(by) : this.look(by);
    else if (event.key === "Enter") {
      const q = this.field.value.trim();
      if (open && this.shownFor === q) this.pick(this.here);
      else if (q) { this.entered = q; if (!open) this.look(); }
    } else if (event.key === "Escape" && open) this.close();
    else if (event.key === "Backspace" && empty && this.names.length) this.remove(this.names.at(-1));
    else if (event.key === "ArrowLeft" && empty && this.names.length) this.list.querySelector("li:last-child button").focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  labelKey(event) {
    const buttons = [...this.list.querySelectorAll("button")];
    const here = buttons.indexOf(event.target);
    if (event.key === "ArrowLeft") buttons[here - 1]?.focus();
    else if (event.key === "ArrowRight") (buttons[here + 1] ?? this.field).focus();
    else if (event.key === "Delete" || event.key === "Backspace") this.remove(event.target.dataset.name);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const made = new WeakSet();
const found = (root) => {
  for (const area of root.querySelectorAll("textarea[data-names]")) if (!made.has(area)) made.add(area) && new Chooser(area);
};
found(document);
document.body.addEventListener("htmx:load", ({ detail }) => found(detail.elt));
