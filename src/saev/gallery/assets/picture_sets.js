"use strict";
// Two sets of pictures, and the latents that tell them apart.

/** By what latents that tell two sets apart are sorted, of a row of `PictureLevels.contrast`. */
const contrastOrders = {
  ap: { title: "average precision", of: ({ ap }) => ap },
  lift: { title: "lift", of: ({ counts }) => counts.lift },
  mcc: { title: "MCC", of: ({ counts }) => counts.mcc },
};

class PictureSets {
  static nRows = 30; // of the list at once

  /** A set is a text: "" for none, "rest" for all that are not in A, "ids:" and runs of numbers, or "of:" and a choice. */
  constructor(app, view) {
    Object.assign(this, { app, view, a: "", b: "rest", by: "ap" });
    this.fields = { a: optionSelect("Set A", []), b: optionSelect("Set B", []) };
    for (const [name, field] of Object.entries(this.fields)) field.addEventListener("input", () => this.choose(name, field.value));
    this.order = optionSelect("Sort the latents by", Object.entries(contrastOrders).map(([order, { title }]) => [order, title]));
    this.order.addEventListener("input", () => {
      this.by = this.order.value;
      this.view.stamp();
      this.list();
    });
    this.said = element("p", { class: "note", role: "status" });
    this.rows = element("div", { class: "contrast" });
    this.name = element("input", { type: "text", value: "in_a", "aria-label": "Name of the column that says what is in set A", maxlength: "60" });
    this.saving = element("div", { class: "saving", hidden: "" }, element("span", {}, "Column "), this.name,
      actButton("Save as CSV", () => this.save(), "Save the sets as a table for saev probe --metadata"));
    this.element = element("aside", { class: "panel set-panel", "aria-labelledby": "sets-title" },
      element("h2", { id: "sets-title" }, "What tells two sets apart"),
      element("div", { class: "set-fields" }, element("label", {}, "A ", this.fields.a), element("label", {}, "B ", this.fields.b),
        actButton("Swap", () => this.swap()), element("label", {}, "Sort by ", this.order)),
      this.said, this.rows, this.saving);
  }

  /** What stands in the address. */
  get params() {
    return { ...(this.a && { a: this.a }), ...(this.b !== "rest" && { b: this.b }), ...(this.by !== "ap" && { by: this.by }) };
  }

  take({ a = "", b = "rest", by = "ap" }) {
    const isOther = a !== this.a || b !== this.b || this.number === undefined;
    Object.assign(this, { a, b, by: Object.hasOwn(contrastOrders, by) ? by : "ap" });
    this.order.value = this.by;
    if (isOther) this.compare();
  }

  choose(name, value) {
    const { view } = this;
    this[name] = { ticked: `ids:${runsOfNumbers(view.ticked)}`, listed: `of:${new URLSearchParams(view.choice)}` }[value] ?? value;
    view.stamp();
    this.offer();
    this.compare();
  }

  swap() {
    if (this.a === "" || this.b === "rest") [this.a, this.b] = [this.b === "rest" ? "not" : this.b, this.a];
    else [this.a, this.b] = [this.b, this.a];
    this.view.stamp();
    this.offer();
    this.compare();
  }

  /** Brings the choices of both sets up to date. */
  offer() {
    const { view, app } = this;
    const labels = [...new Set([...app.data.pictures.values()].map(({ label }) => label))].filter((label) => label !== null).sort();
    const usual = [
      ["ticked", `the ${view.ticked.size.toLocaleString("en")} ticked`, view.ticked.size === 0],
      ["listed", `the ${(view.listed?.length ?? 0).toLocaleString("en")} listed`, view.listed === undefined],
      ["of:starred=1", "the starred"],
      ...labels.map((label) => [`of:${new URLSearchParams({ label })}`, label]),
    ];
    const first = { a: [["", "choose\u2026"], ["not", "all that are not in B"]], b: [["rest", "the rest"]] };
    for (const [name, field] of Object.entries(this.fields)) {
      const options = [...first[name], ...usual];
      if (!options.some(([value]) => value === this[name])) options.push([this[name], this.textOf(this[name])]);
      field.replaceChildren(...options.map(([value, text, isDisabled]) => {
        const option = element("option", { value }, text);
        option.disabled = isDisabled === true;
        return option;
      }));
      field.value = this[name];
    }
  }

  textOf(set) {
    if (set.startsWith("ids:")) return showCount(this.idsOf(set).length, "picture");
    return choiceText(this.app.data, this.choiceIn(set));
  }

  idsOf(set) {
    return numbersOfRuns(set.slice(4), Number.MAX_SAFE_INTEGER).filter((id) => this.app.data.pictures.has(id));
  }

  choiceIn(set) {
    return choiceOf(this.app.data, Object.fromEntries(new URLSearchParams(set.slice(3))));
  }

