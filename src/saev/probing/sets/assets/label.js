"use strict";
// Shows one picture after the other and takes an answer to each. data.js calls `takeSet` with the set; texts enter the
// page as text nodes and attributes alone.

const answerOfKey = { y: "yes", n: "no", u: "unsure" };
const byId = (id) => document.getElementById(id);
const showTally = (answers) => answerNames.map((answer) => `${answers.count(answer)} ${answer}`).join(", ");

class LabelPage {
  /** `set`: {digest, hypothesis, text, pictures: [[id, file]]}, the pictures in their order. */
  constructor(set) {
    this.set = set;
    this.answers = new Answers(set.digest, set.pictures.map(([id]) => id));
    this.picture = byId("picture");
    byId("claim").textContent = set.text;
    byId("bar").max = set.pictures.length;
    byId("loading").hidden = true;
    byId("page").hidden = false;
    this.connect();
    this.show(this.firstOpen);
  }

  connect() {
    this.picture.addEventListener("load", () => this.arrive(true));
    this.picture.addEventListener("error", () => this.arrive(false));
    this.picture.addEventListener("click", () => this.enlarge());
    for (const button of byId("answers").children) button.addEventListener("click", () => this.answer(button.dataset.answer));
    const actions = { back: this.back, forward: this.forward, undo: this.undo, enlarge: this.enlarge, export: this.export };
    for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", () => act.call(this));
    byId("restart").addEventListener("click", () => byId("question").showModal());
    byId("cancel").addEventListener("click", () => byId("question").close());
    byId("forget").addEventListener("click", () => this.forget());
    addEventListener("keydown", (event) => this.press(event));
    addEventListener("storage", (event) => { // another tab answered
      if (event.key !== this.answers.key) return;
      this.answers.read();
      this.show(this.firstOpen);
    });
  }

  press(event) {
    // A key that is held down would answer pictures that nobody has looked at.
    if (event.repeat || event.altKey || event.ctrlKey || event.metaKey || byId("question").open) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const actions = { ArrowLeft: this.back, Backspace: this.back, ArrowRight: this.forward, z: this.undo, e: this.enlarge };
    if (key in answerOfKey) this.answer(answerOfKey[key]);
    else if (key in actions) actions[key].call(this);
    else return;
    event.preventDefault();
  }

  /** The place of the first picture without an answer; behind the last one where there is none. */
  get firstOpen() {
    const place = this.set.pictures.findIndex(([id]) => !this.answers.given.has(id));
    return place < 0 ? this.set.pictures.length : place;
  }

  get isDone() {
    return this.at === this.set.pictures.length;
  }

  show(place) {
    this.at = place;
    this.isReady = false; // until the picture is there nothing is answered
    this.isMissing = false;
    byId("done").hidden = !this.isDone;
    byId("missing").hidden = true;
    this.picture.hidden = true;
    if (this.isDone) {
      byId("tally").textContent = `${showTally(this.answers)}.`;
      byId("done").querySelector("h2").focus();
    } else {
      const [id, file] = this.set.pictures[place];
      this.picture.alt = `Picture ${id}`;
      this.picture.src = file;
      if (place + 1 < this.set.pictures.length) new Image().src = this.set.pictures[place + 1][1];
    }
    this.describe();
  }

  arrive(isThere) {
    this.isReady = true;
    this.isMissing = !isThere;
    this.since = performance.now();
    this.picture.hidden = this.isMissing;
    byId("missing").hidden = isThere;
    byId("stage").scrollTo(0, 0);
    this.describe();
  }

  /** Brings buttons and progress up to date. */
  describe() {
    const { given } = this.answers;
    const n = this.set.pictures.length;
    const present = this.isDone ? undefined : given.get(this.set.pictures[this.at][0])?.answer;
    byId("page").dataset.ready = String(this.isReady);
    byId("bar").value = given.size;
    byId("count").textContent = this.isDone ? `${n} of ${n} answered` : `Picture ${this.at + 1} of ${n}, ${given.size} answered`;
    for (const button of byId("answers").children) {
      button.disabled = this.isDone || (this.isMissing && button.dataset.answer !== "unsure");
      button.setAttribute("aria-pressed", String(button.dataset.answer === present));
    }
    byId("back").disabled = this.at === 0;
    byId("forward").disabled = this.at >= this.firstOpen;
    byId("undo").disabled = given.size === 0;
    byId("restart").disabled = given.size === 0;
    byId("export").disabled = given.size === 0;
    byId("enlarge").disabled = this.isDone || this.isMissing;
  }

  answer(answer) {
    if (!this.isReady || this.isDone || (this.isMissing && answer !== "unsure")) return;
    const seconds = Math.round((performance.now() - this.since) / 100) / 10;
    this.answers.set(this.set.pictures[this.at][0], answer, seconds);
    this.keep(`Picture ${this.at + 1}: ${answer}`);
    this.show(this.firstOpen);
  }

  keep(message = "") {
    byId("trouble").textContent = this.answers.keep();
    byId("message").textContent = message;
  }

  back() {
    if (this.at > 0) this.show(this.at - 1);
  }

  forward() {
    if (this.at < this.firstOpen) this.show(this.at + 1);
  }

  undo() {
    const picture = this.answers.undo();
    if (picture === undefined) return;
    this.keep();
    this.show(this.set.pictures.findIndex(([id]) => id === picture));
  }

  forget() {
    this.answers.given.clear();
    this.keep();
    byId("question").close();
    this.show(0);
  }

  /** The picture as wide as the window, and in all its pixels where it has more; or whole again. */
  enlarge() {
    const isLarge = byId("stage").classList.toggle("large");
    byId("enlarge").setAttribute("aria-pressed", String(isLarge));
  }

  export() {
    const url = URL.createObjectURL(new Blob([this.answers.csv()], { type: "text/csv" }));
    const name = `answers-${this.set.hypothesis}.csv`;
    Object.assign(document.createElement("a"), { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // the download may begin late
    const open = this.set.pictures.length - this.answers.given.size;
    byId("message").textContent = `${name} exported${open > 0 ? `; ${open} without an answer` : ""}.`;
  }
}

function takeSet(set) {
  self.page = new LabelPage(set);
}
