"use strict";
// Notes and starred pictures that `saev view` keeps in the run. Only the page from that server loads this.

/**
 * Sends what changed, field by field, with what it was before: the server merges, so that several pages can write.
 * What is not sent yet is kept in the browser, and sent when the server answers again.
 */
class RunNotes {
  static wait = 400; // ms without a key stroke
  static retry = 5000; // ms after a failure
  static most = 900_000; // bytes of notes, and as many of stars, that are sent at once: the server takes 2 MiB
  static mostKept = 30_000; // bytes that the browser is asked to send though the page closes

  /** The keeper of a run's notes; where the server cannot keep them, that of the browser, which says why. */
  static async open(data) {
    const state = await askServer("live/notes").catch((error) => ({ reason: error.message }));
    const isOther = state.reason === null && state.sae !== null && state.sae !== data.saeId;
    const reason = isOther ? `${state.path} is on another SAE, trained before: move that file away` : state.reason;
    return reason === null ? new RunNotes(data, state) : new BrowserNotes(data.saeId, ` The run cannot keep them: ${reason}.`);
  }

  constructor(data, { path, notes, stars }) {
    Object.assign(this, { data, path, place: path, starred: stars, inBrowser: new BrowserNotes(data.saeId) });
    this.newStars = new Map(); // what the server does not know: {star, isStarred} by key
    this.base = new Map(notes.map((note) => [note.latent, note])); // what the server is known to have
    this.dirty = new Set();
    this.faults = new Map(); // {why, set} of what the server refuses, by latent, null for stars
    this.prefix = `saev-unsaved:${data.saeId}:`;
    this.key = `${this.prefix}${crypto.randomUUID()}`;
  }

  connect(notes) {
    this.notes = notes;
    notes.say(`Kept in ${this.path}.`);
    this.others = new BroadcastChannel(`saev-notes:${this.data.saeId}:${location.pathname}`);
    this.others.addEventListener("message", ({ data: changed }) => this.adopt(changed.notes, changed.stars));
    addEventListener("visibilitychange", () => (document.hidden ? this.send() : this.refresh()));
    addEventListener("focus", () => this.refresh());
  }

  /** What the run has, with what pages before this one could not send. */
  read() {
    const found = new Map(this.base);
    for (const { latent, set, was } of this.unsent()) {
      this.base.set(latent, { ...this.base.get(latent), ...was, latent });
      found.set(latent, { ...found.get(latent), ...set, latent });
      this.dirty.add(latent);
    }
    if (this.isUnsent) setTimeout(() => this.keep([]));
    return [...found.values()];
  }

  unsent() {
    const keys = storedKeys("localStorage").filter((key) => key.startsWith(this.prefix));
    const found = keys.flatMap((key) => recallValue("localStorage", key) ?? []);
    for (const key of keys) forget("localStorage", key);
    for (const one of found) {
      const star = readStar(one?.star);
      if (star !== null) this.newStars.set(starKey(star), { star, isStarred: one.isStarred === true });
    }
    return found.filter((one) => one?.was instanceof Object && noteFault({ ...one.set, latent: one.latent }) === null);
  }

