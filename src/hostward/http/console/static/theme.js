// Runs before the first paint, so that a dark page never flashes white.
(() => {
  const kept = () => { try { return localStorage.getItem("hostward-theme") || "system"; } catch { return "system"; } };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const print = matchMedia("print"); // on paper, which is light
  const show = () => {
    const theme = kept();
    document.documentElement.classList.toggle("pf-v6-theme-dark", !print.matches && (theme === "dark" || (theme === "system" && dark.matches)));
  };
  show();
  dark.addEventListener("change", show);
  print.addEventListener("change", show);
  addEventListener("storage", show);
  addEventListener("hw:theme", show);
})();
