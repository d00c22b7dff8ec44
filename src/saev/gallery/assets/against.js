"use strict";
// A latent against a label: the pictures on which it fires rightly, wrongly and not, at a threshold; figures; a hypothesis.

class AgainstPanel {
  static sticky = null; // key of the label that was chosen last: it stays from latent to latent; without any each has its own best one

  constructor(app, page) {
    Object.assign(this, { app, page, choices: [] });
    this.body = element("div", { class: "against-body" }, element("p", { class: "soft" }, "Reading the labels."));
    this.element = element("section", { class: "against", "aria-label": "Against a label" }, element("h2", {}, "Against a label"), this.body);
  }

  /** Shows what an address names: `against` is the key of a label, `above` a threshold. */
  show(params) {
    if (this.filling === undefined) this.filling = this.fill(params);
    else this.filling.then(() => this.follow(params));
  }

  async fill(params) {
    const { data, stars } = this.app;
    stars.addEventListener("change", () => this.newStars());
    try {
      this.known = await KnownPictures.open(data);
    } catch (error) {
      this.say(error.message);
      return;
    }
    if (this.known === null || this.page.judged === null) {
      this.say("This page does not say on which of all pictures the latent fires: render it again, whole.");
      return;
    }
    this.judged = new JudgedLatent(this.page.judged, this.known);
    this.others = await Promise.all(this.app.sets.list.filter((set) => set !== this.app.sets.shown).map((set) => this.open(set)));
    this.findChoices();
    if (this.choices.length === 0) {
      this.say("Nothing is known of the pictures that tells them apart. Record them from one folder a class or with masks, give a table (--metadata), or star some.");
      return;
    }
    this.layout();
    if (this.follow(params)) this.element.scrollIntoView();
    else this.choose(this.attributeOf(AgainstPanel.sticky) ?? this.choices[0].attribute, null);
  }

  attributeOf(key) {
    return this.choices.find(({ attribute }) => attribute.key === key)?.attribute;
  }

  /** Gives whether an address names a label that is here. */
  follow({ against = null, above = NaN }) {
    const given = this.attributeOf(against);
    const isShown = given === this.attribute && Number(above) === this.threshold;
    if (given !== undefined && !isShown) this.choose(given, Number(above) >= 0 ? Number(above) : null);
    return given !== undefined;
  }

  /** What the latent does in another image set, where that is known; a page that has to be made comes later, once the user wants that set looked at. */
  async open(set) {
    const { index } = this.page;
    const found = { set, data: await this.app.sets.data(set).catch(() => null), judged: null };
    const { data } = found;
    if (data === null || !data.judges) return found;
    const read = async () => {
      const [known, { judged }] = await Promise.all([KnownPictures.open(data), data.whole(index)]);
      if (judged !== null) found.judged = new JudgedLatent(judged, known);
    };
    if (data.isFull.has(index)) await read().catch(() => null);
    else if (data.make !== null && data.hasPage.has(index)) data.looking.then(() => this.element.isConnected && read()).then(() => this.showFigures(), () => null);
    return found;
  }

  say(text) {
    this.body.replaceChildren(element("p", { class: "empty" }, text));
  }

  /** The labels, those first that it goes with best. */
  findChoices() {
    const starred = this.known.starred(this.app.data, this.app.stars);
    this.choices = [...this.known.attributes, ...(starred === null ? [] : [starred])].map((attribute) => this.choice(attribute)).sort((a, b) => b.gain - a.gain);
  }

  newStars() {
    if (!this.element.isConnected || this.chooser === undefined) return;
    this.findChoices();
    this.chooser.choices = this.choices;
    if (this.attribute.source === "stars") this.choose(this.attributeOf(this.attribute.key) ?? this.choices[0].attribute, this.threshold);
  }

  /** A label with the average precision for it, the rate of the label, and how far the one is above the other. */
  choice(attribute) {
    const ap = this.judged.curve(attribute).averagePrecision;
    const rate = attribute.nWith / (attribute.nWith + attribute.nWithout);
    return { attribute, ap, rate, gain: (ap - rate) / (1 - rate) };
  }

  layout() {
    const max = this.app.data.maxValue[this.page.index];
    this.chooser = new LabelChooser(this.choices, (attribute) => { AgainstPanel.sticky = attribute.key; this.choose(attribute, null); this.keepAddress(); });
    this.slider = element("input", { type: "range", min: 0, max: AgainstPanel.steps, step: 1, "aria-label": "Threshold" });
    this.number = element("input", { type: "number", min: 0, max, step: "any", "aria-label": "Threshold as a number" });
    this.slider.addEventListener("input", () => this.setThreshold(Number(((this.slider.value / AgainstPanel.steps) * max).toPrecision(3))));
    this.number.addEventListener("change", () => { if (this.number.value !== "" && this.number.checkValidity()) this.setThreshold(Number(this.number.value)); });
    for (const control of [this.slider, this.number]) control.addEventListener("change", () => this.keepAddress());
    const best = element("button", { type: "button", title: "The threshold with the largest MCC on these pictures" }, "Best MCC");
    best.addEventListener("click", () => { this.setThreshold(this.bestThreshold()); this.keepAddress(); });
    this.figures = element("div", { class: "against-figures", role: "status" });
    this.plot = element("div", { class: "against-plot" });
    this.rows = judgedKinds.map((kind) => new JudgedRow(this.app, this.page, this.judged, kind));
    this.form = new HypothesisForm(this.app, this.page.index, () => this.hypothesis());
    this.body.replaceChildren(
      element("div", { class: "against-controls" }, element("label", { for: "against-label" }, "Label"), this.chooser.element, this.chooser.kind,
        element("label", {}, "Fires above ", this.number), best),
      this.plot, this.slider, this.figures, ...this.rows.map(({ element: row }) => row), this.form.element);
  }

