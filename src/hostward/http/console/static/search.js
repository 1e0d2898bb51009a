// The search over everything: a field with a list of what was found, of which one is chosen with the arrows.
import { open } from "./dialogs.js";

const dialog = document.getElementById("search-dialog");
if (dialog) {
  const form = dialog.querySelector("form");
  const field = form.elements.q;
  const list = document.getElementById("search-found");
  const said = () => document.getElementById("search-said"); // replaced with each answer
  const hits = () => [...dialog.querySelectorAll("[role=option]")];
  const chosen = () => dialog.querySelector("[role=option][aria-selected=true]");

  const choose = (hit) => {
    chosen()?.setAttribute("aria-selected", "false");
    hit?.setAttribute("aria-selected", "true");
    hit?.scrollIntoView({ block: "nearest" });
    if (hit) field.setAttribute("aria-activedescendant", hit.id);
    else field.removeAttribute("aria-activedescendant");
  };
  const look = () => {
    list.hidden = hits().length === 0;
    field.setAttribute("aria-expanded", String(!list.hidden));
    choose(hits()[0]);
  };
  const show = () => {
    open("search-dialog");
    field.select();
    if (said().dataset.for === undefined) htmx.trigger(form, "hw:look");
  };

  addEventListener("hw:search", show);
  document.addEventListener("click", (event) => { if (event.target.closest("[data-search]")) show(); });
  document.body.addEventListener("htmx:afterSwap", ({ detail }) => { if (detail.target === list) look(); });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const all = hits();
    const here = all.indexOf(chosen());
    const to = { ArrowDown: (here + 1) % all.length, ArrowUp: (here < 1 ? all.length : here) - 1,
      PageDown: Math.min(all.length - 1, here + 8), PageUp: Math.max(0, here - 8) }[event.key];
    if (to !== undefined && all.length) {
      event.preventDefault();
      choose(all[to]);
    }
    // What is shown may still be what was found for fewer letters: then the page of all that is found is asked for.
    if (event.key === "Enter" && chosen() && said().dataset.for === field.value.trim()) {
      event.preventDefault();
      chosen().click();
    }
  });
  // A link to something on the page that is open already leads nowhere else.
  dialog.addEventListener("click", (event) => { if (event.target.closest("[role=option]")) dialog.close(); });
}
