"use strict";
// All alive latents by frequency and mean value: a canvas for the points, one above it for what the pointer is on.

class Scatter {
  static margin = { left: 62, right: 16, top: 12, bottom: 46 };
  static reach = 14; // pixels from the pointer within which a point is taken
  static cell = 28; // pixels, more than the reach: the pointer's own and the adjacent cells hold all within it

  constructor(container, onPick) {
    this.container = container;
    this.onPick = onPick;
    this.points = element("canvas", {
      role: "img",
      "aria-label": `Scatter plot of ${showCount(Data.alive.length, "alive latent")}: frequency against mean value. The list below holds the same numbers.`,
    });
    this.marks = element("canvas", { class: "marks", "aria-hidden": "true" });
    this.tooltip = element("div", { class: "tooltip", hidden: "" });
    container.append(this.points, this.marks, this.tooltip);
    container.addEventListener("pointermove", (event) => this.hover(event));
    container.addEventListener("pointerleave", () => this.mark(null));
    container.addEventListener("click", (event) => {
      const index = this.nearest(event.offsetX, event.offsetY);
      if (index !== null) this.onPick(index);
    });
    new ResizeObserver(() => this.draw()).observe(container);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Where latent `index` is drawn, in pixels of the container. */
  position(index) {
    return [this.x.place(Data.frequency[index]), this.y.place(Data.meanValue[index])];
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.container;
    if (width === 0) return;
    const { left, right, top, bottom } = Scatter.margin;
    this.x = logAxis(Data.alive.map((i) => Data.frequency[i]), left, width - right);
    this.y = logAxis(Data.alive.map((i) => Data.meanValue[i]), height - bottom, top);
    const style = getComputedStyle(this.container);
    this.colour = (name) => style.getPropertyValue(`--${name}`);
    this.fit(this.marks, width, height);
    const context = this.fit(this.points, width, height);
    this.drawAxes(context, width, height);
    this.drawPoints(context);
    this.index();
  }

  fit(canvas, width, height) {
    const ratio = devicePixelRatio;
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return context;
  }

  drawAxes(context, width, height) {
    const { left, right, top, bottom } = Scatter.margin;
    const [xEnd, yEnd] = [width - right, height - bottom];
    context.font = `13px ${getComputedStyle(this.container).fontFamily}`;
    context.strokeStyle = this.colour("line");
    context.fillStyle = this.colour("soft");
    context.textAlign = "center";
    for (const tick of this.x.ticks) {
      const x = Math.round(this.x.place(tick)) + 0.5;
      line(context, x, top, x, yEnd);
      context.fillText(showShare(tick), x, yEnd + 18);
    }
    context.fillText("Frequency (share of tokens, log scale)", (left + xEnd) / 2, height - 6);
    context.textAlign = "right";
    for (const tick of this.y.ticks) {
      const y = Math.round(this.y.place(tick)) + 0.5;
      line(context, left, y, xEnd, y);
      context.fillText(showNumber(tick), left - 8, y + 4);
    }
    context.save();
    context.translate(14, (top + yEnd) / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText("Mean value when active (log scale)", 0, 0);
    context.restore();
  }

  drawPoints(context) {
    context.fillStyle = this.colour("faint");
    context.globalAlpha = Math.max(0.25, Math.min(1, 50 / Math.sqrt(Data.alive.length))); // many points overlap
    for (const index of Data.alive) {
      if (Data.hasPage.has(index)) continue;
      const [x, y] = this.position(index);
      context.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
    context.globalAlpha = 1;
    context.lineWidth = 1;
    context.strokeStyle = this.colour("panel");
    context.fillStyle = this.colour("accent");
    for (const index of Data.alive) {
      if (!Data.hasPage.has(index)) continue;
      circle(context, ...this.position(index), 5);
      context.fill();
      context.stroke();
    }
  }

  /** Sorts the points into cells, so that finding the nearest looks at a few of them only. */
  index() {
    this.cells = new Map();
    for (const index of Data.alive) {
      const key = this.position(index).map((place) => Math.floor(place / Scatter.cell)).join();
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(index);
    }
  }

  /** The latent nearest to a place, or null; one with a page wins over a faint one up to twice as near. */
  nearest(x, y) {
    const [column, row] = [x, y].map((place) => Math.floor(place / Scatter.cell));
    let [best, bestDistance] = [null, Infinity];
    for (let r = row - 1; r <= row + 1; r += 1) {
      for (let c = column - 1; c <= column + 1; c += 1) {
        for (const index of this.cells?.get(`${c},${r}`) ?? []) {
          const [px, py] = this.position(index);
          const away = Math.hypot(px - x, py - y);
          const distance = Data.hasPage.has(index) ? away : 2 * away;
          if (away <= Scatter.reach && distance < bestDistance) [best, bestDistance] = [index, distance];
        }
      }
    }
    return best;
  }

  hover(event) {
    this.mark(this.nearest(event.offsetX, event.offsetY));
  }

  /** Rings the latent `index` and says its numbers; null takes both away. */
  mark(index) {
    const context = this.marks.getContext("2d");
    context.clearRect(0, 0, this.marks.width, this.marks.height);
    this.tooltip.hidden = index === null;
    this.container.classList.toggle("pointing", index !== null);
    if (index === null || this.x === undefined) return;
    const [x, y] = this.position(index);
    context.strokeStyle = this.colour("ink");
    context.lineWidth = 2;
    circle(context, x, y, 8);
    context.stroke();
    this.tooltip.replaceChildren(
      element("strong", {}, `Latent ${index}`),
      element("span", {}, `${showShare(Data.frequency[index])} of tokens`),
      element("span", {}, `mean ${showValue(Data.meanValue[index])}, max ${showValue(Data.maxValue[index])}`),
      ...(Data.hasPage.has(index) ? [] : [element("span", { class: "soft" }, "no pictures")]),
    );
    const isRight = x > this.container.clientWidth / 2;
    const room = this.tooltip.offsetHeight / 2 + 4;
    const middle = Math.max(room, Math.min(y, this.container.clientHeight - room));
    this.tooltip.style.transform = `translate(${Math.round(x)}px, ${Math.round(middle)}px) translate(${isRight ? "calc(-100% - 14px)" : "14px"}, -50%)`;
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function circle(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}
