// What the server answers to a form: problems (as the API gives them) are shown at their field; a confirmation is asked
// for in a dialog; where the login has ended, the form waits until there is a new one, and is sent then.
import { open } from "./dialogs.js";

const meta = (name) => document.querySelector(`meta[name=${name}]`);
const MAX_AT_FIELD = 5; // mistakes that are shown there at once
const dirty = new Set();
let waiting = null; // what is sent again after Yes, or after a login

document.addEventListener("htmx:configRequest", ({ detail }) => {
  detail.headers["X-CSRF"] = meta("csrf").content;
  const cause = detail.triggeringEvent; // none where a part refreshes by itself
  if (detail.verb === "get" && (!cause?.isTrusted || cause.type.startsWith("hw:")) && !detail.elt.matches("[data-stay]"))
    detail.headers["X-Background"] = "1";
  if (waiting && waiting.form === detail.elt) {
    const { submitter } = waiting; // sent again, it is no longer the button that was pressed
    if (submitter?.name) detail.parameters[submitter.name] = submitter.value;
  }
  if (waiting && waiting.form === detail.elt && waiting.confirmed) {
    detail.parameters.confirm = "yes";
    if (waiting.plan) detail.parameters.plan = waiting.plan; // nothing else is done than what was shown
  }
});

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.requestConfig.verb !== "get") clear(detail.elt);
  busy(detail.elt, true);
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  busy(detail.elt, false);
  const { elt, xhr, successful } = detail;
  if (!successful || detail.requestConfig.verb === "get") return;
  if (elt.matches("[data-login]")) return loggedIn(xhr);
  if (waiting?.form === elt) waiting = null;
  dirty.delete(elt);
  if (elt.matches("[data-closes]")) {
    elt.closest("dialog").close();
    elt.reset();
  }
});

document.addEventListener("htmx:responseError", ({ detail }) => problem(detail.elt, detail.xhr, detail.requestConfig?.triggeringEvent?.submitter));
document.addEventListener("htmx:sendError", ({ detail }) =>
  unanswered(detail, "The server doesn't answer.", "Nothing was changed, as far as this page knows. Try again when the server is back."));
document.addEventListener("htmx:timeout", ({ detail }) =>
  unanswered(detail, "The server hasn't answered in time.", "Load the page again to see whether it was done."));

function unanswered(detail, title, text) {
  if (background(detail)) return;
  waiting = null; // what is sent next is asked for anew
  say(detail.elt, title, text);
}

const background = (detail) => "X-Background" in (detail.requestConfig?.headers ?? {}) || detail.elt.matches("[data-stay]");

function busy(element, on) {
  for (const button of element.matches("form") ? [...element.elements].filter((one) => one.type === "submit") : [element])
    if (on) button.setAttribute("aria-busy", "true");
    else button.removeAttribute("aria-busy");
}

function problem(element, xhr, pressed) {
  let found;
  try { found = JSON.parse(xhr.responseText); } catch { found = { detail: "The server's answer can't be read.", remedy: "Load the page again." }; }
  // "forged-form": the login was made anew in another window, so this page's token is an old one's.
  if ((xhr.status === 401 || found.code === "forged-form") && !element.matches("[data-login]")) {
    const kept = waiting?.form === element && waiting;
    waiting = { form: element, confirmed: kept && kept.confirmed, plan: kept && kept.plan, submitter: (kept && kept.submitter) ?? pressed };
    return logInAgain();
  }
  if (found.code === "confirmation-required") return confirm(element, found, (waiting?.form === element && waiting.submitter) || pressed);
  waiting = waiting?.form === element ? null : waiting;
  const region = document.getElementById("confirmation");
  if (region.open) region.close();
  const left = (found.mistakes ?? []).filter((mistake) => !atField(element, mistake));
  if (!found.mistakes?.length || left.length || element.querySelector(".hw-mistakes")) say(element, found.detail, found.remedy);
  (element.querySelector("[aria-invalid=true]") ?? element.querySelector(".hw-mistake"))?.focus?.();
}

