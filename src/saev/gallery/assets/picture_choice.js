"use strict";
// Which pictures are meant: by label, file name, what a table says of them, stars. A choice is an object of texts, as it
// stands in the address: {text, label, patches, starred: "1"} and for a column of the table {"is.COLUMN": value, or
// "from~to" of a column of numbers}; what is "" or not there chooses nothing.

const columnKey = (name) => `is.${name}`;

/** The parts of an address, or of any other object of texts, that are a choice; columns that there are not are left out. */
function choiceOf({ metadata }, params) {
  const names = new Set(["text", "label", "patches", "starred", ...metadata.map(({ name }) => columnKey(name))]);
  return Object.fromEntries(Object.entries(params).filter(([name, value]) => names.has(name) && value !== ""));
}

/** The ends of "from~to"; null where there is none. */
function rangeOf(text) {
  return ["0", "1"].map((i) => text.split("~")[i] ?? "").map((end) => (end.trim() === "" || Number.isNaN(Number(end)) ? null : Number(end)));
}

/** A promise of whether a picture is among those that are chosen: a function of its entry in `data.pictures`. */
async function chooses(app, choice) {
  const { data, stars } = app;
  const tests = [];
  const { text, label, patches, starred } = choice;
  if (text) {
    const terms = text.toLowerCase().split(/\s+/).filter((term) => term !== "");
    tests.push(({ name }) => terms.every((term) => name.toLowerCase().includes(term)));
  }
  if (label) tests.push((picture) => picture.label === label);
  if (patches) {
    const having = await data.havingPatches(patches);
    tests.push(({ id }) => having.has(id));
  }
  if (starred) tests.push((picture) => stars.has(data, picture));
  for (const column of data.metadata) {
    const wanted = choice[columnKey(column.name)];
    if (wanted !== undefined) tests.push(columnTest(column, wanted));
  }
  return (picture) => tests.every((test) => test(picture));
}

function columnTest({ kind, values }, wanted) {
  if (kind !== "numeric") return ({ id }) => values.get(id) === wanted;
  const range = rangeOf(wanted);
  return ({ id }) => values.has(id) && isWithin(Number(values.get(id)), range);
}

/** A choice in words. */
function choiceText({ metadata }, choice) {
  const { text, label, patches, starred } = choice;
  return [
    label, patches && `with patches of ${patches}`, text && `file name has \u201c${text}\u201d`, starred && "starred",
    ...metadata.filter(({ name }) => columnKey(name) in choice).map(({ name, kind }) => {
      const wanted = choice[columnKey(name)];
      if (kind !== "numeric") return `${name} ${wanted}`;
      const [from, to] = rangeOf(wanted);
      return `${name} ${from ?? "\u2026"} to ${to ?? "\u2026"}`;
    }),
  ].filter(Boolean).join(", ") || "all pictures";
}

/**
 * A way to divide pictures, by label or by a column of the table: {title, keyOf(picture), keys: [{key, text, colour, of:
 * a choice of these pictures}]}, in their order; null for an unknown name. Columns of numbers have five groups of equal
 * size; pictures of which nothing is known have the key null.
 */
function divisionOf(data, name) {
  const pictures = [...data.pictures.values()];
  if (name === "label") {
    const keys = [...new Set(pictures.map(({ label }) => label))].filter((label) => label !== null).sort();
    return division("label", ({ label }) => label, keys.map((key) => ({ key, text: key, of: { label: key } })));
  }
  const column = data.metadata.find((one) => columnKey(one.name) === name);
  if (column === undefined) return null;
  const { values, kind } = column;
  if (kind !== "numeric") {
    const keys = [...new Set(values.values())].sort();
    return division(column.name, ({ id }) => values.get(id) ?? null, keys.map((key) => ({ key, text: key, of: { [name]: key } })));
  }
  const sorted = Float64Array.from(values.values(), Number).sort();
  const starts = [...new Set([0, 0.2, 0.4, 0.6, 0.8].map((share) => sorted[Math.floor(share * sorted.length)]))];
  const keyOf = ({ id }) => (values.has(id) ? starts.findLastIndex((start) => Number(values.get(id)) >= start) : null);
  return division(column.name, keyOf, starts.map((start, key) => {
    const end = key + 1 < starts.length ? sorted[sorted.indexOf(starts[key + 1]) - 1] : sorted.at(-1);
    return { key, text: `${showNumber(start)} to ${showNumber(end)}`, of: { [name]: `${start}~${end}` } };
  }), true);
}

/** Colours that differ for all eyes; more than so many things have none. */
const groupColours = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f"];
const rankColours = ["#fde725", "#5ec962", "#21918c", "#3b528b", "#440154"]; // from the lowest to the highest

function division(title, keyOf, keys, isRanked = false) {
  const colours = isRanked ? rankColours : keys.length <= groupColours.length ? groupColours : [];
  return { title, keyOf, keys: keys.map((one, i) => ({ ...one, colour: colours[i] ?? null })) };
}
