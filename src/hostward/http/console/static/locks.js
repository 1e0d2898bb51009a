// The Concurrency Lock of the session that is edited: held while its form is open and somebody works in it.
import { open } from "./dialogs.js";

// Loaded anew after a take over, it is the same page for the lock, which stays held meanwhile.
const KEPT = "hostward-lock-page";
const place = document.querySelector("[data-lock]");
if (place) {
  const { lock: url, session, minutes } = place.dataset;
  const fields = document.querySelector("[data-lockable]");
  const own = document.querySelector("#session-form [name=page]");
  own.value = sessionStorage.getItem(KEPT) || own.value;
  sessionStorage.removeItem(KEPT);
  const page = own.value;
  const renewEveryMs = Math.min(60, (minutes * 60) / 4) * 1000;
  let state = place.dataset.state;
  let used = false; // since it was renewed last
  let asking = Promise.resolve();

  const send = (path, method = "POST", more = {}) => fetch(url + path, {
    method, body: method === "POST" ? new URLSearchParams({ page }) : undefined, keepalive: path === "/release",
    headers: { "X-CSRF": document.querySelector("meta[name=csrf]").content, "HX-Request": "true", ...more },
  });

  // One after the other, so that an older answer never replaces a newer one.
  const ask = (path, method, more) => {
    asking = asking.then(async () => {
      const answer = await send(path + (fields.disabled ? "?reading=yes" : ""), method, more);
      if (answer.ok) show(answer.headers.get("X-Lock"), await answer.text());
    }).catch(() => { /* the server is away, and the page says so; the next renewal asks again */ });
    return asking;
  };

  const show = (now, html) => {
    const before = state;
    state = now;
    if (now === "locked" && before !== "locked" && !form().matches(":has([data-changed]:not([hidden]))")) return location.reload();
    if (now === before && now !== "locked") return;
    place.innerHTML = html;
  };
  const form = () => document.getElementById("session-form");
  const hold = () => { if (!fields.disabled) ask(""); };

  document.addEventListener("click", async (event) => {
    if (event.target.closest("[data-lock-refresh]")) {
      if (fields.disabled) location.reload();
      else ask("", "GET");
    }
    if (event.target.closest("[data-open=take-over-dialog]"))
      open("take-over-dialog").querySelector("[data-holder]").textContent = place.querySelector("[data-lock-holder]").textContent;
    if (event.target.closest("[data-take-over]")) {
      document.getElementById("take-over-dialog").close();
      await ask("/take-over");
      if (!fields.disabled) return;
      if (state === "held") {
        sessionStorage.setItem(KEPT, page);
        state = "left";
      }
      location.reload();
    }
  });

  // Renewed only where somebody works in the page: a form that was left open gives the session back.
  for (const name of ["input", "keydown", "pointerdown"]) document.addEventListener(name, () => {
    used = true;
    if (state === "free") hold();
  }, { passive: true });
  setInterval(() => {
    if (used) hold();
    used = false;
  }, renewEveryMs);
  // Read while it is locked: the server goes on telling when it is free.
  if (fields.disabled) setInterval(() => { if (state === "locked") ask("", "GET", { "X-Background": "1" }); }, 60000);

  // Taken over, timed out, or gone with the Master: the server says which sessions this login holds.
  addEventListener("hw:locks", ({ detail }) => {
    const other = fields.disabled ? state === "locked" && !detail.taken.includes(session) : (state === "held") !== detail.mine.includes(session);
    if (other) ask("", "GET", { "X-Background": "1" });
  });
  addEventListener("hw:logged-in", hold);
  addEventListener("pageshow", ({ persisted }) => { if (persisted) hold(); });
  addEventListener("pagehide", () => {
    if (state !== "held") return;
    send("/release", "POST", { "X-Background": "1" }).catch(() => {});
    state = "left";
  });
  hold();
}
