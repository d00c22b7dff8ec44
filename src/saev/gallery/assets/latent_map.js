"use strict";
// All linked latents on a map: near to each other if they decode to like directions and fire together. The names of the
// largest families stand on it. It filters as the scatter plot does.

class LatentMap extends Scatter {
  static filtered = ["mapX", "mapY"];
  static margin = 14; // pixels
  static nNames = 24;

  get text() {
    return `Map of ${showCount(this.plotted.length, "latent")}: near to each other are those with like decoder directions that fire together.`;
  }

  get plotted() {
    this.linked ??= this.data.alive.filter((latent) => this.data.families.x[latent] <= 1);
    return this.linked;
  }

  placePoints() {
    const { x, y } = this.data.families;
    const axis = (length) => {
      const inner = length - 2 * LatentMap.margin;
      return { place: (share) => LatentMap.margin + share * inner, value: (pixel) => (pixel - LatentMap.margin) / inner };
    };
    [this.x, this.y] = [axis(this.width), { place: (share) => axis(this.height).place(1 - share), value: (pixel) => 1 - axis(this.height).value(pixel) }];
    this.xs = x.map((share) => (share <= 1 ? this.x.place(share) : -1));
    this.ys = y.map((share) => (share <= 1 ? this.y.place(share) : -1));
  }

  drawAxes() {} // places mean nothing but near and far

  drawListed(context) {
    super.drawListed(context);
    this.drawNames(context);
  }

  /** Names of the largest families that are listed, where there is room. */
  drawNames(context) {
    const { names, members } = this.data.families;
    context.globalAlpha = 1;
    context.font = `600 12px ${getComputedStyle(this.container).fontFamily}`;
    [context.textAlign, context.textBaseline, context.lineWidth] = ["center", "middle", 4];
    const taken = [];
    for (const [family, latents] of [...members].sort(([, a], [, b]) => b.length - a.length)) {
      const shown = latents.filter((latent) => this.shown[latent] && this.xs[latent] >= 0);
      if (names[family] === null || shown.length < 2 || taken.length >= LatentMap.nNames) continue;
      const half = context.measureText(names[family]).width / 2 + 4;
      const x = Math.max(half, Math.min(this.width - half, middleOf(shown.map((latent) => this.xs[latent]))));
      const y = middleOf(shown.map((latent) => this.ys[latent]));
      if (taken.some((other) => Math.abs(other.x - x) < other.half + half && Math.abs(other.y - y) < 15)) continue;
      taken.push({ x, y, half });
      context.strokeStyle = this.colour("panel");
      context.strokeText(names[family], x, y);
      context.fillStyle = this.colour("ink");
      context.fillText(names[family], x, y);
    }
  }

  more(latent) {
    const family = familyText(this.data, latent);
    return family === null ? [] : [element("span", { class: "tip-words" }, family)];
  }
}

/** The median. */
function middleOf(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}
