"use strict";
// Which latents are listed and in which order: all of it in one state. The address has it (filter_address.js),
// and the tab remembers it for addresses that do not.

/** What the few pictures of a rare latent say is chance: undefined for those. */
const unlessRare = (value) => (data, latent) => (data.imageFrequency[latent] < data.rareBelow ? undefined : value(data, latent));

/** By what latents are sorted; undefined for those that lack it, which come last either way. */
const sortKeys = {
  index: (data, latent) => latent,
  frequency: (data, latent) => data.frequency[latent],
  imageFrequency: (data, latent) => data.imageFrequency[latent],
  meanValue: unlessRare((data, latent) => data.meanValue[latent]),
  maxValue: unlessRare((data, latent) => data.maxValue[latent]),
  // How much of the way from chance to a perfect order its values go.
  precision: unlessRare((data, latent) => aboveChance(data.topLabels.get(latent))),
  purity: unlessRare((data, latent) => data.topLabels.get(latent)?.purity),
  border: placeKey("border"),
  extent: placeKey("extent"),
  patches: placeKey("patches"),
  boundary: placeKey("boundary"),
  onePicture: placeKey("onePicture"),
  selectivity: unlessRare((data, latent) => selectivity(data.topLabels.get(latent))),
  topRatio: (data, latent) => data.topRatio?.[latent] || undefined,
  spread: (data, latent) => data.spread?.[latent] || undefined,
  seeds: (data, latent) => (data.frequency[latent] > 0 ? data.seeds?.cosine?.[latent] ?? data.seeds?.found[latent] : undefined),
  nameScore: (data, latent) => data.names.get(latent)?.score,
  text: (data, latent) => data.textScores?.get(latent),
  shuffled: (data, latent, seed) => hashOf(latent, seed),
};

/** A number that looks random, the same for the same latent and seed: the finaliser of MurmurHash3, twice. */
function hashOf(latent, seed) {
  const mixed = (x) => {
    let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  };
  return mixed(mixed(seed + 0x9e3779b9) ^ latent);
}

/** (AP - chance) / (1 - chance); undefined without a label, and where all pictures have it. */
function aboveChance(label) {
  return label === undefined || label.precision === null || label.prevalence >= 1 ? undefined : (label.precision - label.prevalence) / (1 - label.prevalence);
}

/** By how much the share of the label in the strongest tenth exceeds its share among all. */
function selectivity(label) {
  return label === undefined ? undefined : label.purity - label.purity / label.lift;
}

const kinds = {
  pictures: (data, latent) => data.hasPage.has(latent),
  alive: (data, latent) => data.frequency[latent] > 0,
  dead: (data, latent) => data.frequency[latent] === 0,
  all: () => true,
};

class Filters extends EventTarget {
  constructor(data, notes) {
    super();
    this.data = data;
    this.notes = notes;
    this.key = `saev-filters:${data.saeId}`;
    this.initial = {
      search: "",
      kind: data.hasPage.size > 0 ? "pictures" : "all",
      isStarred: false,
      isNamed: false,
      verdict: "", // "" for any or none; "own:..." is that of notes
      tag: "", // "" for any or none
      flag: "", // "" for any or none
      seeds: 0, // in at least so many others
      frequency: [null, null], // from, to; null for no bound
      meanValue: [null, null],
      mapX: [null, null],
      mapY: [null, null],
      labels: 0, // which kind of labels stands beside latents
      shuffle: 0, // which of the random orders
      sort: data.topLabels.size > 0 ? "precision" : "shuffled",
      isDescending: true,
    };
    this.state = { ...this.initial, ...this.remembered() };
    this.searchTrouble = ""; // why a search finds less
    data.chooseLabels(this.state.labels);
  }

  /** Changes some of the state; "change" tells. */
  set(changes) {
    this.state = { ...this.state, ...changes };
    if ("labels" in changes) this.relabel();
    keep("sessionStorage", this.key, JSON.stringify(this.state));
    this.dispatchEvent(new Event("change"));
  }

  /** Takes all filters away; the order stays. */
  reset() {
    const { labels, sort, isDescending, shuffle } = this.state;
    this.set({ ...this.initial, labels, sort, isDescending, shuffle });
  }

  /** Labels of another kind are searched, and sorted by. */
  relabel() {
    this.data.chooseLabels(this.state.labels);
    [this.madeTexts, this.sorted] = [undefined, undefined];
  }

  /** Changes the order where what it goes by has changed, too. */
  resort(changes) {
    this.sorted = undefined;
    this.set(changes);
  }

  clearRanges() {
    this.set({ frequency: [null, null], meanValue: [null, null], mapX: [null, null], mapY: [null, null] });
  }

  get hasRanges() {
    const { frequency, meanValue, mapX, mapY } = this.state;
    return [...frequency, ...meanValue, ...mapX, ...mapY].some((bound) => bound !== null);
  }

  get isFiltering() {
    const { labels, sort, isDescending, shuffle, ...rest } = this.initial;
    return Object.entries(rest).some(([name, value]) => JSON.stringify(value) !== JSON.stringify(this.state[name]));
  }

