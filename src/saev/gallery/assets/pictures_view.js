"use strict";
// All pictures of the gallery: a grid that is filtered, grouped and coloured, and the two sets that are compared.

class PicturesView {
  constructor(container, app) {
    Object.assign(this, { container, app });
    this.choice = {};
    this.look = { group: "", colour: "" }; // names of divisions
    this.key = `saev-ticks:${app.data.saeId}:${app.data.setName}`;
    this.ticked = this.keptTicks();
  }

  /** Ticks of the last visit; another picture that has got the number since has none. */
  keptTicks() {
    const { pictures } = this.app.data;
    const kept = recallValue("localStorage", this.key);
    return new Set((Array.isArray(kept) ? kept : []).flatMap((one) => (pictures.get(one?.[0])?.name === one?.[1] ? [one[0]] : [])));
  }

  keepTicks() {
    const kept = this.pictures(this.ticked).map(({ id, name }) => [id, name]);
    const error = kept.length === 0 ? forget("localStorage", this.key) ?? null : keep("localStorage", this.key, JSON.stringify(kept));
    this.kept.textContent = error === null ? `Stars are kept in ${this.app.stars.keeper.place}, ticks in this browser.` : `Ticks cannot be kept (${error.message}).`;
  }

  /** The promise is kept once the pictures are listed, so that the page can be scrolled to where it was left. */
  show(params) {
    const { data } = this.app;
    if (this.grid === undefined) this.layout();
    if (this.listed !== undefined && location.hash === this.hash) {
      this.grid.layout();
      return null;
    }
    const of = (name) => (divisionOf(data, params[name] ?? "") === null ? "" : params[name]);
    this.choice = choiceOf(data, params);
    this.look = { group: of("group"), colour: of("colour") };
    this.sets.take(params);
    this.showControls();
    return this.update();
  }

  /** The whole hash: the choice, the look, and the sets. */
  get hash() {
    const { group, colour } = this.look;
    const params = new URLSearchParams({ ...this.choice, ...(group && { group }), ...(colour && { colour }), ...this.sets?.params });
    return this.app.sets.own(`#pictures${params.size > 0 ? `&${params}` : ""}`);
  }

  stamp() {
    if (location.hash !== this.hash) history.replaceState(history.state, "", this.hash);
  }

  /** Chooses other pictures; "" takes a part of the choice away. */
  set(changes) {
    this.choice = choiceOf(this.app.data, { ...this.choice, ...changes });
    this.update();
  }

  layout() {
    const { app } = this;
    this.grid = new PictureGrid(app, this.ticked, () => this.countTicks());
    this.sets = new PictureSets(app, this);
    this.count = element("strong", { role: "status" });
    this.reset = actButton("Reset", () => {
      this.choice = {};
      this.showControls();
      this.update();
    });
    this.ticks = element("span", { class: "found" });
    this.kept = element("span", { class: "soft" });
    this.legend = element("div", { class: "legend", role: "group", "aria-label": "Colours" });
    this.columns = element("div", { class: "column-filters" });
    this.container.replaceChildren(
      element("h1", { class: "hidden", tabindex: "-1" }, "Pictures"),
      element("div", { class: "list-head pictures-head" }, ...this.controls(), element("span", { class: "found" }, this.count, this.reset)),
      this.columns, this.legend,
      element("div", { class: "pictures-body" }, element("div", {}, element("div", { class: "tick-bar" }, ...this.tickButtons()), this.grid.element), this.sets.element));
    app.stars.addEventListener("change", () => { if (this.choice.starred) this.update(); });
    this.showControls();
    this.countTicks();
  }

