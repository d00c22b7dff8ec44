"use strict";
// What shows a latent's note, and follows its changes: stars, the fields for editing, evidence.

const longestNote = 10_000; // characters, as in notes_file.py
const longestClaim = 1000;
const longestTag = 60;
const longestName = 200;

/** How an element that has `data-note` says what is noted, by its `data-part`. */
const noteParts = {
  star: (shown, { star }) => shown.setAttribute("aria-pressed", String(star)),
  mark: (shown, { star }) => { shown.hidden = !star; },
  summary: (shown, note) => { shown.textContent = noteSummary(note); },
  called: (shown) => { // what the latent is called, wherever that comes from
    const latent = Number(shown.dataset.note);
    const name = app.data.nameOf(latent);
    shown.hidden = name === undefined;
    shown.replaceChildren(" ", userText(name ?? ""));
    shown.classList.toggle("own-name", app.data.ownName(latent) !== "");
  },
  heading: (shown) => shown.replaceChildren(...nameParts(app.data, Number(shown.dataset.note))),
  name: (shown, { name }) => setField(shown, name),
  claim: (shown, { claim }) => setField(shown, claim),
  text: (shown, { text }) => setField(shown, text),
  confidence: (shown, { confidence }) => setField(shown, confidence ?? ""),
  verdict: (shown, { verdict }) => setField(shown, verdict),
  tags: (shown, { tags }) => shown.replaceChildren(...tags.map((tag) => tagChip(Number(shown.dataset.note), tag))),
  evidence: (shown, { evidence }) => showEvidence(shown, evidence),
  picture: (shown, { evidence }) => {
    shown.setAttribute("aria-pressed", String(evidence.some((one) => evidenceKey(one) === shown.dataset.picture)));
  },
};

/** Makes an element that has `data-note` say what is noted. */
function showNote(shown, note) {
  noteParts[shown.dataset.part](shown, note);
}

function setField(field, value) {
  if (field.value !== String(value)) field.value = value;
}

/** A note in one line. */
function noteSummary({ claim, text, confidence, verdict, tags }) {
  const judged = [verdict === "open" ? "" : verdict, confidence === null ? "" : `${confidence}\u202f%`].filter((one) => one !== "");
  return [claim || text, judged.length > 0 ? `(${judged.join(", ")})` : "", ...tags.map((tag) => `#${tag}`)].filter((one) => one !== "").join(" ");
}

/** An element that shows a part of a latent's note and follows its changes. */
function noteElement(notes, latent, part, tag, attributes, ...children) {
  const made = element(tag, { "data-note": latent, "data-part": part, ...attributes }, ...children);
  showNote(made, notes.get(latent));
  return made;
}

function starMark(notes, latent) {
  return noteElement(notes, latent, "mark", "span", { class: "star-mark", role: "img", "aria-label": "starred" }, "\u2605");
}

function starButton(notes, latent, attributes = {}) {
  const button = noteElement(notes, latent, "star", "button", { type: "button", class: "star", "aria-label": `Star latent ${latent}`, title: "Star (s)", ...attributes });
  button.addEventListener("click", () => notes.toggleStar(latent));
  return button;
}

/** The note of a latent for editing, kept with every change; `verdicts` are those of tests, to stand beside one's own. */
function noteEditor({ notes, data }, latent) {
  const field = (part, tag, attributes, read, ...children) => {
    const made = noteElement(notes, latent, part, tag, attributes, ...children);
    made.addEventListener("input", () => { if (made.checkValidity()) notes.set(latent, { [part]: read(made) }); });
    return made;
  };
  const textOf = ({ value }) => value;
  const claim = field("claim", "textarea", {
    class: "note-text", rows: 2, maxlength: longestClaim, "aria-label": `Claim on latent ${latent}`, placeholder: "What does it fire on? (n)",
  }, textOf);
  const name = field("name", "input", {
    type: "text", maxlength: longestName, class: "note-text", "aria-label": `Your name for latent ${latent}`, placeholder: data.names.get(latent)?.name ?? "Name",
    title: "Your name for it stands in the place of one that was found", autocomplete: "off",
  }, textOf);
  const text = field("text", "textarea", { class: "note-text", rows: 2, maxlength: longestNote, "aria-label": `Note on latent ${latent}`, placeholder: "Notes" }, textOf);
  const confidence = field("confidence", "input", { type: "number", min: 0, max: 100, step: 1, placeholder: "?", title: "How sure you are that the claim is true, 0 to 100 %" },
    ({ value }) => (value === "" ? null : Number(value)));
  const verdict = field("verdict", "select", { "aria-label": "Own verdict on the claim", title: "What you think of the claim by now" }, textOf,
    ...ownVerdicts.map((one) => element("option", { value: one }, one)));
  return element("div", { class: "note-editor" },
    element("div", { class: "note-claim" }, name, starButton(notes, latent)),
    claim,
    element("div", { class: "note-judged" }, element("label", {}, "Confidence ", confidence, " %"), verdict,
      ...(data.verdicts.get(latent) ?? []).map((one) => verdictBadge(one))),
    tagField(notes, latent),
    text,
    noteElement(notes, latent, "evidence", "ul", { class: "evidence-list", "aria-label": "Evidence" }),
    element("p", { class: "note-status", role: "status" }, notes.status));
}

