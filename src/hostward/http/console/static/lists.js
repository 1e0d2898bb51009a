// The lists of servers in a form: rows are added and deleted here, and count when they are applied.
for (const list of document.querySelectorAll("[data-list]")) {
  const name = list.dataset.list;
  const form = list.closest("form");
  const rows = list.querySelector("[data-rows]");
  const selected = () => [...rows.querySelectorAll("[data-select]:checked")].map((box) => box.closest("[data-row]"));
  const remove = list.querySelector(`[data-delete-selected=${name}]`);
  const test = list.querySelector(`[data-test-selected=${name}]`);
  const tests = list.querySelector("[data-tests]");
  const add = list.querySelector(`[data-add=${name}]`);

  const look = () => {
    const count = rows.querySelectorAll("[data-row]").length;
    list.classList.toggle("hw-list--empty", count === 0);
    remove.disabled = test.disabled = selected().length === 0;
    add.disabled = name === "master" && count > 0;
  };
  rows.addEventListener("change", look);
  new MutationObserver(look).observe(rows, { childList: true });
  look();

  document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target === rows) {
      rows.lastElementChild.querySelector("[data-select]").checked = true;
      form.dispatchEvent(new CustomEvent("hw:changed"));
      look();
    }
  });
  remove.addEventListener("click", () => {
    for (const row of selected()) row.remove();
    form.dispatchEvent(new CustomEvent("hw:changed"));
    add.focus();
  });
  test.addEventListener("click", async () => {
    tests.replaceChildren();
    for (const row of selected()) {
      const place = tests.appendChild(document.createElement("div"));
      const of = (part) => row.querySelector(`[name="${name}.${part}"]`).value;
      place.append(Object.assign(document.createElement("p"), { className: "hw-waiting", textContent: `Testing ${of("host")}…` }));
      const values = { host: of("host"), port: of("port"), context: of("context"), https: form.elements.https.checked ? "yes" : "",
        passphrase: form.elements.passphrase.value, "passphrase-again": form.elements["passphrase-again"].value };
      await htmx.ajax("POST", list.dataset.test, { source: place, target: place, swap: "innerHTML", values });
      place.querySelector(".hw-waiting")?.remove();
    }
  });
}
