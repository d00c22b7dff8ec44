"use strict";
// The data of a gallery: the numbers of all latents at once, latents and pictures when they are wanted. A data script
// calls `saevTake` with one value; which promise waits for it is known by the element of the script.

const waiting = new Map();

function saevTake(value) {
  waiting.get(document.currentScript)?.(value);
}

/** A promise of the value of a data script. */
function take(path) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: path });
    const fail = () => { waiting.delete(script); script.remove(); reject(new Error(`${path} is missing from this gallery's folder.`)); };
    let isTaken = false;
    waiting.set(script, (value) => { isTaken = true; resolve(value); });
    script.onload = () => { if (isTaken) { waiting.delete(script); script.remove(); } else fail(); };
    script.onerror = fail;
    document.head.append(script);
  });
}

/** The value of a script that was packed: the JSON that is deflated in it. */
async function unpacked(value) {
  if (typeof value !== "string") return value;
  return new Response(new Blob([bytesOf(value)]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i); // much faster than Uint8Array.from
  return bytes;
}

const numbersOf = (base64, Kind) => new Kind(bytesOf(base64).buffer); // little-endian, as all of today's machines

class GalleryData {
  static chunk = 256; // pictures in a script of many, as in by_picture.py
  static mostKept = 300; // latents and pictures that stay in memory; scrolling through thousands must not fill it

  /**
   * Opens the gallery in the folder `home`, "" for the page's own, "../NAME/" for another one beside it: its first image
   * set, or another one.
   */
  static async open(home = "", set = null) {
    const root = (set?.folder ?? "") === "" ? home : `${home}sets/${encodeURIComponent(set.folder)}/`;
    const data = new GalleryData(root, await take(`${root}data/overview.js`), home, set);
    if (typeof connectPages !== "undefined") await connectPages(data);
    return data;
  }

  constructor(root, raw, home = root, set = null) {
    Object.assign(this, { root, home, set });
    this.title = raw.title;
    this.saeId = raw.saeId;
    this.facts = raw.facts; // [name, value]
    [this.rows, this.columns] = raw.grid;
    this.orders = new Map(raw.orders); // of pictures: what each is called
    this.isFull = new Set(raw.pages); // latents whose page has all pictures
    this.small = new Map((raw.small?.latents ?? []).map((latent, i) => [latent, Math.floor(i / raw.small.perFile)])); // latent -> file
    this.hasPage = new Set([...raw.pages, ...this.small.keys()]);
    this.make = null; // where a server makes pages: a latent gives the promise of its page
    this.noMaking = null; // why a server makes none
    this.makers = new Set(); // what hears how far it is
    for (const name of ["frequency", "imageFrequency", "meanValue", "maxValue", "binEdges"]) {
      this[name] = numbersOf(raw[name], Float32Array);
    }
    this.nLatents = this.frequency.length;
    this.scale = raw.scale === undefined ? this.maxValue : numbersOf(raw.scale, Float32Array); // what level 255 stands for
    this.p99 = raw.p99 === undefined ? null : numbersOf(raw.p99, Float32Array);
    this.rareBelow = raw.rareBelow;
    this.alive = [];
    this.frequency.forEach((share, latent) => { if (share > 0) this.alive.push(latent); });
    this.labelKinds = raw.topLabels.map(([kind, labels]) => ({ kind, labels: new Map(labels.map(([latent, ...label]) => [latent, labelOf(label)])) }));
    this.chooseLabels(0);
    this.names = new Map(raw.names.map(([latent, name, score, runnersUp]) => [latent, { name, score, runnersUp }]));
    this.ownName = () => ""; // the user's name for a latent; notes know it
    this.others = raw.others.map(({ folder, title, matched, cosine }) => ({
      folder, title, matched: numbersOf(matched, Int32Array), cosine: numbersOf(cosine, Float32Array),
    }));
    this.decoderNorms = raw.decoderNorms === undefined ? null : numbersOf(raw.decoderNorms, Float32Array); // null: all are 1
    this.maskNames = raw.maskNames ?? []; // labels of patches
    this.pictures = new Map(raw.pictures.map(([id, name, label, width, height], place) => [
      id, { id, place, name, label: label < 0 ? null : raw.labels[label], width, height, isMissing: width <= 0, isLeftOut: width < 0 },
    ]));
    this.metadata = (raw.metadata ?? []).map(({ name, kind, values, numbers }) => {
      const places = numbersOf(numbers, Int32Array); // -1 where it is not known
      return { name, kind, values: new Map(raw.pictures.flatMap(([id], i) => (places[i] < 0 ? [] : [[id, values[places[i]]]]))) };
    });
    this.levels = raw.levels ?? null; // of latents by picture, {most: latents of a picture at most, or null}
    this.verdicts = new Map(); // latent -> what tests say of it, the clearest first
    for (const verdict of raw.verdicts ?? []) {
      for (const latent of verdict.any) this.verdicts.set(latent, [...this.verdicts.get(latent) ?? [], verdict]);
    }
    this.searches = raw.searches ?? false; // whether there is more to search than what this script says
    this.judges = raw.judges ?? false; // whether latents can be judged by labels of all pictures
    this.interventions = raw.interventions ?? [];
    this.half = raw.half ?? null; // of the pictures, {seed, group}, where it keeps to one
    this.alike = new Map((raw.alike ?? []).flatMap((ids) => ids.map((id) => [id, ids[0]]))); // of nearly the same pictures the first
    this.families = familiesOf(raw.families);
    this.profile = profileOf(raw.places); // where in pictures latents fire
    this.seeds = raw.seeds === undefined ? null : {
      ...raw.seeds, found: numbersOf(raw.seeds.found, Uint16Array), cosine: raw.seeds.cosine === undefined ? null : numbersOf(raw.seeds.cosine, Float32Array),
    };
    for (const name of ["topRatio", "spread"]) this[name] = raw[name] === undefined ? null : numbersOf(raw[name], Float32Array);
    this.colourMaps = new Map(Object.entries(raw.colourMaps).map(([name, table]) => [name, bytesOf(table)]));
    this.kept = new Map();
  }

  /** Puts labels of a kind, given by its number, beside latents; the first kind if there is none of that number. */
  chooseLabels(number) {
    this.topLabels = (this.labelKinds[number] ?? this.labelKinds[0])?.labels ?? new Map();
  }

  /** What a latent is called: by the user, or by the name that was found; undefined if by neither. */
  nameOf(latent) {
    return this.ownName(latent) || this.names.get(latent)?.name;
  }

  /** The image set that is shown, "" for the first one of the gallery. */
  get setName() {
    return this.set?.folder ?? "";
  }

  /** What else is known of a picture: [name of the column, value]. */
  factsOf(id) {
    return this.metadata.flatMap(({ name, values }) => (values.has(id) ? [[name, values.get(id)]] : []));
  }

  /** The length of the decoder direction of a latent. */
  decoderNorm(latent) {
    return this.decoderNorms?.[latent] ?? 1;
  }

  imagePath(id) {
    return `${this.root}images/${String(id).padStart(8, "0")}.jpg`;
  }

  /**
   * A promise of a latent's page: {index, p99: the level of the 99th percentile of its values or else of the largest one,
   * top: {ORDER: [{image, value}]}, samples: [{quantiles, examples}], heatmap(image): levels or undefined, histogram, percentiles: [[percent, value]], labels and patchLabels:
   * [{label, count, purity, lift, q, precision or null, overall, prevalence}], columns: [{name, labels like these}],
   * peaks: Map of pictures to the label of the strongest patch, neighbours and coactive: [{latent, cosine}],
   * directions: [[word, score]], meanMap: {most, levels} or null}.
   */
  latent(index) {
    if (!this.small.has(index) && !this.isFull.has(index) && this.make !== null) return this.whole(index);
    if (!this.small.has(index)) return this.once(`data/latents/${String(index).padStart(6, "0")}.js`, (raw) => latentOf(raw, this.scale[index], this.p99?.[index]));
    const several = this.once(`data/small/${String(this.small.get(index)).padStart(6, "0")}.js`, (raws) => new Map(raws.map((raw) => [raw.index, raw])));
    return several.then((raws) => latentOf(raws.get(index), this.scale[index], this.p99?.[index]));
  }

  /** The same with all its pictures, as far as these are stored or can be made; `tell` hears how far they are, in words. */
  whole(index, tell = null) {
    if (this.isFull.has(index) || this.make === null) return this.latent(index);
    if (tell !== null) {
      this.makers.add(tell);
      return this.whole(index).finally(() => this.makers.delete(tell));
    }
    return this.keep(`made/${index}`, () => this.make(index).then((raw) => ({ ...latentOf(raw, this.scale[index], this.p99?.[index]), isWhole: true })));
  }

  tellMaking(text) {
    for (const tell of this.makers) tell(text);
  }

  /** Pictures that pages show which were made later: [id, name, label or null]. */
  addPictures(pictures) {
    for (const [id, name, label] of pictures) {
      if (!this.pictures.has(id)) this.pictures.set(id, { id, name, label, width: this.columns, height: this.rows, isMissing: false });
    }
  }

  /** A promise of what fires in a picture: {patches: for each patch [{latent, level}], strongest first, `most` at most, which cuts
   * the lists of `nCut` patches}. */
  picture(id) {
    return this.once(`data/pictures/${String(id).padStart(8, "0")}.js`, codesOf);
  }

  /** A promise of the labels of a picture's patches, as places in `maskNames` or 255 for none; null if there are none. */
  async maskOf(id) {
    if (this.maskNames.length === 0) return null;
    const { place } = this.pictures.get(id);
    if (place === undefined) return null; // of a page that was made later
    const chunk = await this.maskChunk(Math.floor(place / GalleryData.chunk));
    const runs = bytesOf(chunk[place % GalleryData.chunk]);
    const labels = new Uint8Array(this.rows * this.columns);
    for (let i = 0, end = 0; i < runs.length; i += 2) labels.fill(runs[i], end, end += runs[i + 1]);
    return labels;
  }

  maskChunk(number) {
    return this.once(`data/masks/${String(number).padStart(6, "0")}.js`, (rows) => rows);
  }

  /** A promise of the ids of the pictures that have a patch with the label of this name. */
  async havingPatches(name) {
    const label = this.maskNames.indexOf(name);
    const ids = [...this.pictures.keys()];
    if (label < 0) return new Set();
    const runs = (await Promise.all(Array.from({ length: Math.ceil(ids.length / GalleryData.chunk) }, (_, i) => this.maskChunk(i)))).flat();
    return new Set(ids.filter((_, place) => bytesOf(runs[place]).some((byte, i) => i % 2 === 0 && byte === label)));
  }

  /** The promise of a script's value, the same one as long as it is among those used last. */
  once(path, decode) {
    return this.keep(path, () => take(this.root + path).then(unpacked).then(decode));
  }

  /** What `get()` promises, kept likewise. */
  keep(path, get) {
    let promise = this.kept.get(path);
    if (promise === undefined) {
      promise = get();
      promise.catch(() => { if (this.kept.get(path) === promise) this.kept.delete(path); });
    }
    this.kept.delete(path);
    this.kept.set(path, promise); // a Map keeps the order of insertion: the first one was used longest ago
    while (this.kept.size > GalleryData.mostKept) this.kept.delete(this.kept.keys().next().value);
    return promise;
  }
}

const labelOf = ([label, count, purity, lift, q, precision = null, overall = null, prevalence = null]) =>
  ({ label, count, purity, lift, q, precision, overall, prevalence });

/** Labels of strongest patches by picture: one number for each with a heatmap, ascending; one past the last for none. */
function peaksOf(raw) {
  if (raw.peaks === undefined || raw.heat === undefined) return new Map();
  const { labels, numbers } = raw.peaks;
  const images = [...raw.heat.images].sort((a, b) => a - b);
  const own = numbersOf(numbers, Uint16Array);
  return new Map(images.flatMap((image, i) => (own[i] < labels.length ? [[image, labels[own[i]]]] : [])));
}

function latentOf(raw, scale, ninetyNinth = raw.percentiles[99]) {
  const examples = (list) => list.map(([image, value]) => ({ image, value }));
  const pairs = (list) => list.map(([latent, cosine]) => ({ latent, cosine }));
  const heat = raw.heat === undefined ? null : heatsOf(raw.heat);
  const decoded = new Map();
  const p99 = 255 * Math.min(1, ninetyNinth / scale) || 255;
  return {
    index: raw.index,
    p99,
    top: Object.fromEntries(Object.entries(raw.top).map(([order, list]) => [order, examples(list)])),
    samples: raw.samples.map((group) => ({ quantiles: group.quantiles, examples: examples(group.examples) })),
    heatmap(image) {
      if (!decoded.has(image)) decoded.set(image, levelsOf(heat === null ? raw.heatmaps[image] : heat.get(image), p99));
      return decoded.get(image);
    },
    histogram: raw.histogram,
    percentiles: Object.entries(raw.percentiles).map(([percent, value]) => [Number(percent), value]),
    labels: raw.labels.map(labelOf),
    patchLabels: raw.patchLabels.map(labelOf),
    columns: raw.columns.map(([name, labels]) => ({ name, labels: labels.map(labelOf) })),
    peaks: peaksOf(raw),
    neighbours: pairs(raw.neighbours),
    coactive: pairs(raw.coactive),
    directions: raw.directions,
    meanMap: raw.meanMap === undefined ? null : { most: raw.meanMap.most, levels: bytesOf(raw.meanMap.levels) },
    judged: raw.judged ?? null, // see judged.js
  };
}

/** Of each picture its places with a level above 0, see scripts.py: image -> Map of patches to levels. */
function heatsOf({ images, counts, places, levels }) {
  const [number, level] = [numbersOf(counts, Uint16Array), bytesOf(levels)];
  let place = bytesOf(places);
  if (place.length > level.length) place = new Uint16Array(place.buffer);
  let end = 0;
  return new Map(images.map((image, i) => {
    const start = end;
    end += number[i];
    return [image, new Map(Array.from(place.subarray(start, end), (patch, j) => [patch, level[start + j]]))];
  }));
}

/** Levels 0..255 of the patches: {at(patch), p99} of a heatmap; a text is one as earlier versions stored it. */
function levelsOf(stored, p99) {
  if (stored === undefined) return undefined;
  if (stored instanceof Map) return { at: (patch) => stored.get(patch) ?? 0, p99 };
  const bytes = bytesOf(stored.slice(1));
  if (stored[0] === "d") return { at: (patch) => bytes[patch], p99 };
  const n = bytes.length / 3;
  const places = new Map();
  for (let i = 0; i < n; i += 1) places.set(bytes[2 * i] + 256 * bytes[2 * i + 1], bytes[2 * n + i]);
  return { at: (patch) => places.get(patch) ?? 0, p99 };
}

function codesOf(raw) {
  const latents = numbersOf(raw.latents, Uint32Array);
  const offsets = numbersOf(raw.offsets, Uint32Array);
  const entries = numbersOf(raw.entries, latents.length < 65536 ? Uint16Array : Uint32Array);
  const levels = bytesOf(raw.levels);
  const patches = [];
  for (let patch = 0; patch + 1 < offsets.length; patch += 1) {
    const list = [];
    for (let i = offsets[patch]; i < offsets[patch + 1]; i += 1) list.push({ latent: latents[entries[i]], level: levels[i] });
    patches.push(list);
  }
  return { patches, most: raw.most, nCut: raw.nCut };
}
