// The chosen theme, before anything is painted: a page that flashes white at night is no help.
(() => {
  try {
    const chosen = localStorage.getItem("qualm-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage the system's preference holds.
  }
})();
