// Sets the chosen theme before the first paint, so that a dark page does not flash white.
(() => {
  try {
    const chosen = localStorage.getItem("qualm-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage the system's preference holds.
  }
})();