  controls() {
    const { data } = this.app;
    this.fields = {
      text: element("input", { type: "search", placeholder: "File name", "aria-label": "Words in the file name", autocomplete: "off", spellcheck: "false" }),
      label: optionSelect("Label", [["", "any label"], ...countsOf([...data.pictures.values()].map(({ label }) => label)).map(([label, n]) => [label, `${label} (${n.toLocaleString("en")})`])]),
      patches: optionSelect("Label of patches", [["", "any patches"], ...data.maskNames.map((name) => [name, `patches of ${name}`])]),
      starred: element("input", { type: "checkbox" }),
    };
    for (const [name, field] of Object.entries(this.fields)) {
      field.addEventListener("input", () => this.set({ [name]: field.type === "checkbox" ? (field.checked ? "1" : "") : field.value }));
    }
    this.fields.label.hidden = this.fields.label.options.length < 3;
    this.fields.patches.hidden = data.maskNames.length === 0;
    const divisions = [["label", "label"], ...data.metadata.map(({ name }) => [columnKey(name), name])].filter(([name]) => divisionOf(data, name).keys.length > 1);
    this.looks = { group: optionSelect("Group by", [["", "no groups"], ...divisions]), colour: optionSelect("Colour by", [["", "no colours"], ...divisions]) };
    for (const [name, field] of Object.entries(this.looks)) {
      field.addEventListener("input", () => {
        this.look = { ...this.look, [name]: field.value };
        this.update();
      });
    }
    this.adding = optionSelect("Filter by a column", [["", "Filter by\u2026"], ...data.metadata.map(({ name }) => [name, name])]);
    this.adding.hidden = data.metadata.length === 0;
    this.adding.addEventListener("input", () => {
      this.addColumn(this.adding.value);
      this.adding.value = "";
    });
    const { text, label, patches, starred } = this.fields;
    const named = (words, field) => element("label", {}, words, field);
    return [text, label, patches, element("label", {}, starred, " Starred"), this.adding,
      ...(divisions.length > 0 ? [named("Group ", this.looks.group), named("Colour ", this.looks.colour)] : [])];
  }

  /** Shows what is chosen; a field in which someone writes is left alone. */
  showControls() {
    for (const [name, field] of Object.entries(this.fields)) {
      if (field.type === "checkbox") field.checked = this.choice[name] !== undefined;
      else if (field !== document.activeElement) field.value = this.choice[name] ?? "";
    }
    for (const [name, field] of Object.entries(this.looks)) field.value = this.look[name];
    this.columns.replaceChildren();
    for (const { name } of this.app.data.metadata) if (columnKey(name) in this.choice) this.addColumn(name);
  }

  /** Offers the values of a column. */
  addColumn(name) {
    const column = this.app.data.metadata.find((one) => one.name === name);
    if (column === undefined || [...this.columns.children].some((one) => one.dataset.column === name)) return;
    const key = columnKey(name);
    const field = column.kind === "numeric" ? this.rangeFields(column, key) : this.valueField(column, key);
    const shown = element("div", { class: "column-filter", "data-column": name }, element("span", {}, userText(name)), field);
    shown.append(actButton("\u00d7", () => {
      shown.remove();
      this.set({ [key]: "" });
    }, `Take the filter of ${name} away`));
    this.columns.append(shown);
    if (!(key in this.choice)) field.querySelector("input, select").focus();
  }

  valueField({ name, values }, key) {
    const field = optionSelect(name, [["", "any"], ...countsOf([...values.values()]).map(([value, n]) => [value, `${value} (${n.toLocaleString("en")})`])]);
    field.value = this.choice[key] ?? "";
    field.addEventListener("input", () => this.set({ [key]: field.value }));
    return element("span", {}, field);
  }

  rangeFields({ name, values }, key) {
    const all = Float64Array.from(values.values(), Number).sort();
    const ends = ["from", "to"].map((word, i) => element("input", {
      type: "number", step: "any", placeholder: `${word} ${showNumber(i === 0 ? all[0] : all.at(-1))}`, "aria-label": `${name} ${word}`,
    }));
    rangeOf(this.choice[key] ?? "~").forEach((end, i) => { ends[i].value = end ?? ""; });
    for (const end of ends) {
      end.addEventListener("input", () => {
        const text = ends.map(({ value }) => value).join("~");
        this.set({ [key]: text === "~" ? "" : text });
      });
    }
    return element("span", {}, ...ends);
  }

