"use strict";
// Sorts and filters the table of candidates, whose values stand in the page as JSON.

const byId = (id) => document.getElementById(id);
const atOnce = 200;
const sourceNames = { label: "label of a picture", patch: "label of patches", metadata: "table", folders: "folders" };

const fixed = (digits) => (value) => value.toFixed(digits).replace("-", "\u2212");
const chance = (value) => (value >= 0.001 ? value.toPrecision(2) : value.toExponential(0).replace("e-", "e\u2212"));

// Name of the column, heading, how a value is shown, what it is, and whether the small values come first.
const columns = [
  ["latent", "Latent", String, "Number of the latent", true],
  ["attribute", "Attribute", null, "What the pictures have, and where it is known from", true],
  ["mcc", "MCC", fixed(2), "Agreement of firing and attribute at the best threshold, from \u22121 to 1; 0 is chance"],
  ["beside", "Latent beside controls", null, "By how much the best latent passes the best neuron and the linear probe, on pictures that did not choose them"],
  ["left_out_mcc", "Left out", fixed(2), "MCC that the best latent reaches on pictures that did not choose it or its threshold"],
  ["neuron_mcc", "Neuron", fixed(2), "The same of the best raw neuron, of either sign"],
  ["linear_mcc", "Linear probe", fixed(2), "The same of a linear probe on all neurons"],
  ["means_mcc", "Class means", fixed(2), "The same of the difference of the means with and without the attribute"],
  ["direction_mcc", "Random direction", fixed(2), "The same of the best of 256 random directions, of either sign"],
  ["component_mcc", "Component", fixed(2), "The same of the best of 128 principal components, of either sign"],
  ["centre_mcc", "Centre", fixed(2), "The same of the best of 256 centres of k-means"],
  ["random_sae_mcc", "Random SAE", fixed(2), "The same of the best latent of an SAE with random weights"],
  ["seeds_mcc", "Other seeds", fixed(2), "The same of the best latent of each SAE of another seed, on average"],
  ["matched_mcc", "As frequent", fixed(2), "What 95 % of the latents that fire about as often stay under, where MCC is measured"],
  ["threshold", "Threshold", fixed(2), "The latent fires above it"],
  ["correlation", "r", fixed(2), "Correlation of the latent's value with the attribute"],
  ["f1", "F1", fixed(2), "Harmonic mean of precision and recall at the threshold"],
  ["average_precision", "AP", fixed(2), "Average precision of the latent's values; chance is the prevalence"],
  ["prevalence", "Prevalence", showShare, "Pictures with the attribute"],
  ["auroc", "AUROC", fixed(2), "How often a picture with the attribute has the larger value; .5 is chance"],
  ["frequency", "Fires on", showShare, "Pictures on which the latent has a value above 0"],
  ["q", "q", chance, "Expected share of false ones among all pairs with a q as small", true],
  ["p_best", "p of the best", chance, "Chance that the best of all latents does as well by luck (maxT); for the best alone", true],
  ["iou", "IoU", fixed(2), "Intersection over union of active patches and the patches of the label, at their best threshold"],
  ["class_mcc", "Class alone", fixed(2), "MCC where each picture has the mean value of its class; for the best latent alone"],
  ["seeds", "Seeds", String, "SAEs of other seeds in which the latent is found again, matched one to one (cosine of .7 or more)"],
  ["seed_cosine", "Cosine", fixed(2), "Mean cosine with the most similar latents of the other SAEs"],
];

// Shown on demand.
const ofControls = new Set(["left_out_mcc", "matched_mcc", ...controlNames.map(([name]) => name)]);

class Candidates {
  /** `data`: {facts: [[name, value]], warning, attributes: [[source, name]], columns: {name: [values]}}. */
  constructor(data) {
    this.data = data;
    this.beside = data.columns.mcc.map((_, row) => besideOf(data.columns, row));
    data.columns.beside = this.beside.map((beside) => beside && besideMargin(beside));
    this.names = data.attributes.map(([, name]) => name.toLowerCase());
    this.isDown = true;
    this.writeFacts();
    this.prepareFilters();
    for (const id of ["search", "source", "small-q", "only-best", "above-neuron"]) byId(id).addEventListener("input", () => this.show());
    byId("more").addEventListener("click", () => this.add());
    this.chooseColumns();
  }

  writeFacts() {
    for (const [name, value] of this.data.facts) {
      byId("facts").append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
    }
    byId("warning").textContent = this.data.warning;
    for (const source of new Set(this.data.attributes.map(([one]) => one))) {
      byId("source").append(new Option(sourceNames[source], source));
    }
  }

