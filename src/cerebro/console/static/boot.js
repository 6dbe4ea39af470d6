// Runs before the first paint, so that neither theme nor language flickers.
(() => {
  const root = document.documentElement;
  const stored = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage is forbidden here: the defaults will do
    }
  };
  const theme = stored("cerebro.theme");
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = ["dark", "light"].includes(theme) ? theme : system;
  const language = stored("cerebro.language") || (navigator.language || "en").slice(0, 2);
  root.lang = language === "ru" ? "ru" : "en";
})();
