// Light or dark: the system's choice until a person chooses otherwise, here or elsewhere.

const KEY = "bift-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = [];

const current = () => localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light");

function apply() {
  document.documentElement.dataset.theme = current();
  for (const listener of listeners) listener();
}

/** A colour of the theme, such as "accent", as a canvas takes it. */
export function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

/** Be told when the colours change. */
export const onThemeChange = (listener) => listeners.push(listener);

/** Let a button change between light and dark. */
export function setUpThemeButton(button) {
  const label = () => {
    const other = current() === "dark" ? "light" : "dark";
    button.textContent = other === "dark" ? "Dark" : "Light";
    button.setAttribute("aria-label", `Change to the ${other} theme`);
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, current() === "dark" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  listeners.push(label);
  apply();
}