  /** The latents that pass all filters, in order. */
  list() {
    const { state, data, notes } = this;
    const isOfKind = kinds[state.kind];
    const terms = this.terms.map((term) => ({ term, more: this.search?.found(term) }));
    return this.ordered().filter((latent) => isOfKind(data, latent)
      && isWithin(data.frequency[latent], state.frequency)
      && isWithin(data.meanValue[latent], state.meanValue)
      && (data.families === null || (isWithin(data.families.x[latent], state.mapX) && isWithin(data.families.y[latent], state.mapY)))
      && (!state.isStarred || notes.get(latent).star)
      && (!state.isNamed || data.nameOf(latent) !== undefined)
      && (state.verdict === "" || this.hasVerdict(latent))
      && (state.tag === "" || notes.get(latent).tags.includes(state.tag))
      && passesFlag(data, latent, state.flag)
      && (state.seeds === 0 || data.seeds?.found[latent] >= state.seeds)
      && (terms.length === 0 || this.isFound(latent, terms)));
  }

  /** Whether a test, or the latent's note, says what is asked for of a claim. */
  hasVerdict(latent) {
    const { claim, verdict } = this.notes.get(latent);
    return (claim !== "" && this.state.verdict === `own:${verdict}`)
      || (this.data.verdicts.get(latent) ?? []).some(({ standing }) => standing === this.state.verdict);
  }

  /** What is searched, in small letters; the first time brings the file names and labels that are searched, too. */
  get terms() {
    const terms = this.state.search.toLowerCase().split(/\s+/).filter((term) => term !== "");
    if (terms.length > 0 && this.search === undefined && this.unsearched !== this.state.search) this.loadSearch(this.state.search);
    return terms;
  }

  /** Loads what else is searched; where that fails, `searchTrouble` says so until the next words try again. */
  loadSearch(words) {
    this.search = null;
    const tell = (found, trouble) => {
      Object.assign(this, { search: found, searchTrouble: trouble, unsearched: found === undefined ? words : "" });
      this.dispatchEvent(new Event("change"));
    };
    LatentSearch.load(this.data).then((found) => tell(found, ""), (error) => tell(undefined, `File names and labels are not searched: ${error.message}`));
  }

  /** Whether each term is in a text of the latent or begins its number. */
  isFound(latent, terms) {
    const texts = `${this.texts[latent]}\n${this.notes.words(latent)}`;
    const number = String(latent);
    return terms.every(({ term, more }) => number.startsWith(term) || texts.includes(term) || more?.[latent] === 1);
  }

  /** Per latent the name that was found, its label and what is claimed of it, in small letters. */
  get texts() {
    this.madeTexts ??= Array.from({ length: this.data.nLatents }, (_, latent) =>
      [this.data.names.get(latent)?.name, this.data.topLabels.get(latent)?.label, ...(this.data.verdicts.get(latent) ?? []).map(({ claim }) => claim)]
        .join("\n").toLowerCase());
    return this.madeTexts;
  }

  /** All latents in the order asked for; sorted again only when that changes. */
  ordered() {
    const { sort, isDescending, shuffle } = this.state;
    const key = JSON.stringify([sort, isDescending, shuffle]);
    if (this.sorted?.key === key) return this.sorted.latents;
    const latents = Array.from({ length: this.data.nLatents }, (_, latent) => latent);
    const worst = isDescending ? -Infinity : Infinity;
    const values = Float64Array.from(latents, (latent) => sortKeys[sort](this.data, latent, shuffle) ?? worst);
    latents.sort((a, b) => (values[a] === values[b] ? a - b : (values[a] < values[b]) === isDescending ? 1 : -1));
    this.sorted = { key, latents };
    return latents;
  }

  /** What this tab last had. */
  remembered() {
    return this.known(recallValue("sessionStorage", this.key) ?? {});
  }

  /** A state that was kept; nothing if it is none, or none of this gallery. */
  known(kept) {
    const isRange = (range) => Array.isArray(range) && range.length === 2 && range.every((bound) => bound === null || typeof bound === "number");
    const isState = Object.entries(this.initial).every(([name, value]) =>
      (Array.isArray(value) ? isRange(kept[name]) : typeof kept[name] === typeof value));
    const { seeds, verdicts, profile } = this.data; // it may have been rendered anew, without them
    if (kept.seeds > (seeds?.n ?? 0) || (kept.sort === "seeds" && seeds === null)) return {};
    if (!["", "none", ...profile?.names ?? []].includes(kept.flag)) return {};
    if (isState && kept.verdict !== "" && !kept.verdict.startsWith("own:") && ![...verdicts.values()].flat().some(({ standing }) => standing === kept.verdict)) return {};
    if (!isState || !Object.hasOwn(kinds, kept.kind) || !Object.hasOwn(sortKeys, kept.sort)) return {};
    return kept.sort === "text" ? { ...kept, sort: this.initial.sort } : kept; // what was found is gone
  }
}

function isWithin(value, [low, high]) {
  return (low === null || value >= low) && (high === null || value <= high);
}
