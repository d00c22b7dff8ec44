"use strict";
// Latents by the file names of their strongest pictures and by their labels. What is searched is loaded with the first word.

class LatentSearch {
  /** A promise; of null in galleries of earlier versions. */
  static async load(data) {
    return data.searches ? new LatentSearch(data, await data.once("data/search.js", (raw) => raw)) : null;
  }

  constructor({ nLatents, pictures }, raw) {
    this.nLatents = nLatents;
    this.latents = numbersOf(raw.latents, Uint32Array);
    const lists = ([counts, values]) => ({ counts: numbersOf(counts, Uint16Array), values: numbersOf(values, Uint32Array) });
    this.files = { ...lists(raw.pictures), texts: [...pictures.values()].map(({ name }) => name.toLowerCase()) };
    this.labels = { ...lists(raw.labels), texts: raw.names.map((name) => name.toLowerCase()) };
    this.last = new Map();
  }

  /** By latent 1 if one of these texts has the term; a number alone is no part of a file name: it means latents. */
  found(term) {
    if (this.last.has(term)) return this.last.get(term);
    const found = new Uint8Array(this.nLatents);
    for (const { counts, values, texts } of /^\d+$/.test(term) ? [this.labels] : [this.labels, this.files]) {
      const has = texts.map((text) => text.includes(term));
      let end = 0;
      this.latents.forEach((latent, i) => {
        const start = end;
        end += counts[i];
        for (let j = start; j < end; j += 1) if (has[values[j]]) found[latent] = 1;
      });
    }
    this.last = new Map([...this.last, [term, found]].slice(-8));
    return found;
  }
}
