// A list that is searched, sorted and read by pages: which of it is chosen for an act on many, and the keyboard.
import { keys } from "./keys.js";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const list = document.getElementById("list");

if (list) {
  const { listTitle, noun, nouns, deletes: verb = "Delete" } = list.dataset;
  const search = document.getElementById("list-search");
  const words = search.querySelector("input"); // or the first filter, where there are no words
  const bar = document.getElementById("chosen"); // none for whom may only read
  const forms = all("[data-of-chosen]");
  let everything = false; // not only the page's, but all that match

  const state = () => list.querySelector("[data-total]").dataset;
  const boxes = () => all("[data-choose]", list);
  const chosen = () => boxes().filter((box) => box.checked);

  const look = () => {
    if (!bar) return;
    const ids = chosen().map((box) => box.value);
    const page = list.querySelector("[data-choose-page]");
    if (page) {
      page.checked = ids.length > 0 && ids.length === boxes().length;
      page.indeterminate = ids.length > 0 && !page.checked;
    }
    everything = everything && ids.length === boxes().length && ids.length > 0;
    const count = everything ? Number(state().total) : ids.length;
    bar.hidden = count === 0;
    for (const said of all("[data-chosen]")) said.textContent = `${count.toLocaleString("en")} ${count === 1 ? noun : nouns} chosen`;
    const chooseAll = bar.querySelector("[data-choose-all]"); // none where an act is for what is seen alone
    if (chooseAll) {
      chooseAll.hidden = everything || Number(state().total) <= boxes().length;
      chooseAll.textContent = `Choose all ${Number(state().total).toLocaleString("en")}`;
    }
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
  bar?.addEventListener("click", (event) => {
    if (event.target.closest("[data-choose-all]")) {
      for (const box of boxes()) box.checked = true;
      everything = true;
      look();
    } else if (event.target.closest("[data-choose-none]")) {
      for (const box of boxes()) box.checked = false;
      look();
    }
  });
  // A search that is sent while another order is on its way asks in that order too.
  list.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.target === list) search.elements.sort.value = new URL(detail.pathInfo.requestPath, location).searchParams.get("sort") ?? "";
  });
  document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== list) return;
    search.elements.sort.value = state().sort;
    look();
  });
  // A field that is entered is meant to be set.
  for (const form of forms)
    form.addEventListener("input", (event) => {
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
  const press = (selector, root = list) => root.querySelector(selector)?.click();
  const adds = [{ press: ["n"], shown: ["N"], does: "Add one", act: () => press("[data-key=n]", document) }];
  const chooses = [
    { press: ["x"], shown: ["X"], does: "Choose it, or no longer", act: () => document.activeElement.closest("tr")?.querySelector("[data-choose]")?.click() },
    { press: ["a"], shown: ["A"], does: "Choose the whole page", act: () => press("[data-choose-page]") },
  ];
  const deletes = [{ press: ["Delete"], shown: ["Del"], does: `${verb} what is chosen`, act: () => { if (!bar.hidden) press("[data-delete-chosen]", bar); } }];
  keys(listTitle, [
    { press: ["/"], shown: ["/"], does: `Search ${nouns}`, act: () => { words.focus(); words.select(); } },
    ...(document.querySelector("[data-key=n]") ? adds : []),
    { press: ["j", "ArrowDown"], shown: ["J", "↓"], does: `The next ${noun}`, act: () => step(1) },
    { press: ["k", "ArrowUp"], shown: ["K", "↑"], does: "The one before", act: () => step(-1) },
    { press: [], shown: ["Enter"], does: "Open it" },
    ...(bar ? chooses : []),
    { press: ["ArrowLeft"], shown: ["←"], does: "The page before", act: () => press("[data-key=ArrowLeft]") },
    { press: ["ArrowRight"], shown: ["→"], does: "The next page", act: () => press("[data-key=ArrowRight]") },
    ...(bar ? deletes : []),
  ]);
  words.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); step(1); }
  });
  look();
}

