"use strict";
// The menu of notes: export and import, what came of them, and the offer to take notes of the browser into the run.

/** The menu with the buttons for export and import, and what came of them. */
class NotesMenu {
  constructor(app) {
    this.app = app;
    const [menu, exporter, file, message, question, offer] = ["notes-menu", "notes-export", "notes-import", "notes-message", "notes-question", "notes-offer"]
      .map((id) => document.getElementById(id));
    Object.assign(this, { menu, message, question, offer });
    exporter.addEventListener("click", () => this.export());
    file.addEventListener("change", () => {
      const [chosen] = file.files;
      if (chosen !== undefined) this.import(chosen);
      file.value = ""; // the same file can be chosen again
    });
    document.getElementById("notes-import-button").addEventListener("click", () => file.click());
    menu.querySelector(".tag-all").append(...this.tagControls());
    document.addEventListener("pointerdown", (event) => { if (!menu.contains(event.target)) menu.open = false; });
    app.notes.addEventListener("change", () => this.count());
    this.count();
    app.notes.say(app.notes.status);
    this.offerBrowserNotes();
  }

  count() {
    document.getElementById("notes-count").textContent = String(this.app.notes.size);
  }

  /** A field for a tag, and buttons that give it to all latents of the list, or take it from them. */
  tagControls() {
    const [field, known] = tagInput(this.app.notes, "listed", "Tag for the listed latents");
    field.placeholder = "Tag";
    const button = (text, change) => answerButton(text, () => this.tagListed(field.value.trim(), change));
    return [field, known, button("Add", withTag), button("Take away", withoutTag)];
  }

  tagListed(tag, change) {
    const { overview, notes } = this.app;
    if (tag === "") return;
    const latents = [...overview.list];
    const changed = latents.flatMap((latent) => {
      const note = notes.get(latent);
      const tags = change(note.tags, tag);
      return tags.length === note.tags.length ? [] : [{ ...note, latent, tags }];
    });
    const nFull = notes.setAll(changed).length;
    this.say(`${changed.length - nFull} of ${showCount(latents.length, "listed latent")} changed: ${notes.tags.get(tag) ?? 0} with the tag ${tag} now.`);
  }

  export() {
    const { data, notes, stars } = this.app;
    const name = data.title.replace(/[^A-Za-z0-9]+/g, "-").slice(0, 60);
    saveFile(`notes-${name}.json`, JSON.stringify(notesFile(data, notes, stars), null, 1), "application/json");
    this.say(`${showCount(notes.list.length, "note")}${starsText(stars.list.length)} exported.`);
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
    const [changed, full] = importNotes(this.app.notes, read.notes);
    const nStars = this.app.stars.change(read.stars, true);
    this.say(`${showCount(read.notes.length, "note")} read: ${changed} new or changed, ${read.notes.length - changed - full} known already${full > 0 ? `, ${full} without room` : ""}`
      + `${starsText(nStars, "new star")}.`);
  }

  /** Notes on another SAE name other features by the same numbers, so the user must say that this is meant. */
  ask(read) {
    const answer = (text, act) => answerButton(text, () => { this.say(""); act(); });
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

  /** Where the run keeps notes by now, those that this browser has from before can be added to them. */
  offerBrowserNotes() {
    const { notes } = this.app;
    const here = notes.keeper.offered ?? [];
    const n = newNotes(notes, here).length;
    if (n === 0) return;
    const answer = (text, act) => answerButton(text, () => { act(); notes.keeper.answered(); this.offer.hidden = true; });
    this.offer.replaceChildren(`This browser has ${showCount(n, "note")} on this SAE from before. `,
      answer("Add to the run's notes", () => importNotes(notes, here)), " ", answer("Leave out", () => {}));
    this.offer.hidden = false;
  }
}

/** ", 3 stars of pictures", or nothing for none. */
const starsText = (n, noun = "star") => (n === 0 ? "" : `, ${showCount(n, noun)} of pictures`);

function answerButton(text, act) {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", act);
  return button;
}
