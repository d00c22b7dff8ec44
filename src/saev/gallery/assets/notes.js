"use strict";
// What the user notes on latents: a claim with all that speaks for it, tags, a star. Kept in the browser, or by
// `saev view` in the run (notes_run.js), and shown wherever a latent is.

const noNote = Object.freeze({ star: false, name: "", text: "", claim: "", confidence: null, verdict: "open", tags: [], evidence: [] });
const ownVerdicts = ["open", "supported", "refuted"];

const isSame = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);
const isNothing = (name, value) => value === undefined || isSame(value, noNote[name] ?? null) || isSame(value, []);

/** The fields of a note that say something, all of which may be missing; those of other versions stay. */
function spoken(note) {
  return Object.fromEntries(Object.entries(note).filter(([name, value]) => name !== "latent" && !isNothing(name, value)));
}

/**
 * "change" tells of a latent (event.detail), "trouble" of a failure to keep notes (event.detail is its text).
 * `keeper` keeps them: `read()` gives all, `keep(latents)` is called for those that the user changed.
 */
class Notes extends EventTarget {
  constructor(keeper) {
    super();
    this.keeper = keeper;
    this.notes = new Map();
    this.madeTexts = new Map();
    keeper.connect(this);
    this.put(keeper.read());
  }

  /** The note of a latent with all fields. */
  get(latent) {
    return this.notes.get(latent) ?? noNote;
  }

  get size() {
    return this.notes.size;
  }

  /** All that is noted, by latent: [{latent, star, text, and what else it says}]. */
  get list() {
    return [...this.notes.keys()].sort((a, b) => a - b).map((latent) => {
      const { star, text, ...others } = this.notes.get(latent);
      return { latent, star, text, ...spoken(others) };
    });
  }

  set(latent, changes) {
    this.setAll([{ latent, ...this.get(latent), ...changes }]);
  }

  toggleStar(latent) {
    this.set(latent, { star: !this.get(latent).star });
  }

  /** Puts a picture among the evidence on a latent, or takes it away; `one` is {picture, name, set}. */
  toggleEvidence(latent, one) {
    const { evidence } = this.get(latent);
    const others = evidence.filter((other) => evidenceKey(other) !== evidenceKey(one));
    this.set(latent, { evidence: others.length < evidence.length ? others : [...evidence, one] });
  }

  /** Sets several whole notes at once, and keeps them; gives the latents of those that no file would hold, which stay. */
  setAll(notes) {
    const held = notes.filter((note) => noteFault(note) === null);
    const full = notes.filter((note) => !held.includes(note)).map(({ latent }) => latent);
    this.put(held);
    this.keeper.keep(held.map(({ latent }) => latent));
    if (full.length > 0) this.say(this.status, `There is no room for more in the note on latent ${full.join(", ")}: it stays as it was.`);
    return full;
  }

  /** Takes over whole notes, from wherever they come. */
  put(notes) {
    for (const note of notes) {
      const said = spoken(withoutOddName(note));
      if (Object.keys(said).length > 0) this.notes.set(note.latent, { ...noNote, ...said });
      else this.notes.delete(note.latent);
      this.madeTexts.delete(note.latent);
    }
    this.madeCounts = undefined;
    for (const { latent } of notes) this.tell(latent);
  }

  /** Brings everything on the page that shows the latent's note up to date, then tells. */
  tell(latent) {
    const note = this.get(latent);
    for (const shown of document.querySelectorAll(`[data-note="${latent}"]`)) showNote(shown, note);
    this.dispatchEvent(new CustomEvent("change", { detail: latent }));
  }

  /** Says where what was written is by now, in every `.note-status`; `trouble` is why it could not be kept, "" if it was. */
  say(status, trouble = "") {
    this.status = status;
    for (const shown of document.querySelectorAll(".note-status")) if (shown.textContent !== status) shown.textContent = status;
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    this.dispatchEvent(new CustomEvent("trouble", { detail: trouble }));
  }

  /** All words of a latent's note in small letters. */
  words(latent) {
    if (!this.notes.has(latent)) return "";
    if (!this.madeTexts.has(latent)) {
      const { name: own, claim, text, tags, evidence, verdict } = this.get(latent);
      const words = [own, claim, text, ...tags, ...evidence.map(({ name }) => name), claim === "" ? "" : verdict];
      this.madeTexts.set(latent, words.join("\n").toLowerCase());
    }
    return this.madeTexts.get(latent);
  }

  /** How many latents have each tag, by tag in their alphabetical order. */
  get tags() {
    return this.counts.tags;
  }

  /** How many claims have each of one's own verdicts. */
  get verdicts() {
    return this.counts.verdicts;
  }

  get counts() {
    if (this.madeCounts === undefined) {
      const [tags, verdicts] = [new Map(), new Map()];
      const count = (counts, one) => counts.set(one, (counts.get(one) ?? 0) + 1);
      for (const note of this.notes.values()) {
        for (const tag of note.tags) count(tags, tag);
        if (note.claim !== "") count(verdicts, note.verdict);
      }
      this.madeCounts = { tags: new Map([...tags].sort(([a], [b]) => a.localeCompare(b))), verdicts };
    }
    return this.madeCounts;
  }
}

/** Keeps notes and starred pictures in the browser, under the SAE's id; `why` says why they are not kept in the run, "" if nobody asks. */
class BrowserNotes {
  constructor(saeId, why = "") {
    Object.assign(this, { key: `saev-notes:${saeId}`, starsKey: `saev-stars:${saeId}`, place: "this browser", why });
  }

  connect(notes) {
    this.notes = notes;
    notes.say(`Kept in this browser.${this.why}`);
    addEventListener("storage", (event) => { // another tab changed them
      if (event.key === this.starsKey) this.stars.put(this.readStars());
      if (event.key !== this.key) return;
      const now = this.read();
      const there = new Set(now.map(({ latent }) => latent));
      notes.put([...[...notes.notes.keys()].filter((latent) => !there.has(latent)).map((latent) => ({ latent })), ...now]);
    });
  }

  read() {
    const kept = recallValue("localStorage", this.key);
    if (Array.isArray(kept) && kept.every((note) => noteFault(note) === null)) return kept;
    this.setAside(this.key);
    return [];
  }

  /** Keeps a copy of what cannot be read, for what is kept next replaces it. */
  setAside(key) {
    const text = recall("localStorage", key);
    if (text !== null) keep("localStorage", `${key}:unreadable`, text);
  }

  keep() {
    this.tell(keep("localStorage", this.key, JSON.stringify(this.notes.list)));
  }

  tell(error, what = "Notes") {
    if (error === null) this.notes.say(`Saved in this browser at ${timeOfDay()}.${this.why}`);
    else this.notes.say("Not saved.", `${what} cannot be kept in this browser (${error.message}). Export them before you close this page.`);
  }

  connectStars(stars) {
    this.stars = stars;
  }

  readStars() {
    const kept = recallValue("localStorage", this.starsKey);
    const stars = Array.isArray(kept) ? kept.map(readStar) : [null];
    if (stars.includes(null)) this.setAside(this.starsKey);
    return stars.filter((star) => star !== null);
  }

  keepStars() {
    this.tell(keep("localStorage", this.starsKey, JSON.stringify(this.stars.list)), "Stars of pictures");
  }
}

function timeOfDay() {
  return new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

const evidenceKey = ({ picture, name, set = "" }) => starKey({ picture, name, set });
