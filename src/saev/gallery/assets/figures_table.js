"use strict";
// Figures of a latent against a label as a table.

const figureHeads = [
  ["Hits", "It fires, and the label is there"], ["False alarms", "It fires without the label"],
  ["Misses", "The label is there, and it does not fire"], ["Rest", "It does not fire, and the label is not there"],
  ["Precision", "Of what fires, the share with the label"], ["Recall", "Of what has the label, the share that fires"],
  ["F1", "2 TP / (2 TP + FP + FN)"], ["MCC", "The correlation of firing and label"], ["Lift", "Precision over the share of the label"],
  ["AP", "Average precision, of all thresholds, and the share of the label, which chance has"],
];

/** A score of -1 to 1 with two digits: .83, 1.00. */
function showScore(x) {
  if (Number.isNaN(x)) return "\u2013";
  const text = Math.abs(x).toFixed(2);
  return `${x < 0 && Number(text) > 0 ? "\u2212" : ""}${text.replace(/^0/, "")}`;
}

function figuresTable(rows) {
  return element("table", { class: "against-table" },
    element("thead", {}, element("tr", {}, element("td", {}), ...figureHeads.map(([name, note]) => element("th", { scope: "col", title: note }, name)))),
    element("tbody", {}, ...rows));
}

/** A row; `title` is that of the image set, null if there is one alone. */
function figuresRow(title, name, counts, ap) {
  const texts = [...["tp", "fp", "fn", "tn"].map((key) => counts[key].toLocaleString("en")),
    ...["precision", "recall", "f1", "mcc"].map((key) => showScore(counts[key])), `\u00d7${showNumber(counts.lift)}`, ap];
  return element("tr", {}, figuresName(title, name), ...texts.map((text, i) => element("td", { "data-head": figureHeads[i][0] }, text)));
}

/** The row of an image set that does not tell. */
function unknownFigures(title) {
  return element("tr", {}, figuresName(title, ""), element("td", { colspan: figureHeads.length, class: "soft" },
    "not known there, or the same for all pictures"));
}

function figuresName(title, name) {
  return element("th", { scope: "row" }, ...(title === null ? [] : [userText(title), " "]), title === null ? name : name.toLowerCase());
}