  keep(latents) {
    for (const latent of latents) this.dirty.add(latent);
    for (const one of [null, ...latents]) this.faults.delete(one);
    this.keepUnsent();
    this.notes.say("Saving\u2026", this.notes.trouble);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), RunNotes.wait);
  }

  connectStars(stars) {
    this.stars = stars;
  }

  /** Stars that the browser has from before go into the run; the browser forgets them once they are there. */
  readStars() {
    const before = this.inBrowser.readStars();
    this.hasBefore = before.length > 0;
    if (this.hasBefore) this.keepStars(before.filter((star) => !this.newStars.has(starKey(star))), true);
    return withStars(this.starred, this.newStars.values());
  }

  keepStars(stars, isStarred) {
    for (const star of stars) this.newStars.set(starKey(star), { star, isStarred });
    this.keep([]);
  }

  get isUnsent() {
    return this.dirty.size > 0 || this.newStars.size > 0;
  }

  /** Keeps what is not sent in the browser: it survives the page and the server. */
  keepUnsent() {
    const changes = [...this.changes, ...this.newStars.values()];
    if (changes.length === 0) forget("localStorage", this.key);
    else keep("localStorage", this.key, JSON.stringify(changes));
  }

  /** What the user changed and the server does not know: [{latent, set: {field: value}, was: {field: value}}]. */
  get changes() {
    return [...this.dirty].flatMap((latent) => {
      const [base, now] = [this.base.get(latent) ?? {}, this.notes.get(latent)];
      const names = this.changedNames(base, now);
      if (names.length === 0) return [];
      const pick = (note) => Object.fromEntries(names.map((name) => [name, note[name] ?? null]));
      return [{ latent, set: pick({ ...noNote, ...now }), was: pick({ ...noNote, ...base }) }];
    });
  }

  /** The changes to send: what the server refused waits for another one, or for the next look at what others wrote. */
  get due() {
    return this.changes.filter(({ latent, set }) => !isSame(set, this.faults.get(latent)?.set));
  }

  changedNames(base, now) {
    return Object.keys({ ...base, ...now }).filter((name) => name !== "latent" && !isSame(base[name], now[name])
      && !(isNothing(name, base[name]) && isNothing(name, now[name]))).sort();
  }

  async send() {
    if (this.isSending || !this.isUnsent) return;
    this.isSending = true;
    clearTimeout(this.timer);
    try {
      for (let { due } = this; due.length > 0 || this.newStars.size > 0; { due } = this) await this.sendSome(due);
      this.dirty = new Set(this.changes.map(({ latent }) => latent)); // those with a fault
      this.keepUnsent();
      if (this.hasBefore) forget("localStorage", this.inBrowser.starsKey);
      this.sayWhatIsSaved();
    } catch (error) {
      this.notes.say("Not saved in the run yet.",
        `Notes cannot be saved in the run (${error.message}). They stay in this browser, and are sent again.`);
      this.timer = setTimeout(() => this.send(), RunNotes.retry);
    } finally {
      this.isSending = false;
    }
  }

  sayWhatIsSaved() {
    const faults = [...this.faults].flatMap(([latent, { why }]) => (latent === null || this.dirty.has(latent) ? [why] : []));
    const more = faults.length > 3 ? `; and ${faults.length - 3} more` : "";
    this.notes.say(`${faults.length > 0 ? "All else is saved" : "Saved"} in ${this.path} at ${timeOfDay()}.`,
      faults.length === 0 ? "" : `The run does not take this: ${faults.slice(0, 3).join("; ")}${more}. Such notes stay in this browser.`);
  }

  /** Sends as many of the changes as may come at once. */
  async sendSome(all) {
    const { saeId: sae, title, half } = this.data;
    const changes = firstThatFit(all, RunNotes.most);
    const sent = firstThatFit([...this.newStars], RunNotes.most);
    const starsThat = (isAdded) => sent.flatMap(([, { star, isStarred }]) => (isStarred === isAdded ? [star] : []));
    const body = JSON.stringify({ sae, title, half, changes, stars: { add: starsThat(true), take: starsThat(false) } });
    const answer = await askServer("live/notes", { method: "POST", body, keepalive: byteLength(body) <= RunNotes.mostKept });
    const faults = new Map(answer.faults.map(({ latent, why }) => [latent, why]));
    for (const { latent, set } of changes) {
      if (faults.has(latent)) this.faults.set(latent, { why: faults.get(latent), set });
      else this.base.set(latent, { ...this.base.get(latent), ...set });
    }
    if (faults.has(null)) this.faults.set(null, { why: faults.get(null) });
    for (const [key, change] of sent) if (this.newStars.get(key) === change) this.newStars.delete(key);
    this.adopt(answer.notes, answer.stars);
    this.others.postMessage(answer);
  }

  /** Takes over notes and stars as the server has them, but for what the user has changed since. */
  adopt(notes, stars) {
    this.stars.put(withStars(stars, this.newStars.values()));
    this.notes.put(notes.map((note) => {
      const { latent } = note;
      const [base, now] = [this.base.get(latent) ?? {}, this.notes.get(latent)];
      const [newBase, shown] = [{ ...note }, { ...note }];
      for (const name of this.changedNames(base, now)) [newBase[name], shown[name]] = [base[name], now[name]];
      this.base.set(latent, newBase);
      return shown;
    }));
  }

  /** Looks what others have written, when the user comes back to this page. */
  async refresh() {
    if (document.hidden || this.isSending) return;
    const { reason, notes, stars } = await askServer("live/notes").catch(() => ({ reason: "" }));
    if (reason !== null || this.isSending) return;
    const there = new Set(notes.map(({ latent }) => latent));
    this.adopt([...[...this.base.keys()].filter((latent) => !there.has(latent)).map((latent) => ({ latent })), ...notes]
      .filter((note) => !isSame(note, this.base.get(note.latent))), stars);
    this.faults.clear(); // what others have written may have made room
    this.send();
  }

  /** Notes of the browser that the run does not have. */
  get offered() {
    return recall("localStorage", `${this.inBrowser.key}:asked`) === null ? this.inBrowser.read() : [];
  }

  /** The offer was answered: it is not made again. */
  answered() {
    keep("localStorage", `${this.inBrowser.key}:asked`, "yes");
  }
}

const byteLength = (text) => new TextEncoder().encode(text).length;

/** The first of these values that have at most so many bytes as JSON together; the very first one in any case. */
function firstThatFit(values, most) {
  let size = 0;
  const n = values.findIndex((one) => { size += byteLength(JSON.stringify(one)) + 1; return size > most; });
  return n < 0 ? values : values.slice(0, Math.max(1, n));
}
