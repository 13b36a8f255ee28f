// Light, dark, or what the system says. public/assets/theme.js sets it before the first paint.

import { useEffect, useState } from "preact/hooks";

export type ThemeChoice = "system" | "light" | "dark";

const kKey = "longhaul.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const watchers = new Set<() => void>();

export function themeChoice(): ThemeChoice {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

export function chooseTheme(choice: ThemeChoice) {
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    if (choice === "system") localStorage.removeItem(kKey);
    else localStorage.setItem(kKey, choice);
  } catch {
    // It lasts as long as the page, then.
  }
  for (const watcher of watchers) watcher();
}

// The theme that is shown.
export function useTheme(): "light" | "dark" {
  const shown = () => {
    const choice = themeChoice();
    return choice === "system" ? (dark.matches ? "dark" : "light") : choice;
  };
  const [theme, setTheme] = useState(shown);
  useEffect(() => {
    const changed = () => setTheme(shown());
    watchers.add(changed);
    dark.addEventListener("change", changed);
    return () => {
      watchers.delete(changed);
      dark.removeEventListener("change", changed);
    };
  }, []);
  return theme;
}