/** A field for a tag, and what it offers: those that were used before. `id` tells it from others. */
function tagInput(notes, id, name) {
  const known = element("datalist", { id: `tags-${id}` });
  const field = element("input", { type: "text", class: "tag-text", list: known.id, maxlength: longestTag, placeholder: "Add a tag", "aria-label": name, autocomplete: "off" });
  field.addEventListener("focus", () => known.replaceChildren(...[...notes.tags.keys()].map((tag) => element("option", { value: tag }))));
  return [field, known];
}

/** The tags of a latent and a field for one more. */
function tagField(notes, latent) {
  const [field, known] = tagInput(notes, latent, `New tag of latent ${latent}`);
  const add = () => {
    const tag = field.value.trim();
    field.value = "";
    if (tag !== "") notes.set(latent, { tags: withTag(notes.get(latent).tags, tag) });
  };
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== ",") return;
    event.preventDefault();
    add();
  });
  field.addEventListener("change", add);
  return element("div", { class: "tags" }, noteElement(notes, latent, "tags", "span", { class: "tag-list" }), field, known);
}

/** A tag: a link to the latents that have it, and a button that takes it away. */
function tagChip(latent, tag) {
  const list = element("a", { href: `#${new URLSearchParams({ tag, kind: "all" })}`, title: "All latents with this tag" }, userText(tag));
  list.addEventListener("click", () => list.closest("dialog")?.close());
  const remove = element("button", { type: "button", "aria-label": `Remove the tag ${tag}`, title: "Remove" }, "\u00d7");
  remove.addEventListener("click", () => app.notes.set(latent, { tags: withoutTag(app.notes.get(latent).tags, tag) }));
  return element("span", { class: "tag" }, list, remove);
}

const withoutTag = (tags, tag) => tags.filter((one) => one !== tag);
const withTag = (tags, tag) => (tags.includes(tag) || tags.length >= mostTags ? tags : [...tags, tag]);

/** Puts a picture among the evidence on a latent, and takes it away again. */
function evidenceButton(latent, { id, name }, text) {
  const set = app.data.setName;
  const one = { picture: id, name, ...(set === "" ? {} : { set }) };
  const button = noteElement(app.notes, latent, "picture", "button", {
    type: "button", class: "evidence", "data-picture": evidenceKey(one), title: "Evidence for your claim: put it into the note, or take it out",
    "aria-label": `Evidence on latent ${latent}: ${name}`,
  }, text);
  button.addEventListener("click", () => {
    const isFull = app.notes.get(latent).evidence.length >= mostEvidence && button.getAttribute("aria-pressed") === "false";
    if (!isFull) app.notes.toggleEvidence(latent, one);
  });
  return button;
}

/** Shows the pictures of the evidence on a latent, each a link to its page. */
function showEvidence(list, evidence) {
  const kept = JSON.stringify(evidence);
  if (list.dataset.shown === kept) return;
  list.dataset.shown = kept;
  const latent = Number(list.dataset.note);
  list.replaceChildren(...evidence.map((one) => {
    const set = one.set ?? "";
    const hash = `#picture=${one.picture}&latent=${latent}`;
    const found = app.sets.list.find(({ folder }) => folder === set);
    const frame = element("a", { href: found === undefined || app.sets.isOne ? hash : app.sets.hash(hash, found, true), title: one.name });
    const remove = element("button", { type: "button", "aria-label": `Take ${one.name} out of the evidence` }, "\u00d7");
    remove.addEventListener("click", () => app.notes.toggleEvidence(latent, one));
    drawEvidence(frame, latent, one);
    return element("li", {}, frame, remove);
  }));
}

/** The picture with its heat where this gallery has it, otherwise its name. */
async function drawEvidence(frame, latent, { picture: id, name, set = "" }) {
  const { data } = app;
  const picture = set === data.setName ? data.pictures.get(id) : undefined;
  if (picture?.name !== name) { // it lies in another set, or has another number by now
    frame.append(userText(set === "" ? name : `${set}: ${name}`));
    return;
  }
  frame.append(emptyPicture(picture));
  const page = data.hasPage.has(latent) ? await data.latent(latent).catch(() => null) : null;
  frame.replaceChildren(heatPicture(data, picture, page?.heatmap(id)));
}

/** A link to a latent with its name, and a star if it has one. */
function latentLink({ notes }, latent) {
  return element("a", { class: "latent-link", href: `#latent=${latent}` },
    `Latent ${latent}`, noteElement(notes, latent, "called", "span", {}), starMark(notes, latent));
}