function atField(form, mistake) {
  for (let name = mistake.field; name; name = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "") {
    const place = form.querySelector(`[data-field="${CSS.escape(name)}"]`);
    if (!place) continue;
    const before = place.querySelectorAll(".hw-mistake").length;
    const id = `mistake-${form.id || "form"}-${name.replace(/\W/g, "-")}-${before}`;
    const shown = Object.assign(document.createElement("p"), { className: "hw-mistake", id, textContent: `${mistake.problem} ${mistake.remedy}`.trim() });
    const at = place.querySelector(".pf-v6-c-form__group-control") ?? place;
    if (before >= MAX_AT_FIELD) {
      more(at, before + 1 - MAX_AT_FIELD).append(shown);
      return true;
    }
    at.append(shown);
    const input = [...place.querySelectorAll("input, select, textarea")].find((one) => !one.closest("[hidden]"));
    if (input && !input.matches("[type=hidden], [data-select]")) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), id].filter(Boolean).join(" "));
    }
    return true;
  }
  return false;
}

// Where the mistakes of a field are that aren't shown at once.
function more(at, count) {
  let rest = at.querySelector(".hw-mistakes");
  if (!rest) {
    rest = Object.assign(document.createElement("details"), { className: "hw-mistakes" });
    rest.append(document.createElement("summary"));
    at.append(rest);
  }
  rest.firstChild.textContent = `And ${count.toLocaleString("en")} more`;
  return rest;
}

function clear(form) {
  for (const rest of form.querySelectorAll(".hw-mistakes")) rest.remove();
  for (const shown of form.querySelectorAll(".hw-mistake")) {
    for (const input of form.querySelectorAll(`[aria-describedby~="${shown.id}"]`)) {
      input.removeAttribute("aria-invalid");
      input.setAttribute("aria-describedby", input.getAttribute("aria-describedby").replace(shown.id, "").trim());
    }
    shown.remove();
  }
  region(form)?.replaceChildren();
}

function region(element) {
  return element.querySelector("[data-problems]") ?? element.closest("dialog, section, main")?.querySelector("[data-problems]") ?? document.querySelector("main [data-problems]");
}

function say(element, title, text) {
  const box = document.createElement("div");
  box.className = "hw-problem";
  box.append(Object.assign(document.createElement("b"), { textContent: title }), ` ${text ?? ""}`);
  region(element)?.replaceChildren(box);
  region(element)?.scrollIntoView({ block: "nearest" });
}

function confirm(form, found, submitter) {
  const dialog = open("confirmation");
  waiting = { form, confirmed: false, plan: found.plan, submitter };
  dialog.querySelector("[data-question]").textContent = found.detail;
  dialog.querySelector("[data-consequences]").replaceChildren(
    ...(found.consequences ?? []).map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
}

document.querySelector("[data-yes]")?.addEventListener("click", () => {
  document.getElementById("confirmation").close();
  if (!waiting) return;
  waiting.confirmed = true;
  send(waiting.form);
});

document.getElementById("confirmation")?.addEventListener("close", () => { if (waiting && !waiting.confirmed) waiting = null; });
document.getElementById("login-again")?.addEventListener("close", () => { waiting = null; });

function logInAgain() {
  open("login-again").querySelector("[name=password]").focus();
}

const windows = new BroadcastChannel(`hostward-login:${meta("base").content}`);
windows.addEventListener("message", ({ data }) => goOn(data));
addEventListener("hw:login-ended", logInAgain);

function loggedIn(xhr) {
  const login = JSON.parse(xhr.responseText);
  windows.postMessage(login);
  goOn(login);
}

function goOn({ csrf, user }) {
  meta("csrf").content = csrf;
  for (const field of document.querySelectorAll("input[name=csrf]")) field.value = csrf;
  for (const name of document.querySelectorAll("[data-user], .hw-menu__name")) name.textContent = user;
  const dialog = document.getElementById("login-again");
  const kept = waiting;
  dialog.querySelector("form").reset();
  dialog.addEventListener("close", () => {
    waiting = kept;
    if (waiting) send(waiting.form);
  }, { once: true });
  if (dialog.open) dialog.close();
  else dialog.dispatchEvent(new Event("close"));
  dispatchEvent(new CustomEvent("hw:logged-in"));
}

function send(element) {
  if (element.matches("form")) element.requestSubmit();
  else htmx.trigger(element, "click");
}

// What was changed and not applied isn't lost by a wrong click.
for (const form of document.querySelectorAll("form[data-guarded]")) {
  const changed = () => {
    dirty.add(form);
    form.querySelector("[data-changed]").hidden = false;
  };
  form.addEventListener("input", changed);
  form.addEventListener("hw:changed", changed);
  form.querySelector("[data-reset]")?.addEventListener("click", () => {
    dirty.clear();
    location.reload();
  });
}
addEventListener("beforeunload", (event) => { if (dirty.size) event.preventDefault(); });