  choose(attribute, threshold) {
    this.attribute = attribute;
    this.curve = this.judged.curve(attribute);
    this.chooser.show(attribute);
    this.setThreshold(threshold ?? this.bestThreshold());
  }

  /** The threshold of the largest MCC, as a short number between the values that it parts. */
  bestThreshold() {
    const { steps } = this.curve;
    const scores = steps.map((_, i) => this.curve.above(steps[i + 1]?.value ?? this.judged.least).mcc);
    const best = scores.reduce((found, one, i) => (one > scores[found] ? i : found), 0);
    return steps.length === 0 ? 0 : shortBetween(steps[best + 1]?.value ?? this.judged.least, steps[best].value);
  }

  setThreshold(threshold) {
    this.threshold = Math.max(this.judged.least, threshold);
    const max = this.app.data.maxValue[this.page.index];
    this.number.value = this.threshold;
    this.slider.value = Math.round(ratio(this.threshold, max) * AgainstPanel.steps);
    this.slider.setAttribute("aria-valuetext", showValue(this.threshold));
    this.counts = this.curve.above(this.threshold);
    this.plot.replaceChildren(...splitHistogram(this.judged, this.attribute, max, this.threshold));
    this.showFigures();
    this.form.suggest();
    this.drawing ??= requestAnimationFrame(() => { this.drawing = undefined; this.drawRows(); }); // many may come while the slider moves
  }

  showFigures() {
    if (this.counts !== undefined) this.figures.replaceChildren(this.table(), ...this.notes());
  }

  /** Figures at the threshold, on these pictures and on those of other image sets. */
  table() {
    const { data, sets, stars } = this.app;
    const others = this.others.flatMap((other) => {
      const own = other.judged?.known.attributeOf(this.attribute.key, other.data, stars);
      return own === undefined ? [unknownFigures(other.set.title)] : this.figuresOf(other.set.title, other.data, other.judged, own);
    });
    return figuresTable([...this.figuresOf(sets.isOne ? null : sets.shown.title, data, this.judged, this.attribute), ...others]);
  }

  /** The rows of one image set. */
  figuresOf(title, data, judged, attribute) {
    const curve = judged.curve(attribute);
    const patches = attribute.mask === null ? null : judged.patchesAt(data.binEdges, attribute.mask, this.threshold);
    const ap = `${showScore(curve.averagePrecision)} / ${showScore(curve.nWith / (curve.nWith + curve.nWithout))}`;
    return [figuresRow(title, "Pictures", curve.above(this.threshold), ap),
      ...(patches === null ? [] : [figuresRow(title, `Patches from ${showValue(patches.edge)} on`, patches.counts, "")])];
  }

  /** What the figures do not say. */
  notes() {
    const { known, judged } = this;
    const texts = [];
    if (known.n < known.nImages) texts.push(`Of ${known.nImages.toLocaleString("en")} pictures a random choice of ${known.n.toLocaleString("en")} is judged by.`);
    if (judged.least > 0) texts.push(`It fires on ${showCount(judged.nFires, "picture")}; the ${judged.places.length.toLocaleString("en")} strongest are here, so that no threshold is below ${showValue(judged.least)}.`);
    return texts.map((text) => element("p", { class: "note" }, text));
  }

  drawRows() {
    const found = this.judged.at(this.attribute, this.threshold);
    for (const row of this.rows) row.show(this.attribute, found[row.kind]);
  }

  /** The address names label and threshold, without a step in the history. */
  keepAddress() {
    const query = new URLSearchParams(location.hash.slice(1));
    query.set("against", this.attribute.key);
    query.set("above", String(this.threshold));
    history.replaceState(history.state, "", `#${query}`);
  }

  /** What is claimed, with all that it rests on. */
  hypothesis() {
    const { source, name } = this.attribute;
    const { setName } = this.app.data;
    const { tp, fp, fn, tn } = this.counts;
    return {
      claim: this.counts.mcc < 0 ? "does not fire on" : "fires on", attribute: source === "stars" ? null : { source, name }, threshold: this.threshold, pooling: "max",
      ...(setName === "" ? {} : { set: setName }), counts: { tp, fp, fn, tn },
    };
  }
}
AgainstPanel.steps = 1000; // of the slider

/** The shortest number that is at least `low` and below `high`. */
function shortBetween(low, high) {
  for (let digits = 1; digits < 16; digits += 1) {
    const middle = Number(((low + high) / 2).toPrecision(digits));
    if (middle >= low && middle < high) return middle;
  }
  return low;
}
