"use strict";
// Which latents fire in each picture, and how strongly at most: one table of all pictures, and what tells two sets apart.

class PictureLevels {
  /** A promise of the table of a gallery; null where it has none. */
  static async load(data) {
    if (data.levels === null) return null;
    const parts = await Promise.all(Array.from({ length: Math.ceil(data.pictures.size / GalleryData.chunk) }, (_, i) =>
      take(`${data.root}data/levels/${String(i).padStart(6, "0")}.js`)));
    return new PictureLevels(data, parts);
  }

  /** `parts` as in by_picture.py: latent after latent the pictures where it fires, and the levels there, 1 to 255. */
  constructor(data, parts) {
    this.data = data;
    this.isKnown = new Uint8Array(data.pictures.size); // by place: whether anything is known of the picture
    const chunks = parts.map(({ known, counts, latents, levels }) => ({
      known: bytesOf(known), counts: numbersOf(counts, Uint16Array),
      latents: numbersOf(latents, data.nLatents <= 65536 ? Uint16Array : Uint32Array), levels: bytesOf(levels),
    }));
    this.starts = new Uint32Array(data.nLatents + 1);
    for (const { latents } of chunks) for (const latent of latents) this.starts[latent + 1] += 1;
    for (let latent = 0; latent < data.nLatents; latent += 1) this.starts[latent + 1] += this.starts[latent];
    this.places = new Uint32Array(this.starts[data.nLatents]);
    this.levels = new Uint8Array(this.starts[data.nLatents]);
    const next = this.starts.slice();
    chunks.forEach((chunk, i) => this.enter(chunk, i * GalleryData.chunk, next));
  }

  enter({ known, counts, latents, levels }, first, next) {
    this.isKnown.set(known, first);
    let entry = 0;
    counts.forEach((count, i) => {
      for (const end = entry + count; entry < end; entry += 1) {
        const at = next[latents[entry]]++;
        this.places[at] = first + i;
        this.levels[at] = levels[entry];
      }
    });
  }

  /**
   * How well each latent tells the pictures of set A from those of set B, by the largest value in each picture: a promise
   * of {rows: [{latent, ap, level: the one from which on it fires with the largest MCC, counts: FireCounts there}] of those
   * that fire in A, nA, nB}. `sides` has 1 for A, 2 for B and 0 for neither, by place; pictures of which nothing is
   * known are left out. `isWanted()` says whether anybody still waits.
   */
  async contrast(sides, isWanted) {
    const of = (side) => sides.reduce((n, one, place) => n + (one === side && this.isKnown[place]), 0);
    const [nA, nB] = [of(1), of(2)];
    const rows = [];
    let pause = performance.now() + 30;
    for (let latent = 0; latent < this.data.nLatents; latent += 1) {
      const row = this.compare(latent, sides, nA, nB);
      if (row !== null) rows.push(row);
      if (performance.now() < pause) continue;
      await new Promise((resolve) => { setTimeout(resolve); }); // the page stays alive
      if (!isWanted()) return null;
      pause = performance.now() + 30;
    }
    return { rows, nA, nB };
  }

  compare(latent, sides, nA, nB) {
    const [values, labels] = [[], []];
    let inA = 0;
    for (let at = this.starts[latent]; at < this.starts[latent + 1]; at += 1) {
      const side = sides[this.places[at]];
      if (side === 0) continue;
      values.push(this.levels[at]);
      labels.push(side === 1);
      inA += side === 1;
    }
    if (inA === 0) return null;
    const curve = new FireCurve(values, labels, nA - inA, nB - (values.length - inA));
    let best = null;
    for (const { value, tp, fp } of curve.steps) {
      const counts = new FireCounts(tp, fp, nA - tp, nB - fp);
      if (best === null || counts.mcc > best.counts.mcc) best = { level: value, counts };
    }
    return { latent, ap: curve.averagePrecision, ...best };
  }
}
