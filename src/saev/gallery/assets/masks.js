"use strict";
// Outlines of the labels of a picture's patches; the bar switches them on and off.

const noLabel = 255; // a patch without label

/** The path of the lines between patches of different labels, or around those of the label `only`. */
function outlinePath({ rows, columns }, labels, only = null) {
  const at = (row, column) => (row < 0 || column < 0 || row === rows || column === columns ? null : labels[row * columns + column]);
  const isBorder = (a, b) => (only === null ? a !== null && b !== null && a !== b : (a === only) !== (b === only));
  const steps = [];
  for (let row = 0; row <= rows; row += 1) {
    for (let column = 0; column <= columns; column += 1) {
      if (row < rows && isBorder(at(row, column - 1), at(row, column))) steps.push(`M${column} ${row}v1`);
      if (column < columns && isBorder(at(row - 1, column), at(row, column))) steps.push(`M${column} ${row}h1`);
    }
  }
  return steps.join("");
}

/** The outline of labels, as `data.maskOf` gives them, over a picture; with `only` of that one. */
function maskOutline(data, labels, only = null) {
  const d = outlinePath(data, labels, only);
  return svgElement("svg", { class: "mask-outline", viewBox: `0 0 ${data.columns} ${data.rows}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svgElement("path", { class: "mask-halo", d }), svgElement("path", { class: "mask-line", d }));
}

/** The labels of patches, each with how many have it, the most frequent first: [{label: its number, name, n}]. */
function countLabels(data, labels) {
  const counts = new Map();
  for (const label of labels) if (label !== noLabel) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, n]) => ({ label, name: data.maskNames[label], n })).sort((a, b) => b.n - a.n || a.label - b.label);
}
