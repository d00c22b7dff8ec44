"use strict";
// How many latents fire how often: bars in bins of log frequency, and one for the dead ones, left of the axis.

class FrequencyHistogram {
  static top = 18; // pixels for the number above the bar of the dead
  static deadBar = [6, 44]; // its left and right, within the margin that the plot below needs for its axis

  /** `onRange([low, high])` when bars are clicked or dragged over, `onDead()` when the dead ones are clicked. */
  constructor(container, data, { onRange, onDead }) {
    Object.assign(this, { container, data });
    this.shown = new Uint8Array(data.nLatents);
    this.nDead = data.nLatents - data.alive.length;
    this.canvas = element("canvas", { role: "img" });
    this.caption = element("p", { class: "plot-caption", "aria-hidden": "true" });
    container.append(this.canvas, this.caption);
    watchDrags(this.canvas, {
      onDrag: ([x0], [x1]) => onRange(this.rangeOf(this.binAt(Math.min(x0, x1)), this.binAt(Math.max(x0, x1)))),
      onClick: ([x]) => {
        if (x < plotSides.left) onDead();
        else onRange(this.rangeOf(this.binAt(x), this.binAt(x)));
      },
    });
    this.canvas.addEventListener("pointermove", (event) => this.tell(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.tell(null));
    new ResizeObserver(() => this.layout()).observe(container);
    addEventListener("themechange", () => this.draw());
  }

  /** Draws the latents with `shown[latent]` = 1 as the strong part of the bars. */
  show(shown) {
    this.shown = shown;
    this.drawing ??= requestAnimationFrame(() => this.draw());
  }

  layout() {
    const { clientWidth: width, clientHeight: height } = this.container;
    if (width === 0) return;
    Object.assign(this, { width, height });
    this.x = frequencyAxis(this.data, width);
    const decades = this.x.high - this.x.low;
    this.perDecade = decades > 3 ? 8 : decades > 1 ? 20 : 50;
    this.firstBin = Math.floor(this.x.low * this.perDecade);
    this.nBins = Math.ceil(this.x.high * this.perDecade) - this.firstBin;
    this.counts = this.count(() => true);
    this.most = Math.max(...this.counts);
    this.canvas.setAttribute("aria-label", `Histogram of the frequencies of ${showCount(this.data.alive.length, "alive latent")}, `
      + `most of them around ${showShare(this.x.value(this.centre(this.counts.indexOf(this.most))))} of tokens; ${this.nDead.toLocaleString("en")} dead.`);
    this.tell(null);
    this.draw();
  }

  count(isCounted) {
    const counts = Array.from({ length: this.nBins }, () => 0);
    for (const latent of this.data.alive) {
      if (isCounted(latent)) counts[Math.floor(Math.log10(this.data.frequency[latent]) * this.perDecade) - this.firstBin] += 1;
    }
    return counts;
  }

  binAt(x) {
    const bin = Math.floor(Math.log10(this.x.value(x)) * this.perDecade) - this.firstBin;
    return Math.min(Math.max(bin, 0), this.nBins - 1);
  }

  /** The frequencies from bin `first` to bin `last`. */
  rangeOf(first, last) {
    return [first, last + 1].map((bin) => 10 ** ((this.firstBin + bin) / this.perDecade));
  }

  centre(bin) {
    const [low, high] = this.rangeOf(bin, bin);
    return (this.x.place(low) + this.x.place(high)) / 2;
  }

  draw() {
    this.drawing = undefined;
    if (this.x === undefined) return;
    const style = getComputedStyle(this.container);
    const colour = (name) => colourOf(this.container, name);
    const context = fitCanvas(this.canvas, this.width, this.height);
    this.listed = this.count((latent) => this.shown[latent]);
    for (const [counts, fill] of [[this.counts, colour("faint")], [this.listed, colour("accent")]]) {
      context.fillStyle = fill;
      counts.forEach((count, bin) => { if (count > 0) this.drawBar(context, bin, count); });
    }
    context.font = `12px ${style.fontFamily}`;
    this.drawDead(context, colour);
    context.strokeStyle = colour("line");
    drawLine(context, 0, this.height - 0.5, this.width, this.height - 0.5);
  }

  drawBar(context, bin, count) {
    const [low, high] = this.rangeOf(bin, bin).map((value) => this.x.place(value));
    const height = Math.max(2, (count / this.most) * (this.height - FrequencyHistogram.top));
    context.fillRect(low + 0.5, this.height - height, Math.max(1, high - low - 1), height);
  }

  /** The dead on the scale of the others; a bar that would be too high is cut, and its number says so. */
  drawDead(context, colour) {
    if (this.nDead === 0) return;
    const [left, right] = FrequencyHistogram.deadBar;
    const full = this.height - FrequencyHistogram.top;
    const height = Math.max(2, Math.min(1, this.nDead / this.most) * full);
    context.fillStyle = colour("faint");
    context.fillRect(left, this.height - height, right - left, height);
    if (this.nDead > this.most) {
      context.clearRect(left, this.height - 0.7 * full, right - left, 3);
      context.clearRect(left, this.height - 0.7 * full + 6, right - left, 3);
    }
    context.fillStyle = colour("soft");
    context.fillText(`${this.nDead.toLocaleString("en")} dead`, left, this.height - height - 5);
  }

  /** Says what is at pixel `x`, or for null how to read the plot. */
  tell(x) {
    if (x !== null && x < plotSides.left) {
      this.caption.textContent = `${showCount(this.nDead, "latent")} never fired`;
    } else if (x !== null && this.listed !== undefined) {
      const bin = this.binAt(x);
      const [low, high] = this.rangeOf(bin, bin).map(showShare);
      this.caption.textContent = `${low} to ${high}: ${showCount(this.counts[bin], "latent")}, ${this.listed[bin].toLocaleString("en")} listed`;
    } else {
      this.caption.textContent = "latents by frequency";
    }
  }
}
