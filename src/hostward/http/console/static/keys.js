// The keyboard: one list of keys for each page and for all, of which what they do and the help are made.
//
// A key without Ctrl can be pressed by mistake, or by speaking, so those can be turned off (WCAG 2.1.4); that is kept in
// the browser.
import { open } from "./dialogs.js";

const OFF = "hostward-keys-off";
const groups = [];
const dialog = document.getElementById("keys-dialog");
const off = () => { try { return localStorage.getItem(OFF) === "yes"; } catch { return false; } };

// `list` has for each: `press` (names as KeyboardEvent.key gives them, with Control+ before), `shown`, `does`, `act`.
// What a page has comes before what all have.
export function keys(title, list) {
  groups.unshift({ title, list });
}

const nameOf = (event) => (event.ctrlKey || event.metaKey ? "Control+" : "") + (event.key.length === 1 ? event.key.toLowerCase() : event.key);
const writing = (place) => place.matches("textarea, select, input:not([type=checkbox]):not([type=radio])");

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const name = nameOf(event);
  const held = name.startsWith("Control+");
  if (!held && (writing(event.target) || (off() && name.length === 1))) return;
  const found = groups.flatMap(({ list }) => list).find(({ press }) => press.includes(name));
  if (!found) return;
  event.preventDefault();
  found.act();
});

function show() {
  const own = groups.slice(0, -1).flatMap(({ list }) => list.flatMap(({ press }) => press));
  const rows = groups.map(({ title, list }, n) => [
    Object.assign(document.createElement("h3"), { className: "hw-keys__title", textContent: title }),
    described(n < groups.length - 1 ? list : list.filter(({ press }) => !press.some((key) => own.includes(key)))),
  ]);
  dialog.querySelector("[data-keys]").replaceChildren(...rows.flat());
  dialog.querySelector("[data-keys-on]").checked = !off();
  open("keys-dialog");
}

function described(list) {
  const all = Object.assign(document.createElement("dl"), { className: "hw-keys" });
  for (const { shown, does } of list) {
    const row = all.appendChild(document.createElement("div"));
    const term = row.appendChild(document.createElement("dt"));
    for (const cap of shown) term.append(Object.assign(document.createElement("kbd"), { textContent: cap }), " ");
    row.appendChild(document.createElement("dd")).textContent = does;
  }
  return all;
}

if (dialog) {
  dialog.querySelector("[data-keys-on]").addEventListener("change", ({ target }) => {
    try {
      if (target.checked) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "yes");
    } catch { /* a browser that keeps nothing: they stay on */ }
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-show-keys]")) show(); });
  const search = () => dispatchEvent(new CustomEvent("hw:search"));
  keys("Every page", [
    { press: ["Control+k"], shown: ["Ctrl K"], does: "Search everything, from a field too", act: search },
    { press: ["/"], shown: ["/"], does: "Search everything", act: search },
    { press: ["?"], shown: ["?"], does: "This list", act: show },
  ]);
}
