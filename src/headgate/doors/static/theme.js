// Runs before the page is drawn, so that it never flashes in the other colours.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const draw = () => {
    const chosen = kept();
    document.documentElement.dataset.bsTheme = chosen ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = chosen ?? "system";
  };
  dark.addEventListener("change", draw);
  addEventListener("theme", draw);
  draw();
})();
