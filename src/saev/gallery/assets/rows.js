"use strict";
// A list of any length whose rows are in the page only while they are near.

class RowWindow {
  static margin = 600; // pixels above and below the visible part

  constructor(name = "") {
    this.list = element("ul", { class: `rows ${name}` });
    this.rows = new Map();
    this.items = [];
    this.tops = [0]; // of the rows, and the end of the last one
    const draw = () => this.draw();
    addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(draw).observe(this.list);
  }

  /** Shows `items`; `make(item)` gives the element of a row, `heightOf(item)` how high it is in pixels. */
  set(items, make, heightOf) {
    [this.items, this.make] = [items, make];
    this.tops = new Float64Array(items.length + 1);
    items.forEach((item, i) => { this.tops[i + 1] = this.tops[i] + heightOf(item); });
    this.list.style.height = `${this.tops[items.length]}px`;
    this.list.replaceChildren();
    this.rows.clear();
    this.draw();
  }

  draw() {
    if (!this.list.isConnected || this.list.offsetParent === null) return;
    const { top } = this.list.getBoundingClientRect();
    const first = this.rowAt(-top - RowWindow.margin);
    const last = Math.min(this.items.length, this.rowAt(innerHeight - top + RowWindow.margin) + 1);
    for (const [i, row] of this.rows) {
      if ((i >= first && i < last) || row.contains(document.activeElement)) continue;
      row.remove();
      this.rows.delete(i);
    }
    for (let i = first; i < last; i += 1) if (!this.rows.has(i)) this.add(i);
  }

  /** The row at a place in the list's pixels; above and below the list the first and last one. */
  rowAt(y) {
    let [low, high] = [0, Math.max(0, this.items.length - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Puts row `i` where the order of the list wants it, so that the tab key follows what is seen. */
  add(i) {
    const row = element("li", { "aria-setsize": this.items.length, "aria-posinset": i + 1 }, this.make(this.items[i]));
    row.style.top = `${this.tops[i]}px`;
    row.style.height = `${this.tops[i + 1] - this.tops[i]}px`;
    const later = [...this.rows.keys()].filter((other) => other > i);
    this.list.insertBefore(row, later.length > 0 ? this.rows.get(Math.min(...later)) : null);
    this.rows.set(i, row);
  }
}
