"use strict";
// Notes and starred pictures that `saev view` keeps in the run. Only the page from that server loads this.

/**
 * Sends what changed, field by field, with what it was before: the server merges, so that several pages can write.
 * What is not sent yet is kept in the browser, and sent when the server answers again.
 */
class RunNotes {
  static wait = 400; // ms without a key stroke
  static retry = 5000; // ms after a failure
  static most = 1_000_000; // characters that are sent at once
  static mostStars = 2000; // likewise

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
    if (this.isUnsent) setTimeout(() => this.send());
    return [...found.values()];
  }

  unsent() {
    const keys = storedKeys("localStorage").filter((key) => key.startsWith(this.prefix));
    const found = keys.flatMap((key) => recallValue("localStorage", key) ?? []);
    for (const key of keys) forget("localStorage", key);
    for (const one of found) if (isPictureStar(one?.star)) this.newStars.set(starKey(one.star), one);
    return found.filter((one) => one?.was instanceof Object && noteFault({ ...one.set, latent: one.latent }) === null);
  }

  keep(latents) {
    for (const latent of latents) this.dirty.add(latent);
    this.keepUnsent();
    this.notes.say("Saving\u2026", this.notes.trouble);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), RunNotes.wait);
  }

  connectStars(stars) {
    this.stars = stars;
  }

  /** Stars that the browser has from before go into the run. */
  readStars() {
    const before = this.inBrowser.readStars();
    if (before.length > 0) this.keepStars(before, true);
    forget("localStorage", this.inBrowser.starsKey);
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

  changedNames(base, now) {
    return Object.keys({ ...base, ...now }).filter((name) => name !== "latent" && !isSame(base[name], now[name])
      && !(isNothing(name, base[name]) && isNothing(name, now[name])));
  }

  async send() {
    if (this.isSending || !this.isUnsent) return;
    this.isSending = true;
    clearTimeout(this.timer);
    try {
      for (let { changes } = this; changes.length > 0 || this.newStars.size > 0; { changes } = this) await this.sendSome(changes);
      this.dirty.clear();
      this.keepUnsent();
      this.notes.say(`Saved in ${this.path} at ${timeOfDay()}.`);
    } catch (error) {
      this.notes.say("Not saved in the run yet.",
        `Notes cannot be saved in the run (${error.message}). They stay in this browser, and are sent again.`);
      this.timer = setTimeout(() => this.send(), RunNotes.retry);
    } finally {
      this.isSending = false;
    }
  }

  /** Sends as many of the changes as may come at once. */
  async sendSome(all) {
    const { saeId: sae, title, half } = this.data;
    let size = 0;
    const n = all.findIndex((change) => { size += JSON.stringify(change).length; return size > RunNotes.most; });
    const changes = n < 0 ? all : all.slice(0, Math.max(1, n));
    const sent = [...this.newStars].slice(0, RunNotes.mostStars);
    const starsThat = (isAdded) => sent.flatMap(([, { star, isStarred }]) => (isStarred === isAdded ? [star] : []));
    const body = JSON.stringify({ sae, title, half, changes, stars: { add: starsThat(true), take: starsThat(false) } });
    const answer = await askServer("live/notes", { method: "POST", body, keepalive: body.length < 30_000 });
    for (const { latent, set } of changes) this.base.set(latent, { ...this.base.get(latent), ...set });
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
