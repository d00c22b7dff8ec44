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
    this.element = element("section", { class: `judged ${kind}` }, element("h3", {}, `${title} `, this.count),
      element("p", { class: "note" }, note, kind === "misses" ? ` ${silence}` : null), this.none, this.pictures, this.more);
  }

  /** Shows a list of pictures; what is there already stays while the slider moves. */
  show(attribute, list) {
    const n = Math.min(list.length, Math.max(nJudged, this.pictures.children.length));
    const isSame = attribute === this.attribute && this.list.length >= n && n >= this.pictures.children.length
      && list.slice(0, n).every(({ place }, i) => place === this.list[i].place);
    Object.assign(this, { attribute, list });
    this.count.textContent = showCount(list.length, "picture");
    this.none.hidden = list.length > 0;
    if (!isSame) this.pictures.replaceChildren();
    if (this.pictures.children.length < Math.min(nJudged, list.length)) this.add();
    this.say();
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
