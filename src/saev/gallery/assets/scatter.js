"use strict";
// All alive latents by frequency and mean value: a canvas for the points, above it what the pointer is on, the ranges
// that are filtered, and a tooltip.

class Scatter {
  static margin = { ...plotSides, top: 12, bottom: 44 };
  static filtered = ["frequency", "meanValue"]; // by x and by y
  static reach = 14; // pixels from the pointer within which a point is taken
  static cell = 28; // pixels, more than the reach: the pointer's own and the adjacent cells hold all within it

  /** `onPick(latent)` when a point is clicked, `onBrush({frequency, meanValue})` while ranges are dragged, `onClear()`. */
  constructor(container, data, { onPick, onBrush, onClear }) {
    Object.assign(this, { container, data });
    this.shown = new Uint8Array(data.nLatents);
    this.ranges = {};
    this.points = element("canvas", { role: "img", "aria-label": this.text });
    this.marks = element("canvas", { class: "marks", "aria-hidden": "true" });
    this.brush = element("div", { class: "brush", hidden: "" });
    this.tooltip = element("div", { class: "tooltip", hidden: "" });
    container.append(this.points, this.marks, this.brush, this.tooltip);
    this.points.addEventListener("pointermove", (event) => this.mark(event.buttons ? null : this.nearest(event.offsetX, event.offsetY)));
    this.points.addEventListener("pointerleave", () => this.mark(null));
    watchDrags(this.points, {
      onDrag: (from, to) => onBrush(this.rangesBetween(from, to)),
      onClick: (place) => {
        const latent = this.nearest(...place);
        if (latent === null) onClear();
        else onPick(latent);
      },
    });
    new ResizeObserver(() => this.layout()).observe(container);
    addEventListener("themechange", () => this.drawGround());
  }

  /** The plot in words. */
  get text() {
    return `Scatter plot of ${showCount(this.plotted.length, "alive latent")}: frequency against mean value. `
      + "The list holds the same numbers, and fields below the plot filter by them.";
  }

  /** The latents that have a point. */
  get plotted() {
    return this.data.alive;
  }

  /** Draws the latents with `shown[latent]` = 1 strongly and the others faintly, and a frame around the ranges. */
  show(shown, ranges) {
    Object.assign(this, { shown, ranges });
    this.drawing ??= requestAnimationFrame(() => this.draw()); // however often a drag asks
  }

  /** Where a latent is drawn, in pixels of the container. */
  position(latent) {
    return [this.xs[latent], this.ys[latent]];
  }

  layout() {
    const { clientWidth: width, clientHeight: height } = this.container;
    if (width === 0) return;
    Object.assign(this, { width, height });
    this.placePoints();
    this.index();
    this.drawGround();
  }

  /** Makes the axes, and the places of the latents on them. */
  placePoints() {
    const { data } = this;
    const { top, bottom } = Scatter.margin;
    this.x = frequencyAxis(data, this.width);
    this.y = logAxis(data.alive.map((latent) => data.meanValue[latent]), this.height - bottom, top);
    this.xs = data.frequency.map((share) => this.x.place(share));
    this.ys = data.meanValue.map((value) => this.y.place(value));
  }

  /** Sorts the points into cells, so that finding the nearest looks at a few of them only. */
  index() {
    this.cells = new Map();
    for (const latent of this.plotted) {
      const key = Scatter.key(Math.floor(this.xs[latent] / Scatter.cell), Math.floor(this.ys[latent] / Scatter.cell));
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(latent);
    }
  }

  static key(column, row) {
    return 65536 * row + column;
  }

  /** Draws the axes and all points faintly: what stays while filters change. */
  drawGround() {
    if (this.x === undefined) return;
    const style = getComputedStyle(this.container);
    this.colour = (name) => colourOf(this.container, name);
    this.ground = document.createElement("canvas");
    const context = fitCanvas(this.ground, this.width, this.height);
    context.font = `13px ${style.fontFamily}`;
    this.drawAxes(context);
    context.fillStyle = this.colour("faint");
    context.globalAlpha = Math.max(0.25, Math.min(1, 50 / Math.sqrt(this.plotted.length))); // many points overlap
    for (const latent of this.plotted) context.fillRect(this.xs[latent] - 1.5, this.ys[latent] - 1.5, 3, 3);
    this.draw();
  }

  draw() {
    this.drawing = undefined;
    if (this.ground === undefined) return;
    fitCanvas(this.marks, this.width, this.height);
    const context = fitCanvas(this.points, this.width, this.height);
    context.drawImage(this.ground, 0, 0, this.width, this.height);
    this.drawListed(context);
    this.placeBrush();
  }

