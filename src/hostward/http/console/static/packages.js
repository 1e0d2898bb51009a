// An upload says how far it is: what has left the browser, then that the server looks into the file.
document.addEventListener("htmx:xhr:progress", ({ detail }) => {
  const form = detail.elt?.closest?.("[data-upload]");
  if (!form || !detail.total) return;
  const place = form.querySelector("[data-progress]");
  const part = detail.loaded / detail.total;
  place.hidden = false;
  place.querySelector("progress").value = 100 * part;
  place.querySelector("[data-progress-said]").textContent = part < 1
    ? `Uploading: ${(detail.loaded / 1e6).toFixed(1)} of ${(detail.total / 1e6).toFixed(1)} MB`
    : "All has arrived; the server looks into the file…";
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const place = detail.elt.closest?.("[data-upload]")?.querySelector("[data-progress]");
  if (place) place.hidden = true;
});
