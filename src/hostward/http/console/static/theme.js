// Runs before the first paint, so that a dark page never flashes white.
(() => {
  const kept = () => { try { return localStorage.getItem("hostward-theme") || "system"; } catch { return "system"; } };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const theme = kept();
    document.documentElement.classList.toggle("pf-v6-theme-dark", theme === "dark" || (theme === "system" && dark.matches));
  };
  show();
  dark.addEventListener("change", show);
  addEventListener("storage", show);
  addEventListener("hw:theme", show);
})();
