// Manage Sessions: forms by type, imports.
import { keys } from "./keys.js";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// A form shows the fields of its type alone.
for (const place of all("[data-session-fields]")) {
  const field = (name) => place.querySelector(`[name="${place.dataset.sessionFields}${name}"]`);
  const look = () => {
    const type = field("type").value;
    for (const part of all("[data-types]", place)) part.hidden = !part.dataset.types.split("|").includes(type) && part.dataset.types !== "";
    for (const group of all("optgroup[data-type]", place)) group.hidden = group.disabled = group.dataset.type !== type;
    const model = field("model");
    if (model?.selectedOptions[0]?.parentElement.disabled) model.value = "";
    const port = field("port");
    if (port.dataset.usual) port.placeholder = JSON.parse(port.dataset.usual)[type][field("tls").checked ? 0 : 1];
  };
  place.addEventListener("change", look);
  look();
}

if (document.getElementById("session-form"))
  keys("This session", [{ press: ["Control+Enter"], shown: ["Ctrl Enter"], does: "Save", act: () => document.getElementById("session-form").requestSubmit() }]);

// An import begins anew with another file.
const importing = document.getElementById("inventory-form");
if (importing) {
  const preview = document.getElementById("import-preview");
  const reading = importing.querySelector("[data-reading]");
  importing.elements.file.addEventListener("change", () => { preview.replaceChildren(); if (importing.elements.file.value) importing.requestSubmit(); });
  // So that the same file, mended, counts as another one when it is chosen again.
  importing.elements.file.addEventListener("click", () => { importing.elements.file.value = ""; preview.replaceChildren(); });
  importing.addEventListener("htmx:beforeRequest", () => { reading.hidden = false; });
  importing.addEventListener("htmx:afterRequest", () => { reading.hidden = true; });
  document.body.addEventListener("htmx:afterSettle", ({ detail }) => { if (detail.target === preview) preview.querySelector("[data-focus]")?.focus(); });
}
