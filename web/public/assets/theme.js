// Before the first paint, so that nobody who chose the dark is dazzled.
try {
  const theme = localStorage.getItem("longhaul.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's choice stands then.
}
