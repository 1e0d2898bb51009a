// Two minutes before a login ends for want of use, the page says so. The server says how long it lasts, to one page that
// tells all others; whoever types or clicks in a page uses the login, whatever that page sends.
import { open } from "./dialogs.js";
import { tell } from "./live.js";

const WARNED_S = 120;
const RENEWED_EVERY_S = 60;
const dialog = document.getElementById("idle-dialog");

if (dialog) {
  const stay = dialog.querySelector("[data-stay]");
  let ends = Infinity;
  let renewed = Date.now();
  let used = false;

  const look = () => {
    const left = Math.round((ends - Date.now()) / 1000);
    if (left > WARNED_S || left <= 0) {
      if (dialog.open) dialog.close();
      return;
    }
    dialog.querySelector("[data-left]").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (!dialog.open && !document.getElementById("login-again").open) open("idle-dialog");
  };
  const renew = () => {
    renewed = Date.now();
    used = false;
    htmx.trigger(stay, "hw:stay");
  };

  addEventListener("hw:login", ({ detail }) => {
    ends = Date.now() + detail.left_s * 1000;
    look();
  });
  addEventListener("hw:login-ended", () => { ends = Infinity; look(); });
  document.body.addEventListener("hw:stays", ({ detail }) => tell("login", JSON.stringify({ left_s: detail.left_s })));
  for (const name of ["input", "keydown", "pointerdown"]) document.addEventListener(name, ({ isTrusted }) => {
    if (isTrusted && !dialog.open) used = true;
  }, { passive: true });
  // Escape is pressed by somebody who is there.
  dialog.addEventListener("cancel", renew);
  setInterval(() => {
    look();
    if (used && Date.now() - renewed > RENEWED_EVERY_S * 1000) renew();
  }, 1000);
}
