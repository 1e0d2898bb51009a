// The lists of servers in a form: rows are added and deleted here, and count when they are applied.
function tick(place, text) {
  const made = text.lastIndexOf("</li>");
  const begun = new DOMParser().parseFromString(made < 0 ? text : text.slice(0, made + 5), "text/html");
  const now = begun.querySelector(".hw-checks");
  if (!now || !place.isConnected) return;
  if (made < 0) now.replaceChildren();
  let shown = place.querySelector(".hw-checks");
  if (!shown) {
    shown = now.cloneNode();
    const test = begun.querySelector(".hw-test").cloneNode(true);
    test.querySelector(".hw-checks").replaceWith(shown);
    place.replaceChildren(test);
    for (const name of JSON.parse(shown.dataset.checks)) {
      const open = document.createElement("li");
      open.className = "hw-check hw-check--open";
      open.append(Object.assign(document.createElement("b"), { textContent: name }));
      shown.append(open);
    }
  }
  [...now.children].forEach((check, number) => {
    if (shown.children[number].hasAttribute("data-made")) return;
    check.dataset.made = "";
    shown.children[number].replaceWith(check);
  });
  shown.querySelector(".hw-check--trying")?.classList.remove("hw-check--trying");
  shown.querySelector(":scope > :not([data-made])")?.classList.add("hw-check--trying");
}

for (const list of document.querySelectorAll("[data-list]")) {
  const name = list.dataset.list;
  const form = list.closest("form");
  const rows = list.querySelector("[data-rows]");
  const selected = () => [...rows.querySelectorAll("[data-select]:checked")].map((box) => box.closest("[data-row]"));
  const remove = list.querySelector(`[data-delete-selected=${name}]`);
  const test = list.querySelector(`[data-test-selected=${name}]`);
  const tests = list.querySelector("[data-tests]");
  const said = list.querySelector("[data-tests-said]"); // what is read aloud: that it begins, and what came of it
  let run = null;
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
    const mine = (run = {});
    for (const row of selected()) {
      if (run !== mine) return; // it was begun anew
      const place = tests.appendChild(document.createElement("div"));
      const of = (part) => row.querySelector(`[name="${name}.${part}"]`).value;
      place.append(Object.assign(document.createElement("p"), { className: "hw-waiting", textContent: `Testing ${of("host")}…` }));
      said.textContent = `Testing ${of("host")}…`;
      const values = { host: of("host"), port: of("port"), context: of("context"), https: form.elements.https.checked ? "yes" : "",
        passphrase: form.elements.passphrase.value, "passphrase-again": form.elements["passphrase-again"].value };
      await htmx.ajax("POST", list.dataset.test, { source: place, target: place, swap: "innerHTML", values });
      if (run !== mine) return;
      place.querySelector(".hw-waiting")?.remove();
      said.textContent = `${of("host")}: ${place.querySelector(".hw-check__sum")?.textContent ?? "not tested"}`;
    }
  });
  // The checks as they come: the answer is complete, and put in place, only when the last one is made.
  tests.addEventListener("htmx:beforeSend", ({ detail: { target, xhr } }) => xhr.addEventListener("progress", () => tick(target, xhr.responseText)));
}
