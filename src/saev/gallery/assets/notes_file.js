"use strict";
// Notes as a file: written, read strictly, and merged with those that are there.

const largestNotesFile = 20_000_000; // bytes, as are the bounds below as in notes_file.py
const mostTags = 50;
const mostEvidence = 200;
const largestNote = 65_536;

/** The value of a file of notes. */
function notesFile(data, notes, stars) {
  const starred = stars.list.length > 0 ? { stars: stars.list } : {};
  return { format: "saev-notes", version: 2, sae: data.saeId, title: data.title, half: data.half, ...starred, notes: notes.list };
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
  if (value.version !== 1 && value.version !== 2) fail(`its version is ${JSON.stringify(value.version)}, and this page reads versions 1 and 2`);
  for (const key of ["sae", "title"]) if (typeof value[key] !== "string") fail(`"${key}" is not a text`);
  const stars = Array.isArray(value.stars ?? []) ? (value.stars ?? []).map(readStar) : [null];
  if (stars.includes(null)) fail('"stars" is not a list of pictures {"picture": a number, "name": a text, "set": a text}');
  if (!Array.isArray(value.notes)) fail('"notes" is not a list');
  const seen = new Set();
  value.notes.forEach((note, i) => {
    const fault = noteFault(note, value.version);
    if (fault !== null) fail(`notes[${i}]${fault}`);
    if (note.latent >= nLatents) fail(`notes[${i}] is of latent ${note.latent}, and this SAE has latents 0 to ${nLatents - 1}`);
    if (seen.has(note.latent)) fail(`notes[${i}] is a second one of latent ${note.latent}`);
    seen.add(note.latent);
  });
  return { ...value, stars, notes: value.notes.map(withoutOddName) };
}

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isText = (most) => (value) => typeof value === "string" && value.length <= most;
const isList = (most, isOne) => (value) => Array.isArray(value) && value.length <= most && value.every(isOne);

/** What each field of a note must be, and whether a value is that; a name that is none is let through, for `withoutOddName`. */
const noteFields = {
  latent: ["a number", isCount],
  star: ["true or false", (value) => typeof value === "boolean"],
  text: [`a text of at most ${longestNote} characters`, isText(longestNote)],
  claim: [`a text of at most ${longestClaim} characters`, isText(longestClaim)],
  confidence: ["a whole number from 0 to 100, or null", (value) => value === null || (isCount(value) && value <= 100)],
  verdict: [`one of ${ownVerdicts.join(", ")}`, (value) => ownVerdicts.includes(value)],
  tags: [`a list of at most ${mostTags} words`, isList(mostTags, isText(longestTag))],
  evidence: [`a list of at most ${mostEvidence} pictures {"picture": a number, "name": a text, "set": a text}`, isList(mostEvidence, (one) =>
    one !== null && typeof one === "object" && isCount(one.picture) && typeof one.name === "string" && typeof (one.set ?? "") === "string")],
};

/** What is wrong with a value as a note, to stand behind its place; null if nothing is. Unknown fields of version 2 are kept. */
function noteFault(note, version = 2) {
  if (note === null || typeof note !== "object" || Array.isArray(note)) return " is not an object";
  if (version === 1 && (Object.keys(note).length !== 3 || note.star === undefined || note.text === undefined)) {
    return ' is not {"latent": a number, "star": true or false, "text": a text}';
  }
  for (const [name, [what, isRight]] of Object.entries(noteFields)) {
    if (note[name] === undefined && name !== "latent") continue;
    if (!isRight(note[name])) return `.${name} is not ${what}`;
  }
  return JSON.stringify(note).length > largestNote ? ` has more than ${largestNote} characters` : null;
}

/** A note whose name is one: before notes had names, `name` was an unknown field, and could be anything. */
function withoutOddName({ name = null, ...others }) {
  if (name === null) return others;
  return isText(longestName)(name) ? { ...others, name } : { old_name: name, ...others };
}

/** A text, and below it what comes, unless that is in it already. */
function mergedText(present, coming) {
  if (present.includes(coming)) return present;
  return present === "" ? coming : `${present}\n\n${coming}`;
}

/**
 * What is there and what comes as one note, such that nothing is lost and that importing a file twice is importing it
 * once: a star stays if either has it, lists are united, and a text that is not contained in the present one is put
 * below it; so is another name or claim, for the present one stays.
 */
function mergedNote(present, coming) {
  const merged = { ...coming, ...present };
  for (const [name, value] of Object.entries(coming)) {
    if (Array.isArray(value) && Array.isArray(present[name])) {
      merged[name] = [...present[name], ...value.filter((one) => !present[name].some((other) => isSame(one, other)))];
    } else if (isNothing(name, present[name])) merged[name] = value;
  }
  merged.text = mergedText(present.text, coming.text ?? "");
  for (const one of ["name", "claim"]) {
    const isOther = (coming[one] ?? "") !== "" && present[one] !== "" && coming[one] !== present[one];
    if (isOther) merged.text = mergedText(merged.text, `Another ${one}: ${coming[one]}`);
  }
  return merged;
}

/** What the notes of a file change in those that are there, as whole notes. */
function newNotes(notes, coming) {
  const sorted = (note) => Object.entries(spoken(note)).sort(([a], [b]) => (a < b ? -1 : 1));
  return coming
    .map((note) => ({ ...mergedNote(notes.get(note.latent), note), latent: note.latent }))
    .filter((note) => !isSame(sorted(note), sorted(notes.get(note.latent))));
}

/** Merges the notes of a file; gives how many changed something, and how many had no room for it. */
function importNotes(notes, coming) {
  const changed = newNotes(notes, coming);
  const nFull = notes.setAll(changed).length;
  return [changed.length - nFull, nFull];
}
