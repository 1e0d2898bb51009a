// Manage Sessions: which sessions are chosen, the keyboard, forms by type.
import { open } from "./dialogs.js";
import { keys } from "./keys.js";

const list = document.getElementById("session-list");
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

if (list) {
  const search = document.getElementById("session-search");
  const bar = document.getElementById("chosen");
  const forms = [bar, document.getElementById("edit-chosen")];
  let everything = false; // not only the page's, but all that match

  const state = () => list.querySelector("[data-total]").dataset;
  const boxes = () => all("[data-choose]", list);
  const chosen = () => boxes().filter((box) => box.checked);

  const look = () => {
    const ids = chosen().map((box) => box.value);
    const page = list.querySelector("[data-choose-page]");
    if (page) {
      page.checked = ids.length > 0 && ids.length === boxes().length;
      page.indeterminate = ids.length > 0 && !page.checked;
    }
    everything = everything && ids.length === boxes().length && ids.length > 0;
    const count = everything ? Number(state().total) : ids.length;
    bar.hidden = count === 0;
    for (const said of all("[data-chosen]")) said.textContent = `${count.toLocaleString("en")} ${count === 1 ? "session" : "sessions"} chosen`;
    bar.querySelector("[data-choose-all]").hidden = everything || Number(state().total) <= boxes().length;
    bar.querySelector("[data-choose-all]").textContent = `Choose all ${Number(state().total).toLocaleString("en")}`;
    for (const form of forms) {
      form.elements.ids.value = everything ? "" : ids.join(" ");
      form.elements.all.value = everything ? "yes" : "";
      form.elements.expected.value = count;
      form.elements.list.value = state().kept;
    }
  };

  list.addEventListener("change", (event) => {
    if (event.target.matches("[data-choose-page]")) for (const box of boxes()) box.checked = event.target.checked;
    everything = false;
    look();
  });
  bar.addEventListener("click", (event) => {
    if (event.target.closest("[data-choose-all]")) {
      for (const box of boxes()) box.checked = true;
      everything = true;
      look();
    } else if (event.target.closest("[data-choose-none]")) {
      for (const box of boxes()) box.checked = false;
      look();
    } else if (event.target.closest("[data-edit-chosen]")) open("edit-dialog");
  });
  document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== list) return;
    search.elements.sort.value = state().sort;
    look();
  });
  // A field that is entered is meant to be set.
  forms[1].addEventListener("input", (event) => {
    const tick = event.target.closest("[data-field]")?.querySelector("[name=set]");
    if (tick && tick !== event.target) tick.checked = true;
  });
  // What somebody else changes appears by itself, unless it would take away what is being done here.
  document.body.addEventListener("hw:status", ({ detail }) => {
    const busy = chosen().length || document.querySelector("dialog[open]") || document.hidden;
    if (!busy && detail.revision !== Number(state().revision)) search.dispatchEvent(new CustomEvent("hw:refresh"));
  });

  const names = () => all(".hw-name", list);
  const step = (by) => {
    const rows = names();
    const here = rows.indexOf(document.activeElement);
    rows[here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + by))]?.focus();
  };
  keys("Manage Sessions", [
    { press: ["/"], shown: ["/"], does: "Search sessions", act: () => { search.elements.q.focus(); search.elements.q.select(); } },
    { press: ["n"], shown: ["N"], does: "Add a session", act: () => document.querySelector("[data-key=n]").click() },
    { press: ["j", "ArrowDown"], shown: ["J", "↓"], does: "The next session", act: () => step(1) },
    { press: ["k", "ArrowUp"], shown: ["K", "↑"], does: "The one before", act: () => step(-1) },
    { press: [], shown: ["Enter"], does: "Open it" },
    { press: ["x"], shown: ["X"], does: "Choose it, or no longer", act: () => document.activeElement.closest("tr")?.querySelector("[data-choose]")?.click() },
    { press: ["a"], shown: ["A"], does: "Choose the whole page", act: () => list.querySelector("[data-choose-page]")?.click() },
    { press: ["ArrowLeft"], shown: ["←"], does: "The page before", act: () => list.querySelector("[data-key=ArrowLeft]")?.click() },
    { press: ["ArrowRight"], shown: ["→"], does: "The next page", act: () => list.querySelector("[data-key=ArrowRight]")?.click() },
    { press: ["Delete"], shown: ["Del"], does: "Delete what is chosen", act: () => { if (!bar.hidden) bar.requestSubmit(); } },
  ]);
  search.elements.q.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); step(1); }
  });
  look();
}

// A form shows the fields of its type alone.
for (const place of all("[data-session-fields]")) {
  const field = (name) => place.querySelector(`[name="${place.dataset.sessionFields}${name}"]`);
  const look = () => {
    const type = field("type").value;
    for (const part of all("[data-types]", place)) part.hidden = !part.dataset.types.split("|").includes(type) && part.dataset.types !== "";
    for (const group of all("optgroup[data-type]", place)) group.hidden = group.disabled = group.dataset.type !== type;
    const model = field("model");
    if (model?.selectedOptions[0]?.parentElement.disabled) model.value = "";
    const port = field("port");
    if (port.dataset.usual) port.placeholder = JSON.parse(port.dataset.usual)[type][field("tls").checked ? 0 : 1];
  };
  place.addEventListener("change", look);
  look();
}

if (document.getElementById("session-form"))
  keys("This session", [{ press: ["Control+Enter"], shown: ["Ctrl Enter"], does: "Save", act: () => document.getElementById("session-form").requestSubmit() }]);

// An import begins anew with another file.
const importing = document.getElementById("inventory-form");
if (importing) {
  const preview = document.getElementById("import-preview");
  const reading = importing.querySelector("[data-reading]");
  importing.elements.file.addEventListener("change", () => { preview.replaceChildren(); if (importing.elements.file.value) importing.requestSubmit(); });
  // So that the same file, mended, counts as another one when it is chosen again.
  importing.elements.file.addEventListener("click", () => { importing.elements.file.value = ""; preview.replaceChildren(); });
  importing.addEventListener("htmx:beforeRequest", () => { reading.hidden = false; });
  importing.addEventListener("htmx:afterRequest", () => { reading.hidden = true; });
  document.body.addEventListener("htmx:afterSettle", ({ detail }) => { if (detail.target === preview) preview.querySelector("[data-focus]")?.focus(); });
}
