"use strict";
// Light or dark: as the system says or as the user chose. Runs before the first paint, so it is not deferred.

const Theme = {
  choices: ["system", "light", "dark"],
  system: matchMedia("(prefers-color-scheme: dark)"),
  choice: recall("localStorage", "saev-theme"),

  /** Sets the root's data-theme; what is drawn on canvases listens to "themechange". */
  apply() {
    if (!Theme.choices.includes(Theme.choice)) Theme.choice = "system";
    const isDark = Theme.choice === "system" ? Theme.system.matches : Theme.choice === "dark";
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    dispatchEvent(new Event("themechange"));
  },

  connect(button) {
    const describe = () => { button.textContent = `Theme: ${Theme.choice}`; };
    button.addEventListener("click", () => {
      Theme.choice = Theme.choices[(Theme.choices.indexOf(Theme.choice) + 1) % Theme.choices.length];
      keep("localStorage", "saev-theme", Theme.choice);
      Theme.apply();
      describe();
    });
    describe();
  },
};

Theme.system.addEventListener("change", Theme.apply);
Theme.apply();
