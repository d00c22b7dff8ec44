"use strict";
// Stars and notes of latents: kept in the browser under the SAE's id, shown wherever a latent is.

const noNote = Object.freeze({ star: false, text: "" });
const longestNote = 10_000; // characters

/** "change" tells of a latent (event.detail), "trouble" of a failure to keep notes (event.detail is its text). */
class Notes extends EventTarget {
  constructor(saeId) {
    super();
    this.key = `saev-notes:${saeId}`;
    this.read();
    addEventListener("storage", (event) => { // another tab changed them
      if (event.key !== this.key) return;
      const before = this.notes;
      this.read();
      for (const latent of new Set([...before.keys(), ...this.notes.keys()])) this.tell(latent);
    });
  }

  read() {
    const kept = recallValue("localStorage", this.key);
    const isOurs = Array.isArray(kept) && kept.every((note) => isNote(note));
    this.notes = new Map(isOurs ? kept.map(({ latent, star, text }) => [latent, { star, text }]) : []);
    if (!isOurs && recall("localStorage", this.key) !== null) {
      keep("localStorage", `${this.key}:unreadable`, recall("localStorage", this.key));
    }
  }

  /** {star, text} of a latent. */
  get(latent) {
    return this.notes.get(latent) ?? noNote;
  }

  get size() {
    return this.notes.size;
  }

  /** All that is noted, by latent: [{latent, star, text}]. */
  get list() {
    return [...this.notes].map(([latent, note]) => ({ latent, ...note })).sort((a, b) => a.latent - b.latent);
  }

  set(latent, changes) {
    this.setAll([{ latent, ...this.get(latent), ...changes }]);
  }

  toggleStar(latent) {
    this.set(latent, { star: !this.get(latent).star });
  }

  /** Sets several whole notes at once. */
  setAll(notes) {
    for (const { latent, star, text } of notes) {
      if (star || text !== "") this.notes.set(latent, { star, text });
      else this.notes.delete(latent);
    }
    const error = keep("localStorage", this.key, JSON.stringify(this.list));
    this.trouble = error === null ? "" : `Notes cannot be kept in this browser (${error.message}). Export them before you close this page.`;
    this.dispatchEvent(new CustomEvent("trouble", { detail: this.trouble }));
    for (const { latent } of notes) this.tell(latent);
  }

  /** Brings everything on the page that shows the latent's note up to date, then tells. */
  tell(latent) {
    const note = this.get(latent);
    for (const shown of document.querySelectorAll(`[data-note="${latent}"]`)) showNote(shown, note);
    this.dispatchEvent(new CustomEvent("change", { detail: latent }));
  }
}

function isNote(value) {
  return value !== null && typeof value === "object" && Number.isInteger(value.latent) && value.latent >= 0
    && typeof value.star === "boolean" && typeof value.text === "string";
}

/** Makes an element that has `data-note` say what is noted. */
function showNote(shown, { star, text }) {
  if (shown.matches("button")) shown.setAttribute("aria-pressed", String(star));
  else if (shown.matches("textarea")) { if (shown.value !== text) shown.value = text; }
  else if (shown.matches(".star-mark")) shown.hidden = !star;
  else shown.textContent = text;
}

/** An element that shows a part of a latent's note and follows its changes. */
function noteElement(notes, latent, tag, attributes, ...children) {
  const made = element(tag, { "data-note": latent, ...attributes }, ...children);
  showNote(made, notes.get(latent));
  return made;
}

function starMark(notes, latent) {
  return noteElement(notes, latent, "span", { class: "star-mark", role: "img", "aria-label": "starred" }, "\u2605");
}

function starButton(notes, latent, attributes = {}) {
  const button = noteElement(notes, latent, "button", { type: "button", class: "star", "aria-label": `Star latent ${latent}`, title: "Star (s)", ...attributes });
  button.addEventListener("click", () => notes.toggleStar(latent));
  return button;
}

/** The note of a latent for editing: a star and a text, kept with every key stroke. */
function noteEditor(app, latent) {
  const field = noteElement(app.notes, latent, "textarea", {
    class: "note-text", rows: 2, maxlength: longestNote, "aria-label": `Note on latent ${latent}`,
    placeholder: "What do these pictures have in common? (n)",
  });
  field.addEventListener("input", () => app.notes.set(latent, { text: field.value }));
  return element("div", { class: "note-editor" }, starButton(app.notes, latent), field);
}

/** A link to a latent with its name, and a star if it has one. */
function latentLink(app, latent) {
  const name = app.data.names.get(latent)?.name;
  return element("a", { class: "latent-link", href: `#latent=${latent}` },
    `Latent ${latent}`, ...(name === undefined ? [] : [" ", userText(name)]), starMark(app.notes, latent));
}
