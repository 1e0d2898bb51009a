// The page of people who use sessions: favourites come first, and are kept by the servers.
// What isn't saved yet stays in this browser until it is: while the Master is away, or the page is left too early.
import "./page.js";

const said = document.getElementById("favourites");
const meta = (name) => document.querySelector(`meta[name=${name}]`).content;
const KEY = `hostward-favourites-unsaved ${said.dataset.user}`;
const OLD = "hostward-favourites"; // what a browser remembered by itself before servers did: taken over once
const SOON_MS = 600, AGAIN_MS = 5000, OFTEN_MS = 60000, MOST = 200;

let unsaved = {}; // by session: whether it is to be a favourite; the same for all of this user's pages
function change(by = () => {}) {
  try { unsaved = JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { /* a browser that keeps nothing: this page does */ }
  by();
  try { localStorage.setItem(KEY, JSON.stringify(unsaved)); } catch { /* the same */ }
}
function takeOver() {
  try {
    const old = JSON.parse(localStorage.getItem(OLD) ?? "[]");
    change(() => { for (const id of old) unsaved[id] ??= true; });
    localStorage.removeItem(OLD);
  } catch { /* there was nothing */ }
}

function show() {
  for (const card of document.querySelectorAll("[data-session]")) {
    const star = card.querySelector("[data-star]");
    const on = unsaved[card.dataset.session] ?? star.getAttribute("aria-pressed") === "true";
    card.classList.toggle("hw-starred", on);
    star.setAttribute("aria-pressed", String(on));
  }
}

// Saved one after the other; what is clicked meanwhile is for the next time.
let timer = 0, saving = false;
function saveSoon(ms = SOON_MS, more = {}) {
  clearTimeout(timer);
  timer = setTimeout(() => save(more), ms);
}
async function save(more = {}) {
  change();
  const sent = Object.entries(unsaved).slice(0, MOST);
  if (saving || !sent.length) return;
  saving = true;
  const body = new URLSearchParams(sent.map(([id, on]) => [on ? "add" : "remove", id]));
  const headers = { "X-CSRF": meta("csrf"), "HX-Request": "true", ...more };
  const answer = await fetch(`${meta("base")}/sessions/favourites`, { method: "POST", body, headers, keepalive: true }).catch(() => null);
  saving = false;
  // Another login: the page that comes then saves them. (One that was just loaded isn't loaded again, for ever.)
  if (answer?.status === 401 || (answer?.status === 403 && performance.now() > 10000)) return location.reload();
  const often = answer?.status === 429;
  if (!answer || often || answer.status >= 500 || answer.status === 403) {
    said.textContent = often ? "Your favourites aren't saved yet: you have changed very many. This browser keeps them, and saves them in some minutes."
      : "Your favourites aren't saved yet: the server that keeps them doesn't answer. This browser keeps them until it does.";
    return saveSoon(often ? OFTEN_MS : AGAIN_MS, { "X-Background": "1" });
  }
  change(() => { for (const [id, on] of sent) if (unsaved[id] === on) delete unsaved[id]; });
  said.textContent = "";
  if (!answer.ok) {
    const problem = await answer.json();
    said.textContent = `${problem.detail} ${problem.remedy}`;
    for (const [id, on] of sent) turn(id, !on);
  }
  if (Object.keys(unsaved).length) saveSoon();
}
function turn(id, on) {
  document.querySelector(`[data-session="${CSS.escape(id)}"] [data-star]`)?.setAttribute("aria-pressed", String(on));
  show();
}

document.addEventListener("click", (event) => {
  const star = event.target.closest("[data-star]");
  if (!star) return;
  const on = star.getAttribute("aria-pressed") !== "true";
  change(() => { unsaved[star.closest("[data-session]").dataset.session] = on; });
  show();
  saveSoon();
});
addEventListener("pagehide", () => save());
addEventListener("online", () => save());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, textarea, select")) return;
  event.preventDefault();
  document.getElementById("q").focus();
});
document.body.addEventListener("htmx:afterSwap", show);
document.body.addEventListener("htmx:responseError", ({ detail }) => { if (detail.xhr.status === 401) location.reload(); });
takeOver();
change();
show();
save();
