// Quiet notes: what was done, said for a while at the page's edge; also by the page that the act leads to.
const KEY = "hostward-toast";
const SHOWN_S = 7;
const place = document.querySelector("[data-toasts]");

function show(text) {
  const note = Object.assign(document.createElement("p"), { className: "hw-toast", textContent: text });
  place.append(note);
  setTimeout(() => note.remove(), SHOWN_S * 1000);
}

document.body.addEventListener("hw:toast", ({ detail }) => {
  try { sessionStorage.setItem(KEY, detail.text); } catch { show(detail.text); }
});
// htmx says this after what leads to another page; there the note is shown.
addEventListener("pageshow", () => {
  let text = null;
  try { text = sessionStorage.getItem(KEY); sessionStorage.removeItem(KEY); } catch { /* nothing was kept */ }
  if (text) setTimeout(() => show(text), 50); // a region that speaks only speaks of what comes into it later
});