  drawAxes(context) {
    const { left, right, top, bottom } = Scatter.margin;
    const [xEnd, yEnd] = [this.width - right, this.height - bottom];
    context.strokeStyle = this.colour("line");
    context.fillStyle = this.colour("soft");
    context.textAlign = "center";
    for (const tick of this.x.ticks) {
      const x = Math.round(this.x.place(tick)) + 0.5;
      drawLine(context, x, top, x, yEnd);
      const text = showShare(tick);
      context.fillText(text, Math.min(x, this.width - context.measureText(text).width / 2 - 2), yEnd + 17);
    }
    context.fillText("Frequency (share of tokens)", (left + xEnd) / 2, this.height - 7);
    context.textAlign = "right";
    for (const tick of this.y.ticks) {
      const y = Math.round(this.y.place(tick)) + 0.5;
      drawLine(context, left, y, xEnd, y);
      context.fillText(showNumber(tick), left - 8, y + 4);
    }
    context.save();
    context.translate(14, (top + yEnd) / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText("Mean value when active", 0, 0);
    context.restore();
  }

  drawListed(context) {
    const listed = this.plotted.filter((latent) => this.shown[latent]);
    const isCrowded = listed.length > 3000;
    const dot = this.dot(isCrowded ? 2 : listed.length > 600 ? 3.5 : 5, !isCrowded);
    const side = dot.width / devicePixelRatio;
    context.globalAlpha = isCrowded ? 0.5 : 1; // shows where there are many
    for (const latent of listed) context.drawImage(dot, this.xs[latent] - side / 2, this.ys[latent] - side / 2, side, side);
  }

  /** One point as an image: stamping it is many times faster than drawing thousands of circles. */
  dot(radius, hasEdge) {
    const canvas = document.createElement("canvas");
    const context = fitCanvas(canvas, 2 * radius + 2, 2 * radius + 2);
    context.fillStyle = this.colour("accent");
    context.strokeStyle = this.colour("panel");
    drawCircle(context, radius + 1, radius + 1, radius);
    context.fill();
    if (hasEdge) context.stroke();
    return canvas;
  }

  /** The latent nearest to a place, or null; one that is listed wins over a faint one up to twice as near. */
  nearest(x, y) {
    const [column, row] = [x, y].map((place) => Math.floor(place / Scatter.cell));
    let [best, bestDistance] = [null, Infinity];
    for (let r = row - 1; r <= row + 1; r += 1) {
      for (let c = column - 1; c <= column + 1; c += 1) {
        for (const latent of this.cells?.get(Scatter.key(c, r)) ?? []) {
          const away = Math.hypot(this.xs[latent] - x, this.ys[latent] - y);
          const distance = this.shown[latent] ? away : 2 * away;
          if (away <= Scatter.reach && distance < bestDistance) [best, bestDistance] = [latent, distance];
        }
      }
    }
    return best;
  }

  rangesBetween([x0, y0], [x1, y1]) {
    const range = (axis, a, b) => [axis.value(a), axis.value(b)].sort((low, high) => low - high);
    const [x, y] = this.constructor.filtered;
    return { [x]: range(this.x, x0, x1), [y]: range(this.y, y0, y1) };
  }

  /** Frames the filtered ranges; an open end reaches to the end of the plot. */
  placeBrush() {
    const [across, up] = this.constructor.filtered.map((name) => this.ranges[name] ?? [null, null]);
    this.brush.hidden = [...across, ...up].every((bound) => bound === null);
    const { left, right, top, bottom } = Scatter.margin;
    const place = (axis, bound, end) => (bound === null ? end : axis.place(Math.max(bound, 1e-30)));
    const within = (pixel, low, high) => Math.min(Math.max(pixel, low), high);
    const [x0, x1] = [place(this.x, across[0], 0), place(this.x, across[1], Infinity)].map((x) => within(x, left, this.width - right));
    const [y1, y0] = [place(this.y, up[0], Infinity), place(this.y, up[1], 0)].map((y) => within(y, top, this.height - bottom));
    Object.assign(this.brush.style, { left: `${x0}px`, top: `${y0}px`, width: `${Math.max(0, x1 - x0)}px`, height: `${Math.max(0, y1 - y0)}px` });
  }

  /** Rings a latent and says its numbers; null takes both away. */
  mark(latent) {
    const context = this.marks.getContext("2d");
    context.clearRect(0, 0, this.marks.width, this.marks.height);
    const isMarked = latent !== null && this.x !== undefined && this.data.frequency[latent] > 0 && this.xs[latent] >= 0;
    this.tooltip.hidden = !isMarked;
    this.container.classList.toggle("pointing", isMarked);
    if (!isMarked) return;
    const [x, y] = this.position(latent);
    context.strokeStyle = this.colour("ink");
    context.lineWidth = 2;
    drawCircle(context, x, y, 8);
    context.stroke();
    this.tell(latent, x, y);
  }

  /** What else a tooltip says. */
  more() {
    return [];
  }

  tell(latent, x, y) {
    const { data } = this;
    const words = [data.nameOf(latent), data.topLabels.get(latent)?.label].filter((text) => text !== undefined);
    this.tooltip.replaceChildren(
      element("strong", {}, `Latent ${latent}`),
      ...words.map((text) => element("span", { class: "tip-words" }, userText(text))),
      ...this.more(latent),
      element("span", {}, `${showShare(data.frequency[latent])} of tokens`),
      element("span", {}, `mean ${showValue(data.meanValue[latent])}, max ${showValue(data.maxValue[latent])}`),
      ...(data.hasPage.has(latent) ? [] : [element("span", { class: "soft" }, "no pictures")]),
    );
    const isRight = x > this.width / 2;
    const room = this.tooltip.offsetHeight / 2 + 4;
    const middle = Math.max(room, Math.min(y, this.height - room));
    this.tooltip.style.transform = `translate(${Math.round(x)}px, ${Math.round(middle)}px) translate(${isRight ? "calc(-100% - 14px)" : "14px"}, -50%)`;
  }
}

function drawLine(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function drawCircle(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}
