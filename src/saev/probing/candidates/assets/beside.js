"use strict";
// The best latent beside the controls, on pictures that did not choose them: as a drawing, and in words.

const sureFrom = 0.95;
const svgNamespace = "http://www.w3.org/2000/svg";
const besideWidth = 120;

// Name of the column, and what the control is called.
const controlNames = [
  ["neuron_mcc", "best neuron"], ["linear_mcc", "linear probe"], ["means_mcc", "difference of class means"],
  ["direction_mcc", "best random direction"], ["component_mcc", "best principal component"],
  ["centre_mcc", "best centre of k-means"], ["random_sae_mcc", "best latent of an SAE with random weights"],
  ["seeds_mcc", "best latents of other seeds (mean)"],
];

/** What stands beside a row, in its claim's direction: null, or {latent, controls: [[name, what, MCC]], above: [neuron, probe]}. */
function besideOf(columns, row) {
  const sign = columns.mcc[row] < 0 ? -1 : 1;
  const latent = columns.left_out_mcc?.[row] ?? null;
  if (latent === null) return null;
  const there = controlNames.filter(([name]) => (columns[name]?.[row] ?? null) !== null);
  const above = [columns.above_neuron[row], columns.above_linear[row]];
  return { latent: sign * latent, controls: there.map(([name, what]) => [name, what, sign * columns[name][row]]), above };
}

/** By how much the latent passes the neuron and the linear probe. */
function besideMargin(beside) {
  return beside.latent - Math.max(...beside.controls.slice(0, 2).map(([, , mcc]) => mcc));
}

/** "above neuron, like probe", or "above neuron and probe". */
function besideWords(beside) {
  const [ofNeuron, ofProbe] = beside.above.map((share) => share >= sureFrom ? "above" : share <= 1 - sureFrom ? "below" : "like");
  return ofNeuron === ofProbe ? `${ofNeuron} neuron and probe` : `${ofNeuron} neuron, ${ofProbe} probe`;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(svgNamespace, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** From 0 to 1: a dot for the latent, a ring for the neuron, a diamond for the probe, lines for the others. */
function besideDrawing(beside) {
  const x = (mcc) => 8 + (besideWidth - 16) * Math.min(1, Math.max(0, mcc));
  const marks = beside.controls.map(([name, , mcc]) => {
    if (name === "neuron_mcc") return svg("circle", { class: "ring", cx: x(mcc), cy: 10, r: 4 });
    if (name === "linear_mcc") return svg("path", { class: "ring", d: `M${x(mcc)} 4.5l5.5 5.5-5.5 5.5-5.5-5.5z` });
    return svg("path", { class: "tick", d: `M${x(mcc)} 5v10` });
  });
  const kind = beside.above[0] >= sureFrom ? "dot" : "dot weak";
  return svg("svg", { width: besideWidth, height: 20, "aria-hidden": "true" },
    svg("path", { class: "axis", d: `M${x(0)} 10H${x(1)}` }), ...marks, svg("circle", { class: kind, cx: x(beside.latent), cy: 10, r: 4.5 }));
}

function besideCell(beside) {
  if (!beside) return element("td", {});
  const figures = [["", "best latent", beside.latent], ...beside.controls].map(([, what, mcc]) => `${what} ${fixed(2)(mcc)}`);
  const words = `${fixed(2)(beside.latent)}: ${besideWords(beside)}`;
  return element("td", { class: "beside", title: figures.join("\n") }, besideDrawing(beside), words);
}
