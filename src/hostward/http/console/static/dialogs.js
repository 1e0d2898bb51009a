// Dialogs are the browser's own: they keep the focus, and Escape closes them.
export function open(id) {
  const dialog = document.getElementById(id);
  if (dialog && !dialog.open) dialog.showModal();
  return dialog;
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) open(opener.dataset.open);
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog").close();
});

// What refreshes by itself stops with its dialog, and waits while another one asks something about it.
for (const body of document.querySelectorAll("[data-emptied]")) {
  const waiting = body.innerHTML;
  body.closest("dialog").addEventListener("close", () => { body.innerHTML = waiting; });
}
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (elt.matches("[data-refreshes]") && document.querySelectorAll("dialog[open]").length > 1) event.preventDefault();
});
