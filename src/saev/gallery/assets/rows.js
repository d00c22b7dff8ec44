"use strict";
// A list of any length whose rows, all of one height, are in the page only while they are near.

class RowWindow {
  static margin = 600; // pixels above and below the visible part

  /** `height` is that of a row in pixels. */
  constructor(height) {
    this.height = height;
    this.list = element("ul", { class: "rows" });
    this.rows = new Map();
    this.items = [];
    const draw = () => this.draw();
    addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(draw).observe(this.list);
  }

  /** Shows `items`; `make(item)` gives the element of a row. */
  set(items, make) {
    [this.items, this.make] = [items, make];
    this.list.style.height = `${items.length * this.height}px`;
    this.list.replaceChildren();
    this.rows.clear();
    this.draw();
  }

  draw() {
    if (!this.list.isConnected || this.list.offsetParent === null) return;
    const { top } = this.list.getBoundingClientRect();
    const first = Math.max(0, Math.floor((-top - RowWindow.margin) / this.height));
    const last = Math.min(this.items.length, Math.ceil((innerHeight - top + RowWindow.margin) / this.height));
    for (const [i, row] of this.rows) {
      if ((i >= first && i < last) || row.contains(document.activeElement)) continue;
      row.remove();
      this.rows.delete(i);
    }
    for (let i = first; i < last; i += 1) if (!this.rows.has(i)) this.add(i);
  }

  /** Puts row `i` where the order of the list wants it, so that the tab key follows what is seen. */
  add(i) {
    const row = element("li", { "aria-setsize": this.items.length, "aria-posinset": i + 1 }, this.make(this.items[i]));
    row.style.top = `${i * this.height}px`;
    const later = [...this.rows.keys()].filter((other) => other > i);
    this.list.insertBefore(row, later.length > 0 ? this.rows.get(Math.min(...later)) : null);
    this.rows.set(i, row);
  }
}
