"use strict";
// Pictures that belong together, nearly the same ones or those of one label, folded in lists: the first stands for all.

class Fold {
  static key = "saev-fold";
  static by = "";

  /** Offers what pictures of this gallery can be folded by; the choice is kept in the browser. */
  static connect(data) {
    const select = document.getElementById("fold-by");
    const options = [["", "nothing"]];
    if (data.alike.size > 0) options.push(["alike", "alike"]);
    if ([...data.pictures.values()].some(({ label }) => label !== null)) options.push(["label", "one per label"]);
    for (const { name } of data.metadata) options.push([`column ${name}`, `one per ${name}`]);
    select.append(...options.map(([value, text]) => element("option", { value }, text)));
    document.getElementById("fold").hidden = options.length === 1;
    const kept = recallValue("localStorage", Fold.key);
    select.value = options.some(([value]) => value === kept) ? kept : data.alike.size > 0 ? "alike" : "";
    Fold.by = select.value;
    select.addEventListener("input", () => {
      Fold.by = select.value;
      keep("localStorage", Fold.key, JSON.stringify(Fold.by));
      dispatchEvent(new Event("foldchange"));
    });
  }

  /** What a picture belongs to; undefined if it stands alone. */
  static groupOf(data, image) {
    if (Fold.by === "alike") return data.alike.get(image);
    if (Fold.by === "label") return data.pictures.get(image).label ?? undefined;
    const column = data.metadata.find(({ name }) => Fold.by === `column ${name}`);
    return column?.values.get(image);
  }

  /** Examples {image, ...} in their order, each the first of its group; `folded` holds the later ones. */
  static of(data, examples) {
    const firsts = new Map();
    const kept = [];
    for (const example of examples) {
      const group = Fold.by === "" ? undefined : Fold.groupOf(data, example.image);
      const first = group === undefined ? undefined : firsts.get(group);
      if (first !== undefined) {
        first.folded.push(example);
        continue;
      }
      const made = { ...example, folded: [] };
      kept.push(made);
      if (group !== undefined) firsts.set(group, made);
    }
    return kept;
  }

  /** A button on a figure of the first one that puts those of `folded` behind it; `figure(example)` makes one. */
  static opener({ folded }, made, figure) {
    if (folded.length === 0) return made;
    const button = element("button", { type: "button", class: "folded", "aria-expanded": "false",
      title: "Show the others that belong together with this one" }, `\u00d7${folded.length + 1}`);
    let opened = [];
    button.addEventListener("click", () => {
      const isOpen = opened.length > 0;
      for (const one of opened) one.remove();
      opened = isOpen ? [] : folded.map(figure);
      for (const one of opened) one.classList.add("unfolded");
      made.after(...opened);
      button.setAttribute("aria-expanded", String(!isOpen));
    });
    made.append(button);
    return made;
  }
}
