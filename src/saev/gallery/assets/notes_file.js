"use strict";
// Notes as a file: written, read strictly, and merged with those that are there.

const largestNotesFile = 20_000_000; // bytes

/** The value of a file of notes. */
function notesFile(data, notes) {
  return { format: "saev-notes", version: 1, sae: data.saeId, title: data.title, half: data.half, notes: notes.list };
}

/** A file of notes from its text; throws an Error whose message says what is wrong and where. */
function parseNotesFile(text, nLatents) {
  const fail = (message) => { throw new Error(`This is not a file of notes: ${message}.`); };
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail(`it is not JSON (${error.message})`);
  }
  if (value === null || typeof value !== "object" || value.format !== "saev-notes") fail('"format" is not "saev-notes"');
  if (value.version !== 1) fail(`its version is ${JSON.stringify(value.version)}, and this page reads version 1`);
  for (const key of ["sae", "title"]) if (typeof value[key] !== "string") fail(`"${key}" is not a text`);
  if (!Array.isArray(value.notes)) fail('"notes" is not a list');
  const seen = new Set();
  value.notes.forEach((note, i) => {
    if (!isNote(note)) fail(`notes[${i}] is not {"latent": a number, "star": true or false, "text": a text}`);
    if (note.latent >= nLatents) fail(`notes[${i}] is of latent ${note.latent}, and this SAE has latents 0 to ${nLatents - 1}`);
    if (seen.has(note.latent)) fail(`notes[${i}] is a second one of latent ${note.latent}`);
    seen.add(note.latent);
  });
  return value;
}

/**
 * What is there and what comes as one note, such that nothing is lost and that importing a file twice is importing it
 * once: a star stays if either has it; a text that comes and is not contained in the present one is put below it.
 */
function mergedNote(present, coming) {
  const isNew = !present.text.includes(coming.text);
  const text = isNew && present.text !== "" ? `${present.text}\n\n${coming.text}` : isNew ? coming.text : present.text;
  return { star: present.star || coming.star, text };
}

/** Merges the notes of a file; gives how many changed something. */
function importNotes(notes, coming) {
  const changed = coming
    .map((note) => ({ latent: note.latent, ...mergedNote(notes.get(note.latent), note) }))
    .filter(({ latent, star, text }) => star !== notes.get(latent).star || text !== notes.get(latent).text);
  notes.setAll(changed);
  return changed.length;
}

/** The menu with the buttons for export and import, and what came of them. */
class NotesMenu {
  constructor(app) {
    this.app = app;
    const [menu, exporter, file, message, question] = ["notes-menu", "notes-export", "notes-import", "notes-message", "notes-question"]
      .map((id) => document.getElementById(id));
    Object.assign(this, { menu, message, question });
    exporter.addEventListener("click", () => this.export());
    file.addEventListener("change", () => {
      const [chosen] = file.files;
      if (chosen !== undefined) this.import(chosen);
      file.value = ""; // the same file can be chosen again
    });
    document.getElementById("notes-import-button").addEventListener("click", () => file.click());
    document.addEventListener("pointerdown", (event) => { if (!menu.contains(event.target)) menu.open = false; });
    app.notes.addEventListener("change", () => this.count());
    this.count();
  }

  count() {
    document.getElementById("notes-count").textContent = String(this.app.notes.size);
  }

  export() {
    const { data, notes } = this.app;
    const url = URL.createObjectURL(new Blob([JSON.stringify(notesFile(data, notes), null, 1)], { type: "application/json" }));
    const name = data.title.replace(/[^A-Za-z0-9]+/g, "-").slice(0, 60);
    element("a", { href: url, download: `notes-${name}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // the download may begin late
    this.say(`${showCount(notes.list.length, "note")} exported.`);
  }

  async import(file) {
    this.say("");
    try {
      if (file.size > largestNotesFile) throw new Error("This file is too large to be one of notes.");
      const read = parseNotesFile(await file.text(), this.app.data.nLatents);
      if (read.sae === this.app.data.saeId) this.merge(read);
      else this.ask(read);
    } catch (error) {
      this.say(error.message, true);
    }
  }

  merge(read) {
    const changed = importNotes(this.app.notes, read.notes);
    this.say(`${showCount(read.notes.length, "note")} read: ${changed} new or changed, ${read.notes.length - changed} known already.`);
  }

  /** Notes on another SAE name other features by the same numbers, so the user must say that this is meant. */
  ask(read) {
    const answer = (text, act) => {
      const button = element("button", { type: "button" }, text);
      button.addEventListener("click", () => { this.say(""); act(); });
      return button;
    };
    this.question.replaceChildren(
      element("p", {}, "These notes belong to another SAE, ", element("strong", {}, userText(read.title)),
        ". The same numbers are other latents there."),
      answer("Import all the same", () => this.merge(read)),
      answer("Cancel", () => this.say("Nothing was imported.")));
    this.question.hidden = false;
    this.question.querySelector("button").focus();
  }

  say(text, isError = false) {
    this.question.hidden = true;
    this.message.textContent = text;
    this.message.classList.toggle("error", isError);
  }
}
