"use strict";
// What latents are judged by, see gallery/judging_scripts.py: labels of all pictures, and what a latent does on them.
// Pictures are numbered by their places in that list. A label is called as `saev probe` calls it: SOURCE:NAME.

/** Places from the bytes of the gaps between them. */
function placesOf(base64) {
  const places = [];
  let place = -1;
  for (const gap of bytesOf(base64)) {
    place += gap;
    if (gap < 255) places.push(place += 1);
  }
  return places;
}

const bitOf = (bytes, place) => (bytes[place >> 3] >> (place & 7)) & 1;

/** A label that pictures have or not. */
class Attribute {
  /** `isOf(place)` is 1 if the picture has it, 0 if not, -1 if that is not known; `mask` its number among those of patches. */
  constructor(source, family, name, isOf, mask = null) {
    Object.assign(this, { source, family, name, isOf, mask });
  }

  get key() {
    return `${this.source}:${this.name}`;
  }

  /** How many of the first `n` pictures have it and how many have it not. */
  count(n) {
    [this.nWith, this.nWithout] = [0, 0];
    for (let place = 0; place < n; place += 1) {
      const is = this.isOf(place);
      if (is === 1) this.nWith += 1;
      else if (is === 0) this.nWithout += 1;
    }
    return this;
  }
}

/** The pictures that latents are judged by, and their labels. */
class KnownPictures {
  static async open(data) {
    return data.judges ? new KnownPictures(await data.once("data/known.js", (raw) => raw)) : null;
  }

  constructor(raw) {
    this.images = numbersOf(raw.images, Uint32Array);
    this.n = this.images.length;
    this.nImages = raw.nImages; // looked at, of which these may be a random choice
    this.silence = raw.silence;
    this.maskPatches = raw.masks?.patches ?? null; // how many patches have each label
    const ofPictures = raw.labels.flatMap(({ source, family, names, numbers: text }) => {
      const numbers = numbersOf(text, Int32Array);
      return names.map((name, i) => new Attribute(source, family, name, (place) => (numbers[place] < 0 ? -1 : Number(numbers[place] === i))));
    });
    const known = bytesOf(raw.masks?.known ?? "");
    const ofPatches = (raw.masks?.names ?? []).map((name, i) => {
      const has = bytesOf(raw.masks.has[i]);
      return new Attribute("patch", "patches", name, (place) => (bitOf(known, place) ? bitOf(has, place) : -1), i);
    });
    this.attributes = [...ofPatches, ...ofPictures].map((one) => one.count(this.n)).filter(({ nWith, nWithout }) => nWith > 0 && nWithout > 0);
  }

  /** The label of a key; undefined if it is not known here. */
  attributeOf(key, data, stars) {
    return [...this.attributes, this.starred(data, stars)].find((one) => one?.key === key);
  }

  /** The starred pictures as a label of their own; null if all are starred, or none is. */
  starred(data, stars) {
    const has = Array.from(this.images, (id) => Number(data.pictures.has(id) && stars.has(data, data.pictures.get(id))));
    const found = new Attribute("stars", "stars", "starred pictures", (place) => has[place]).count(this.n);
    return found.nWith > 0 && found.nWithout > 0 ? found : null;
  }
}

/** What a latent does on the pictures that it is judged by. */
class JudgedLatent {
  constructor(raw, known) {
    this.known = known;
    this.places = placesOf(raw.places); // where it fires, the strongest ones if there are too many
    this.values = numbersOf(raw.values, Float32Array);
    this.nFires = raw.nFires;
    this.order = Array.from(this.values, (_, i) => i).sort((a, b) => this.values[b] - this.values[a]);
    this.patches = raw.patches;
    this.silent = new Map(); // place -> {value: its pre-activation, patch: where that is largest}
    if (raw.silent !== null) this.readSilent(raw.silent);
  }

  readSilent({ range: [low, high], levels: text, patches: patchText, places: placeText }) {
    const [levels, bytes] = [bytesOf(text), bytesOf(patchText)];
    const patches = bytes.length > levels.length ? new Uint16Array(bytes.buffer) : bytes;
    const fires = new Set(this.places);
    const places = placeText === undefined ? Array.from({ length: this.known.n }, (_, i) => i).filter((i) => !fires.has(i)) : placesOf(placeText);
    places.forEach((place, i) => this.silent.set(place, { value: low + ((high - low) * levels[i]) / 255, patch: patches[i] }));
  }

  /** The least value that a threshold can have: below it pictures are left out. */
  get least() {
    return this.nFires > this.places.length ? this.values[this.order.at(-1)] : 0;
  }

  /** Its values against a label, at all thresholds. */
  curve({ isOf, nWith, nWithout }) {
    const used = this.order.filter((i) => isOf(this.places[i]) >= 0);
    const labels = used.map((i) => isOf(this.places[i]) === 1);
    const n = labels.filter((one) => one).length;
    return new FireCurve(used.map((i) => this.values[i]), labels, nWith - n, nWithout - (labels.length - n));
  }

  /** Hits, false alarms and misses at a threshold as [{place, value, patch}], the strongest first; `value` of a silent one is undefined. */
  at({ isOf }, threshold) {
    const found = { hits: [], alarms: [], misses: [] };
    const fires = new Set(this.places);
    for (const i of this.order) {
      const [place, value] = [this.places[i], this.values[i]];
      const is = isOf(place);
      if (value > threshold && is >= 0) (is === 1 ? found.hits : found.alarms).push({ place, value });
      else if (is === 1) found.misses.push({ place, value });
    }
    const silent = [];
    for (let place = 0; place < this.known.n; place += 1) {
      if (isOf(place) === 1 && !fires.has(place)) silent.push({ place, near: this.silent.get(place) });
    }
    found.misses.push(...silent.sort((a, b) => (b.near?.value ?? -Infinity) - (a.near?.value ?? -Infinity) || a.place - b.place));
    return found;
  }

  /** Counts of patches with the label number `mask`, from the edge of a bin on that is next to the threshold; null if they are not known. */
  patchesAt(edges, mask, threshold) {
    const totals = this.known.maskPatches;
    if (this.patches === null || totals === null) return null;
    const [first, counts] = this.patches;
    const quarters = edges.filter((_, i) => i % 2 === 0);
    const distance = (edge) => Math.abs(Math.log2(edge / Math.max(threshold, quarters[first])));
    const bin = quarters.reduce((best, edge, i) => (distance(edge) < distance(quarters[best]) ? i : best), 0);
    const above = ([label, list]) => [label, list.slice(Math.max(0, bin - first)).reduce((sum, n) => sum + n, 0)];
    const fires = new Map(counts.map(above));
    const all = [...fires.values()].reduce((sum, n) => sum + n, 0);
    const [tp, n, nWith] = [fires.get(mask) ?? 0, totals.reduce((sum, one) => sum + one, 0), totals[mask]];
    return { edge: quarters[bin], counts: new FireCounts(tp, all - tp, nWith - tp, n - nWith - (all - tp)) };
  }
}