  /** Lists the pictures of the choice. */
  async update() {
    const { app } = this;
    this.stamp();
    const number = this.updates = (this.updates ?? 0) + 1;
    const isChosen = await chooses(app, this.choice);
    if (number !== this.updates) return;
    this.listed = [...app.data.pictures.values()].filter(isChosen);
    this.count.textContent = `${this.listed.length.toLocaleString("en")} of ${showCount(app.data.pictures.size, "picture")}`;
    this.reset.disabled = Object.keys(this.choice).length === 0;
    const colours = divisionOf(app.data, this.look.colour);
    const colourByKey = new Map(colours?.keys.map(({ key, colour }) => [key, colour]));
    this.grid.show(this.groups(), (picture) => (colours === null ? null : colourByKey.get(colours.keyOf(picture)) ?? null));
    this.showLegend(colours);
    this.sets.offer();
    this.countTicks();
  }

  groups() {
    const groups = divisionOf(this.app.data, this.look.group);
    if (groups === null) return [{ text: null, pictures: this.listed }];
    const byKey = Map.groupBy(this.listed, (picture) => groups.keyOf(picture));
    return [...groups.keys, { key: null, text: `${groups.title} not known` }]
      .filter(({ key }) => byKey.has(key))
      .map(({ key, text }) => ({ text: key === null || this.look.group === "label" ? text : `${groups.title}: ${text}`, pictures: byKey.get(key) }));
  }

  /** The colours; each chooses its pictures. */
  showLegend(colours) {
    this.legend.hidden = colours === null;
    if (colours === null) return;
    const n = countsOf(this.listed.map((picture) => colours.keyOf(picture)));
    const counts = new Map(n);
    const isColoured = colours.keys.some(({ colour }) => colour !== null);
    this.legend.replaceChildren(...(isColoured ? colours.keys.filter(({ key }) => counts.has(key)).map(({ key, text, colour, of }) => {
      const made = actButton("", () => { this.set(of); this.showControls(); }, `Choose ${text}`);
      made.append(colourMark(colour), userText(text), ` ${counts.get(key).toLocaleString("en")}`);
      return made;
    }) : [element("span", { class: "soft" }, `${userText(colours.title).textContent} has ${colours.keys.length} values, too many for colours: group by it instead.`)]));
  }

  tickButtons() {
    this.star = actButton("Star them", () => this.app.stars.set(this.app.data, this.pictures(this.ticked), true));
    this.untick = actButton("Untick all", () => {
      this.ticked.clear();
      this.grid.showTicks();
      this.countTicks();
    });
    return [this.ticks, actButton("Tick all listed", () => this.grid.tick(this.listed, true)), this.untick, this.star, this.kept];
  }

  pictures(ids) {
    return [...ids].map((id) => this.app.data.pictures.get(id));
  }

  countTicks() {
    this.ticks.textContent = `${this.ticked.size.toLocaleString("en")} ticked`;
    this.untick.disabled = this.star.disabled = this.ticked.size === 0;
    this.keepTicks();
    this.sets.offer();
  }
}

/** What is among `values`, null left out, with how often: the most frequent first. */
function countsOf(values) {
  const counts = new Map();
  for (const value of values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
}

/** A choice of one of `options` = [[value, text]], named for those who do not see it. */
function optionSelect(name, options) {
  return element("select", { "aria-label": name, title: name }, ...options.map(([value, text]) => element("option", { value }, text)));
}

function actButton(text, act, name = text) {
  const made = element("button", { type: "button", "aria-label": name }, text);
  made.addEventListener("click", act);
  return made;
}
