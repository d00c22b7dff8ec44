"use strict";
// The patches of a picture as one field that takes the pointer and the arrow keys: one patch is selected, or a region
// is brushed.

class PatchGrid {
  /** `onSelect()` hears that `selected` is another patch, `onBrush()` that `brushed` is another region. */
  constructor(data, onSelect, onBrush = () => {}) {
    Object.assign(this, { data, onSelect, onBrush });
    this.brushed = new Set(); // patches of the region, empty for none
    this.region = svgElement("path", { class: "patch-region" });
    this.pinned = null;
    this.pointed = null;
    this.corner = null; // where a region began that is brushed by keys
    this.pointer = this.box("patch-pointed");
    this.selection = this.box("patch-selected");
    this.element = element("div", {
      class: "patch-grid", tabindex: "0", role: "application", "aria-roledescription": "grid of patches",
      "aria-label": `Patches, ${data.rows} rows by ${data.columns} columns. Arrow keys move, with Shift they brush a region, Escape goes back to the whole picture.`,
    }, this.lines());
    this.element.addEventListener("pointermove", (event) => this.point(this.patchAt(event)));
    this.element.addEventListener("pointerleave", () => this.point(null));
    watchDrags(this.element, {
      onDrag: (from, to, event) => this.drag(from, to, event.shiftKey),
      onClick: (at) => {
        const patch = this.patchOf(at);
        this.element.focus({ preventScroll: true });
        this.select(patch, patch === this.pinned ? null : patch);
      },
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
      svgElement("path", { class: "grid-lines", d: path }), this.region, this.pointer, this.selection);
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
    const { left, top } = this.element.getBoundingClientRect();
    return this.patchOf([clientX - left, clientY - top]);
  }

  /** The patch at a place in pixels; of one outside the nearest. */
  patchOf([x, y]) {
    const { rows, columns } = this.data;
    const { width, height } = this.element.getBoundingClientRect();
    const within = (share, n) => Math.max(0, Math.min(n - 1, Math.floor(share * n)));
    return within(y / height, rows) * columns + within(x / width, columns);
  }

  /** Brushes the rectangle that is dragged over; with Shift in addition to what was brushed before. */
  drag(from, to, isMore) {
    if (this.dragged !== from) [this.dragged, this.earlier] = [from, isMore ? this.brushed : new Set()];
    this.brush(new Set([...this.earlier, ...this.between(this.patchOf(from), this.patchOf(to))]));
  }

  /** The patches of the rectangle with these corners. */
  between(one, other) {
    const { columns } = this.data;
    const [top, bottom] = [one, other].map((patch) => Math.floor(patch / columns)).sort((a, b) => a - b);
    const [left, right] = [one, other].map((patch) => patch % columns).sort((a, b) => a - b);
    const steps = (low, high) => Array.from({ length: high - low + 1 }, (_, i) => low + i);
    return steps(top, bottom).flatMap((row) => steps(left, right).map((column) => row * columns + column));
  }

  /** Takes a region, a set of patches. */
  brush(patches) {
    this.brushed = patches;
    const { columns } = this.data;
    this.region.setAttribute("d", [...patches].map((patch) => `M${patch % columns} ${Math.floor(patch / columns)}h1v1h-1z`).join(""));
    this.onBrush();
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
    const isBack = event.key === "Escape" && (this.pinned !== null || this.brushed.size > 0);
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey || (step === undefined && !isBack)) return;
    event.preventDefault();
    event.stopPropagation(); // the page's own keys leaf through the latents
    if (isBack && this.pinned === null) return this.brush(new Set());
    if (event.shiftKey && !isBack) return this.extend(step);
    this.corner = null;
    return this.select(null, isBack ? null : this.beside(step));
  }

  /** Brushes from the patch that was selected when this began to the one beside the last. */
  extend(step) {
    this.corner ??= this.pinned ?? 0;
    this.select(null, this.beside(step));
    this.brush(new Set(this.between(this.corner, this.pinned)));
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