  /** Of each picture, by place, whether it is in a set. */
  async members(set) {
    const { data } = this.app;
    const isIn = new Uint8Array(data.pictures.size);
    if (set.startsWith("ids:")) for (const id of this.idsOf(set)) isIn[data.pictures.get(id).place] = 1;
    if (!set.startsWith("of:")) return isIn;
    const isChosen = await chooses(this.app, this.choiceIn(set));
    for (const picture of data.pictures.values()) isIn[picture.place] = Number(isChosen(picture));
    return isIn;
  }

  /** By place 1 for A, 2 for B, 0 for neither; what is in both is in A. */
  async sides() {
    const inA = await this.members(this.a === "not" ? this.b : this.a);
    if (this.a === "not") return inA.map((isIn) => (isIn ? 2 : 1));
    const inB = this.b === "rest" ? inA.map((isIn) => 1 - isIn) : await this.members(this.b);
    return inA.map((isIn, place) => (isIn ? 1 : inB[place] ? 2 : 0));
  }

  async compare() {
    const number = this.number = (this.number ?? 0) + 1;
    const isWanted = () => number === this.number;
    this.found = null;
    this.saving.hidden = true;
    this.rows.replaceChildren();
    if (this.a === "" || this.b === "") {
      this.said.textContent = "Choose set A: ticked pictures, those that are listed, or a label; B is the rest, if you choose no other.";
      return;
    }
    this.said.textContent = "Comparing the sets.";
    try {
      this.levels ??= PictureLevels.load(this.app.data);
      const [levels, sides] = await Promise.all([this.levels, this.sides()]);
      if (!isWanted()) return;
      this.taken = sides;
      this.saving.hidden = false;
      const found = levels === null ? null : await levels.contrast(sides, isWanted);
      if (isWanted()) this.tell(found, sides);
    } catch (error) {
      if (isWanted()) this.said.textContent = error.message;
    }
  }

  tell(found, sides) {
    const { data } = this.app;
    if (found === null) {
      this.said.textContent = "What fires in which picture was not kept in this gallery: render it anew.";
      return;
    }
    const { nA, nB } = found;
    const left = sides.reduce((n, side) => n + (side !== 0), 0) - nA - nB;
    this.said.textContent = `A has ${showCount(nA, "picture")}, B has ${nB.toLocaleString("en")}`
      + `${left > 0 ? `; of ${left.toLocaleString("en")} more it is not kept what fires there` : ""}. Chance ${showNumber(nA / (nA + nB))}. `
      + "A latent fires in a picture from the value on that has the largest MCC. Of so many latents some tell small sets apart by chance: test what you find on other pictures."
      + `${data.levels.most === null ? "" : ` Of each picture the ${data.levels.most} strongest latents are known.`}`;
    if (nA === 0 || nB === 0) {
      this.said.textContent = `Set ${nA === 0 ? "A" : "B"} is empty.`;
      return;
    }
    this.found = found;
    this.list();
  }

  list() {
    if (this.found === null) return;
    const { of } = contrastOrders[this.by];
    const sorted = this.found.rows.toSorted((one, other) => of(other) - of(one) || other.ap - one.ap || one.latent - other.latent);
    const rows = element("ul", { class: "fire-list" });
    const more = actButton("", () => draw());
    more.className = "more";
    const draw = () => {
      const n = rows.children.length;
      rows.append(...sorted.slice(n, n + PictureSets.nRows).map((row) => this.row(row)));
      const left = sorted.length - rows.children.length;
      more.textContent = `Show ${Math.min(left, PictureSets.nRows)} more of ${left.toLocaleString("en")}`;
      more.setAttribute("aria-label", more.textContent);
      more.hidden = left === 0;
    };
    draw();
    this.rows.replaceChildren(rows, more);
  }

  row({ latent, ap, level, counts }) {
    const { app } = this;
    const { tp, fp, fn, tn, lift, mcc } = counts;
    const from = showValue((level / 255) * app.data.scale[latent]);
    return element("li", { "data-latent": latent }, starButton(app.notes, latent),
      element("div", { class: "contrast-text", title: `From ${from} on it fires in ${tp} of ${tp + fn} in A and ${fp} of ${fp + tn} in B; MCC ${showNumber(mcc)}` },
        latentRowName(app.data, latent),
        element("span", { class: "contrast-numbers" }, `AP ${ap.toFixed(3)} \u00b7 lift \u00d7${showNumber(lift)} \u00b7 \u2265 ${from}: ${showShort(100 * tp / (tp + fn))}\u202f% of A, ${showShort(100 * fp / (fp + tn))}\u202f% of B`)),
      latentRowLink(app, latent));
  }

  /** Saves both sets as a table: `saev probe --metadata` takes it. */
  save() {
    const { data } = this.app;
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const rows = [...data.pictures.values()].filter(({ place, name }) => this.taken[place] !== 0 && name.isWellFormed())
      .map(({ name, place }) => `${quoted(name)},${this.taken[place] === 1 ? "yes" : "no"}\r\n`);
    const name = this.name.value.trim() || "in_a";
    saveFile(`${name.replaceAll(/[^\w-]+/g, "_")}.csv`, `path,${quoted(name)}\r\n${rows.join("")}`, "text/csv");
  }
}

/** Lets the browser save a text as a file. */
function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the download may begin late
}
