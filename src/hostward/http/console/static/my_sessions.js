// The page of people who use sessions: favourites, which this browser remembers, come first.
import "./page.js";

const KEY = "hostward-favourites";
const kept = () => { try { return new Set(JSON.parse(localStorage.getItem(KEY) ?? "[]")); } catch { return new Set(); } };

function show() {
  const favourites = kept();
  for (const card of document.querySelectorAll("[data-session]")) {
    const on = favourites.has(card.dataset.session);
    card.classList.toggle("hw-starred", on);
    card.querySelector("[data-star]").setAttribute("aria-pressed", String(on));
  }
}

document.addEventListener("click", (event) => {
  const star = event.target.closest("[data-star]");
  if (!star) return;
  const favourites = kept();
  const id = star.closest("[data-session]").dataset.session;
  if (!favourites.delete(id)) favourites.add(id);
  try { localStorage.setItem(KEY, JSON.stringify([...favourites].slice(-500))); } catch { /* a browser that keeps nothing */ }
  show();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, textarea, select")) return;
  event.preventDefault();
  document.getElementById("q").focus();
});
document.body.addEventListener("htmx:afterSwap", show);
document.body.addEventListener("htmx:responseError", ({ detail }) => { if (detail.xhr.status === 401) location.reload(); });
show();
