"use strict";
// Variants of the shown picture by one click, with the latent's value under each.

class Variants {
  static whole = [["mirror", "Mirror"], ["rotate_90", "90\u00b0"], ["rotate_180", "180\u00b0"], ["rotate_270", "270\u00b0"], ["grey", "Grey"], ["blur", "Blur"]];
  static brushed = [["crop", "Enlarge"], ["cut_out", "Cut out"], ["keep_only", "Keep alone"]];

  /** `onKeep(picture)` puts a variant on the bench, `onOpen(picture)` does and shows it; `grid()` has the brushed region. */
  constructor(app, bench, { grid, onKeep, onOpen }) {
    Object.assign(this, { app, bench, grid, onKeep, onOpen });
    this.of = null;
    this.onto = element("select", { "aria-label": "Picture to paste onto" });
    this.region = element("span", { class: "soft", role: "status" });
    const make = ([kind, text]) => button(text, () => this.make([kind]), { "data-kind": kind });
    this.paste = button("Paste onto", () => this.make(["paste"]), { "data-kind": "paste" });
    this.ofRegion = [...Variants.brushed.map(make), this.paste];
    this.clear = button("Clear", () => this.grid()?.brush(new Set()));
    this.status = element("p", { class: "note", role: "status" });
    this.list = element("ul", { class: "variants", "aria-label": "Variants" });
    this.element = element("section", { class: "panel variant-panel" }, element("h2", {}, "Variants"),
      element("div", { class: "buttons" }, ...Variants.whole.map(make), button("All six", () => this.make(Variants.whole.map(([kind]) => kind)))),
      element("div", { class: "buttons" }, element("span", {}, "Region:"), ...this.ofRegion, this.onto, this.region, this.clear),
      this.status, this.list);
    bench.addEventListener("change", () => this.draw());
  }

  show(picture) {
    this.of = picture;
    this.status.textContent = "";
    this.draw();
    this.brushed();
  }

  /** Another region is brushed. */
  brushed() {
    const n = this.grid()?.brushed.size ?? 0;
    this.region.textContent = n === 0 ? "drag over the picture to brush one (Shift adds to it)" : showCount(n, "patch", "patches");
    for (const one of this.ofRegion) one.disabled = n === 0;
    this.paste.disabled ||= this.onto.options.length === 0;
    this.clear.hidden = n === 0;
  }

  /** Makes some variants, one after the other; one that is there already is not made again. */
  async make(kinds) {
    const { of, bench } = this;
    const onto = bench.shown.find(({ id }) => id === this.onto.value) ?? null;
    this.status.textContent = "";
    this.element.setAttribute("aria-busy", "true");
    try {
      for (const kind of kinds) {
        const isWhole = Variants.whole.some(([one]) => one === kind);
        const made = await bench.vary(of, kind, isWhole ? [] : [...this.grid().brushed].sort((a, b) => a - b), kind === "paste" ? onto : null);
        of.variants = [...of.variants.filter(({ sha256 }) => sha256 !== made.sha256), made];
        if (this.of === of) this.draw();
      }
    } catch (error) {
      this.status.textContent = error.message;
    } finally {
      this.element.removeAttribute("aria-busy");
    }
  }

  draw() {
    const { bench, of } = this;
    if (of === null || of.isLost) return;
    const chosen = this.onto.value;
    const others = bench.shown.filter((one) => one !== of);
    this.onto.replaceChildren(...others.map(({ id, name }) => element("option", { value: id }, name)));
    if (others.some(({ id }) => id === chosen)) this.onto.value = chosen;
    this.onto.hidden = others.length === 0;
    this.list.replaceChildren(...of.variants.map((one) => this.figure(one)));
  }

  figure(variant) {
    const { bench, of } = this;
    const isKept = bench.pictures.some(({ sha256 }) => sha256 === variant.sha256);
    const name = `${variantNames[variant.recipe.kind]}${variant.recipe.onto === null ? "" : ` onto ${variant.recipe.onto.name}`}`;
    const open = button("", () => this.onOpen(variant), { class: "tray-open", "aria-label": `Show ${variant.name}` });
    open.append(benchFigure(this.app, bench, variant));
    const keeping = button(isKept ? "kept" : "Keep", () => this.onKeep(variant), { "aria-label": `Keep ${variant.name}` });
    keeping.disabled = isKept;
    return element("li", {}, open,
      bench.latent === null ? null : element("div", { class: "value" }, element("strong", {}, showValue(variant.value(bench.latent))),
        element("span", { class: "soft" }, changeText(of.value(bench.latent), variant.value(bench.latent)))),
      element("div", { class: "name", title: name }, userText(name)), keeping);
  }
}

/** How a value differs from what it was before. */
function changeText(before, after) {
  if (before === 0) return after === 0 ? "silent, too" : "was silent";
  if (after === 0) return "silent";
  const percent = Math.round(100 * (after / before - 1));
  return `${percent > 0 ? "+" : percent < 0 ? "\u2212" : "\u00b1"}${Math.abs(percent)}\u202f%`;
}
