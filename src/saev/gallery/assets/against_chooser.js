"use strict";
// A field that chooses one of many labels: it searches them, and arrow keys move through what it finds.

class LabelChooser {
  static most = 100; // labels in the list

  /** `choices` are [{attribute, ap, rate}], the best first; `onPick(attribute)` hears what is chosen. */
  constructor(choices, onPick) {
    Object.assign(this, { choices, onPick, active: 0 });
    this.field = element("input", {
      type: "search", role: "combobox", "aria-expanded": "false", "aria-controls": "against-list", "aria-autocomplete": "list", id: "against-label",
      autocomplete: "off", spellcheck: "false", "aria-label": "Label to judge the latent by", placeholder: "Search labels",
    });
    this.list = element("ul", { id: "against-list", role: "listbox", "aria-label": "Labels", hidden: "" });
    this.element = element("div", { class: "chooser" }, this.field, this.list);
    this.kind = element("span", { class: "soft" });
    this.field.addEventListener("focus", () => { this.field.select(); this.open(""); });
    this.field.addEventListener("input", () => this.open(this.field.value));
    this.field.addEventListener("blur", () => this.close());
    this.field.addEventListener("keydown", (event) => this.press(event));
  }

  /** Shows what is chosen. */
  show(attribute) {
    this.shown = attribute;
    this.field.value = attribute.name;
    this.kind.replaceChildren(LabelChooser.kindOf(attribute));
  }

  /** Of what a label is: two of a name may differ in that. */
  static kindOf({ source, family, name }) {
    return source === "label" ? "pictures" : family === name ? source : userText(family);
  }

  open(search) {
    const words = search.toLowerCase().split(/\s+/);
    const fits = ({ attribute: { name, family } }) => words.every((word) => `${name} ${family}`.toLowerCase().includes(word));
    this.found = this.choices.filter(fits).slice(0, LabelChooser.most);
    this.active = 0;
    this.list.replaceChildren(...this.found.map((choice, i) => this.option(choice, i)),
      ...(this.found.length === 0 ? [element("li", { class: "soft" }, "No such label.")] : []));
    this.list.hidden = false;
    this.field.setAttribute("aria-expanded", "true");
    this.mark();
  }

  option({ attribute, ap, rate }, i) {
    const made = element("li", { id: `against-option-${i}`, role: "option", "aria-selected": "false" },
      userText(attribute.name), element("span", { class: "soft" }, LabelChooser.kindOf(attribute)),
      element("span", { class: "cosine", title: "Average precision, and what chance has" }, `AP ${showScore(ap)} / ${showScore(rate)}`));
    made.addEventListener("pointerdown", (event) => { event.preventDefault(); this.pick(i); });
    return made;
  }

  mark() {
    [...this.list.children].forEach((one, i) => one.setAttribute("aria-selected", String(i === this.active)));
    this.list.children[this.active]?.scrollIntoView({ block: "nearest" });
    if (this.found.length > 0) this.field.setAttribute("aria-activedescendant", `against-option-${this.active}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  press(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      if (this.list.hidden) this.open("");
      else this.active = Math.max(0, Math.min(this.found.length - 1, this.active + step));
      this.mark();
    } else if (event.key === "Enter" && !this.list.hidden) this.pick(this.active);
    else if (event.key === "Escape" && !this.list.hidden) this.close();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page's own keys leave the latent
  }

  pick(i) {
    if (this.found[i] === undefined) return;
    const { attribute } = this.found[i];
    this.close();
    this.show(attribute);
    this.onPick(attribute);
  }

  close() {
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
    this.field.value = this.shown.name;
  }
}
