// Small things of every page: times in the reader's zone, how long a step took, the theme, the menus, copying.
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

function times(root) {
  for (const place of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    const moment = new Date(place.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    place.title = zone.format(moment);
    place.textContent = (Math.abs(moment - Date.now()) > 40 * 86400e3 ? day : zone).format(moment);
    place.dataset.shown = "";
  }
  for (const place of root.querySelectorAll("[data-from]")) {
    const took = ((place.dataset.to ? new Date(place.dataset.to) : new Date()) - new Date(place.dataset.from)) / 1000;
    place.textContent = took < 0.05 ? "" : took < 10 ? `${took.toFixed(1)} s` : `${Math.round(took)} s`;
  }
}
times(document);
for (const field of document.querySelectorAll("[data-zone-offset]")) field.value = new Date().getTimezoneOffset();
document.body.addEventListener("htmx:load", ({ detail }) => times(detail.elt));
setInterval(() => times(document), 1000);

const kept = () => { try { return localStorage.getItem("hostward-theme") || "system"; } catch { return "system"; } };
function themes() {
  for (const button of document.querySelectorAll("[data-theme]")) button.setAttribute("aria-pressed", String(button.dataset.theme === kept()));
}
themes();

document.addEventListener("click", async (event) => {
  const theme = event.target.closest("[data-theme]");
  if (theme) {
    try { localStorage.setItem("hostward-theme", theme.dataset.theme); } catch { /* it holds for this page */ }
    dispatchEvent(new CustomEvent("hw:theme"));
    themes();
  }
  for (const menu of document.querySelectorAll(".hw-menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  const toggle = event.target.closest("[data-toggle-navigation]");
  if (toggle) {
    const shown = document.body.classList.toggle("hw-navigation-open");
    toggle.setAttribute("aria-expanded", String(shown));
  }
  const filters = event.target.closest("[data-toggle-filters]");
  if (filters) {
    const shown = document.getElementById("filters").classList.toggle("hw-filters--open");
    filters.setAttribute("aria-expanded", String(shown));
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent.trim());
    copy.querySelector(".pf-v6-c-button__text").textContent = "Copied";
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll(".hw-menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
