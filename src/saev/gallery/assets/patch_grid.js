"use strict";
// The patches of a picture as one field that takes the pointer and the arrow keys.

class PatchGrid {
  /** `onSelect()` hears that `selected` is another patch. */
  constructor(data, onSelect) {
    [this.data, this.onSelect] = [data, onSelect];
    this.pinned = null;
    this.pointed = null;
    this.pointer = this.box("patch-pointed");
    this.selection = this.box("patch-selected");
    this.element = element("div", {
      class: "patch-grid", tabindex: "0", role: "application", "aria-roledescription": "grid of patches",
      "aria-label": `Patches, ${data.rows} rows by ${data.columns} columns. Arrow keys move, Escape goes back to the whole picture.`,
    }, this.lines());
    this.element.addEventListener("pointermove", (event) => this.point(this.patchAt(event)));
    this.element.addEventListener("pointerleave", () => this.point(null));
    this.element.addEventListener("click", (event) => {
      const patch = this.patchAt(event);
      this.select(patch, patch === this.pinned ? null : patch);
    });
    this.element.addEventListener("keydown", (event) => this.move(event));
  }

  /** The patch under the pointer, otherwise the one that was clicked or moved to; null for the whole picture. */
  get selected() {
    return this.pointed ?? this.pinned;
  }

  lines() {
    const { rows, columns } = this.data;
    const steps = (n) => Array.from({ length: n - 1 }, (_, i) => i + 1);
    const path = [...steps(columns).map((x) => `M${x} 0V${rows}`), ...steps(rows).map((y) => `M0 ${y}H${columns}`)].join("");
    return svgElement("svg", { viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      svgElement("path", { class: "grid-lines", d: path }), this.pointer, this.selection);
  }

  box(name) {
    return svgElement("rect", { class: name, width: 1, height: 1, visibility: "hidden" });
  }

  place(box, patch) {
    box.setAttribute("visibility", patch === null ? "hidden" : "visible");
    if (patch === null) return;
    box.setAttribute("x", patch % this.data.columns);
    box.setAttribute("y", Math.floor(patch / this.data.columns));
  }

  patchAt({ clientX, clientY }) {
    const { rows, columns } = this.data;
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const within = (share, n) => Math.max(0, Math.min(n - 1, Math.floor(share * n)));
    return within((clientY - top) / height, rows) * columns + within((clientX - left) / width, columns);
  }

  point(patch) {
    if (patch !== this.pointed) this.select(patch, this.pinned);
  }

  select(pointed, pinned) {
    [this.pointed, this.pinned] = [pointed, pinned];
    this.place(this.pointer, pointed);
    this.place(this.selection, pinned);
    this.onSelect();
  }

  move(event) {
    const isBack = event.key === "Escape" && this.pinned !== null;
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey || (step === undefined && !isBack)) return;
    event.preventDefault();
    event.stopPropagation(); // the page's own keys leaf through the latents
    this.select(null, isBack ? null : this.beside(step));
  }

  /** The patch one step from the selected one, within the picture; the first one if none is. */
  beside([down, right]) {
    if (this.pinned === null) return 0;
    const { rows, columns } = this.data;
    const row = Math.max(0, Math.min(rows - 1, Math.floor(this.pinned / columns) + down));
    const column = Math.max(0, Math.min(columns - 1, (this.pinned % columns) + right));
    return row * columns + column;
  }
}
