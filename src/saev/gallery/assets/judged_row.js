"use strict";
// Pictures of one kind: hits, false alarms or misses of a latent at a threshold.

const nJudged = 12; // at first, and each time more are wanted
const judgedKinds = [
  ["hits", "Hits", "It fires, and the label is there. Strongest first."],
  ["alarms", "False alarms", "It fires, and the label is not there. Strongest first."],
  ["misses", "Misses", "The label is there, and it does not fire. Those nearest to firing first."],
];

class JudgedRow {
  constructor(app, page, judged, [kind, title, note]) {
    Object.assign(this, { app, page, judged, kind });
    this.count = element("span", { class: "soft" });
    this.pictures = element("div", { class: "examples", role: "list" });
    this.none = element("p", { class: "soft" }, "None at this threshold.");
    this.more = element("button", { type: "button", class: "more" });
    this.more.addEventListener("click", () => this.add());
    const silence = judged.silent.size > 0 ? judged.known.silence : "Pre-activations are not known here: silent ones are in no order.";
    this.mean = element("figure", { class: "mean-map" });
    this.element = element("section", { class: `judged ${kind}` },
      element("div", { class: "judged-head" }, element("div", {}, element("h3", {}, `${title} `, this.count),
        element("p", { class: "note" }, note, kind === "misses" ? ` ${silence}` : null)), this.mean),
      this.none, this.pictures, this.more);
  }

  /** Shows a list of pictures; what is there already stays while the slider moves. */
  show(attribute, list) {
    const n = Math.min(list.length, Math.max(nJudged, this.pictures.children.length));
    const isSame = attribute === this.attribute && this.list.length >= n && n >= this.pictures.children.length
      && list.slice(0, n).every(({ place }, i) => place === this.list[i].place);
    Object.assign(this, { attribute, list });
    this.count.textContent = showCount(list.length, "picture");
    this.none.hidden = list.length > 0;
    this.showMean();
    if (!isSame) this.pictures.replaceChildren();
    if (this.pictures.children.length < Math.min(nJudged, list.length)) this.add();
    this.say();
  }

  /** Where in these pictures the latent fires: its mean over those whose heat the page has. */
  showMean() {
    const { app: { data }, page, judged } = this;
    const heats = this.list.map(({ place }) => page.heatmap(judged.known.images[place])).filter((heat) => heat !== undefined);
    const sums = Float64Array.from({ length: data.rows * data.columns }, (_, patch) => heats.reduce((sum, heat) => sum + heat.at(patch), 0));
    const most = Math.max(...sums);
    this.mean.hidden = heats.length < 2 || most === 0;
    if (this.mean.hidden) return;
    const canvas = levelCanvas(data, data.columns, data.rows, { at: (patch) => (255 * sums[patch]) / most, p99: 255 }, "mean");
    canvas.style.aspectRatio = `${data.columns} / ${data.rows}`;
    const what = `Mean over ${heats.length === this.list.length ? "all" : `${heats.length.toLocaleString("en")} of them`}`;
    this.mean.title = "Mean activation at each position, over those of these pictures that the page has with heat";
    this.mean.replaceChildren(canvas, element("figcaption", {}, `${what}, brightest: ${showValue((most / heats.length / 255) * data.scale[page.index])}`));
  }

  add() {
    const n = this.pictures.children.length;
    this.pictures.append(...this.list.slice(n, n + nJudged).map((one) => judgedFigure(this.app, this.page, this.judged.known, this.attribute, one)));
    this.say();
  }

  say() {
    const left = this.list.length - this.pictures.children.length;
    this.more.textContent = left <= nJudged ? `Show ${left} more` : `Show ${nJudged} more of ${left.toLocaleString("en")}`;
    this.more.hidden = left <= 0;
  }
}
