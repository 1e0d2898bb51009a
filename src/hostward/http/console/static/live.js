// The server's status, live. One of the open pages listens to the server, and tells the others: a browser has only few
// connections to a server, and a page in the background shall not hold one.
const SILENT_S = 35;
const SEVERITIES = { Up: "success", Initializing: "info", Down: "danger" };
const base = document.querySelector("meta[name=base]")?.content;
const channel = new BroadcastChannel(`hostward-live:${base}`);
let last = "";
let heard = Date.now();
let source = null;
let ended = false; // the login; there is nothing to hear until there is a new one

function show(news) {
  if (news.name === "away") return away(true);
  heard = Date.now();
  away(false);
  if (news.name === "login-ended") {
    ended = true;
    return dispatchEvent(new CustomEvent("hw:login-ended"));
  }
  if (news.name === "login") return dispatchEvent(new CustomEvent("hw:login", { detail: JSON.parse(news.data) }));
  if (news.name === "locks") return dispatchEvent(new CustomEvent("hw:locks", { detail: JSON.parse(news.data) }));
  if (news.name !== "status" || news.data === last) return;
  last = news.data;
  const status = JSON.parse(news.data);
  for (const place of document.querySelectorAll("[data-live]")) {
    const value = status[place.dataset.live];
    const text = place.dataset.live === "role" ? value[0].toUpperCase() + value.slice(1) : String(value ?? 0);
    if (place.textContent !== text) place.textContent = text;
  }
  for (const label of document.querySelectorAll("[data-live-label=database_status]")) {
    const severity = SEVERITIES[status.database_status] ?? "warning";
    for (const name of ["success", "info", "danger", "warning"]) label.classList.toggle(`pf-m-${name}`, name === severity);
  }
  for (const some of document.querySelectorAll("[data-live-some]")) some.hidden = !status[some.dataset.liveSome];
  for (const lag of document.querySelectorAll("[data-live-lag]")) lag.hidden = !status.lag_changes;
  const banner = document.querySelector("[data-banner]");
  if (banner) banner.hidden = status.database_status === "Up";
  document.body.dispatchEvent(new CustomEvent("hw:status", { detail: status }));
}

function away(on) {
  for (const place of document.querySelectorAll("[data-away]")) place.hidden = !on;
  document.body.classList.toggle("hw-is-away", on);
}

export function tell(name, data) {
  channel.postMessage({ name, data });
  show({ name, data });
}

function listen() {
  source?.close();
  source = new EventSource(`${base}/events`);
  for (const name of ["status", "locks", "login", "beat", "login-ended"]) source.addEventListener(name, ({ data }) => tell(name, data));
  source.addEventListener("login-ended", () => source.close());
  // A refusal ends an event stream without a word, so it is asked whether the login has ended.
  source.addEventListener("error", async () => {
    if (source.readyState !== EventSource.CLOSED || ended) return;
    const answer = await fetch(`${base}/stay`, { headers: { "X-Background": "1", "HX-Request": "true" } }).catch(() => null);
    if (answer?.status === 401 && !ended) tell("login-ended", "{}");
  });
}

if (base) {
  channel.addEventListener("message", ({ data }) => show(data));
  // Held as long as this page lives; then another page has its turn.
  navigator.locks.request(`hostward-live:${base}`, () => { listen(); return new Promise(() => {}); });
  addEventListener("hw:logged-in", () => {
    ended = false;
    heard = Date.now();
    if (source) listen();
  });
  setInterval(() => {
    const quiet = Date.now() - heard;
    if (ended) return;
    if (source && source.readyState !== EventSource.OPEN && quiet > 3000) tell("away");
    else if (quiet > SILENT_S * 1000) away(true);
    if (source?.readyState === EventSource.CLOSED && quiet > 5000) listen();
  }, 2000);
}