  /** Those filters are there that tell rows apart. */
  prepareFilters() {
    const isNumeric = this.data.columns.numeric;
    byId("kinds").hidden = !(isNumeric.includes(1) && isNumeric.includes(0));
    byId("kind").addEventListener("input", () => {
      this.sorted = byId("kind").value === "1" ? "correlation" : "mcc";
      this.isDown = true;
      this.chooseColumns();
    });
    this.sorted = isNumeric.includes(0) ? "mcc" : "correlation";
    for (const one of document.querySelectorAll(".of-controls")) one.hidden = !this.beside.some((beside) => beside);
    byId("all-controls").addEventListener("input", () => this.chooseColumns());
  }

  /** Those that say something of rows of the chosen kind. */
  chooseColumns() {
    const isAll = byId("all-controls").checked, kind = byId("kind").value, { columns: values } = this.data;
    this.columns = columns.filter(([name]) => (isAll || !ofControls.has(name)) &&
      values[name]?.some((value, row) => value !== null && (!kind || String(values.numeric[row]) === kind)));
    this.writeHeads();
    this.show();
  }

  writeHeads() {
    byId("heads").replaceChildren();
    for (const [name, heading, , meaning, isUp] of this.columns) {
      const button = element("button", { type: "button", title: meaning }, heading);
      button.addEventListener("click", () => {
        this.isDown = this.sorted === name ? !this.isDown : !isUp;
        this.sorted = name;
        this.show();
      });
      const kind = name === "attribute" || name === "beside" ? "text" : "number";
      byId("heads").append(element("th", { scope: "col", class: kind, "data-column": name }, button));
    }
  }

  /** What a row is sorted by; an effect by its size. */
  key(row) {
    const value = this.data.columns[this.sorted][row];
    if (this.sorted === "attribute") return this.names[value];
    return this.sorted === "mcc" || this.sorted === "correlation" ? Math.abs(value) : value;
  }

  /** Whether a row passes all filters. */
  fits(row, text, source) {
    const { latent, attribute, q, best, numeric } = this.data.columns;
    if (byId("small-q").checked && !(q[row] !== null && q[row] <= 0.05)) return false;
    if (byId("only-best").checked && !best[row]) return false;
    if (byId("kind").value && String(numeric[row]) !== byId("kind").value) return false;
    if (byId("above-neuron").checked && !(this.beside[row]?.above[0] >= sureFrom)) return false;
    if (source && this.data.attributes[attribute[row]][0] !== source) return false;
    return !text || String(latent[row]) === text || this.names[attribute[row]].includes(text);
  }

  show() {
    const text = byId("search").value.trim().toLowerCase(), source = byId("source").value;
    const values = this.data.columns[this.sorted];
    const all = values.map((_, row) => row).filter((row) => this.fits(row, text, source));
    const keys = new Map(all.map((row) => [row, this.key(row)]));
    const sign = this.isDown ? -1 : 1;
    // Rows without a value come last either way.
    this.rows = all.sort((one, other) => {
      if (values[one] === null || values[other] === null) return (values[one] === null) - (values[other] === null);
      const a = keys.get(one), b = keys.get(other);
      return a === b ? one - other : sign * (a < b ? -1 : 1);
    });
    for (const head of byId("heads").children) {
      if (head.dataset.column === this.sorted) head.ariaSort = this.isDown ? "descending" : "ascending";
      else head.removeAttribute("aria-sort");
    }
    byId("found").textContent = `${this.rows.length.toLocaleString("en")} of ${showCount(values.length, "pair")}`;
    byId("nothing").hidden = this.rows.length > 0;
    byId("rows").replaceChildren();
    this.add();
  }

  /** Show some rows more. */
  add() {
    const from = byId("rows").children.length;
    byId("rows").append(...this.rows.slice(from, from + atOnce).map((row) => this.row(row)));
    byId("more").hidden = this.rows.length <= from + atOnce;
  }

  row(row) {
    return element("tr", {}, ...this.columns.map(([name, , shown]) => {
      if (name === "attribute") return this.attribute(row);
      return name === "beside" ? besideCell(this.beside[row]) : this.cell(row, name, shown);
    }));
  }

  cell(row, name, shown) {
    const value = this.data.columns[name][row];
    const note = name === "class_mcc" ? this.data.columns.note[row] : "";
    const kind = note ? "proxy" : name === "q" && value > 0.05 ? "weak" : "number";
    return element("td", { class: kind, title: note }, value === null ? "" : shown(value), note ? " \u26a0" : "");
  }

  attribute(row) {
    const [source, name] = this.data.attributes[this.data.columns.attribute[row]];
    const negation = this.data.columns.negative[row] && !this.data.columns.numeric[row] ? "not " : "";
    return element("td", { class: "text", title: name }, element("span", { class: "pill" }, source), negation, userText(name));
  }
}

new Candidates(JSON.parse(byId("data").textContent));
