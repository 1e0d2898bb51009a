// Two versions of what a form has: what was chosen is put into the form. Where only the other side has changed a field
// since the form was opened, the other side's value is proposed.
const form = document.querySelector("form[data-versions]");
if (form) {
  const inputs = (name) => [...form.elements].filter((input) => input.name === name);
  const put = (name, value) => {
    for (const input of inputs(name)) {
      if (input.type === "radio") input.checked = input.value === value;
      else if (input.type === "checkbox") input.checked = value === "yes";
      else input.value = value;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
  };
  const touched = (name) => inputs(name).some((input) =>
    ["checkbox", "radio"].includes(input.type) ? input.checked !== input.defaultChecked
    : input.tagName === "SELECT" ? [...input.options].some((o) => o.selected !== o.defaultSelected && (o.selected || o.defaultSelected))
    : input.value !== input.defaultValue);
  form.addEventListener("change", (event) => {
    const pick = event.target.closest("[data-pick]");
    if (pick) put(pick.name.slice("pick-".length), pick.dataset.value);
  });
  document.body.addEventListener("htmx:afterSettle", () => {
    const conflict = form.querySelector("[data-conflict]:not([data-seen])");
    if (!conflict) return;
    conflict.dataset.seen = "";
    for (const row of conflict.querySelectorAll("[data-differs]"))
      if (!touched(row.dataset.differs)) row.querySelector("[value=theirs]").click();
    conflict.focus();
    conflict.scrollIntoView({ block: "start" });
  });
}
