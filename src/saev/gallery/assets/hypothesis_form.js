"use strict";
// What is claimed of a latent and a label at a threshold, put into the latent's note: `saev probe freeze` reads it there.

noteParts.hypotheses = (shown, { hypotheses }) => shown.replaceChildren(...(Array.isArray(hypotheses) ? hypotheses : [])
  .flatMap((one, i) => (isNotedHypothesis(one) ? [notedHypothesis(Number(shown.dataset.note), one, i)] : [])));

/** Whether it can be shown; a file of notes that somebody wrote may hold anything. */
function isNotedHypothesis(one) {
  const texts = [one?.text, one?.claim, one?.set ?? "", one?.attribute?.source ?? "", one?.attribute?.name ?? ""];
  const numbers = [one?.threshold, one?.counts?.tp, one?.counts?.fp, one?.counts?.fn, one?.counts?.tn];
  return texts.every((text) => typeof text === "string") && numbers.every((number) => typeof number === "number");
}

/** A hypothesis of a note in words, with a button that takes it away. */
function notedHypothesis(latent, { text, claim, attribute, threshold, set = "", counts: { tp, fp, fn, tn } }, i) {
  const remove = element("button", { type: "button", "aria-label": `Remove hypothesis ${i + 1}` }, "\u00d7");
  remove.addEventListener("click", () => app.notes.set(latent, { hypotheses: app.notes.get(latent).hypotheses.toSpliced(i, 1) }));
  const of = (attribute ?? null) === null ? [] : [` (${attribute.source} `, userText(attribute.name), ")"];
  return element("li", {}, element("span", {}, `${claim} `, element("strong", {}, userText(text)), ...of, ` above ${threshold}: MCC ${showScore(new FireCounts(tp, fp, fn, tn).mcc)} on ${(tp + fp + fn + tn).toLocaleString("en")} pictures`,
    set === "" ? null : userText(` of ${set}`)), remove);
}

class HypothesisForm {
  /** `hypothesis()` gives what is claimed now, but for its text. */
  constructor({ notes }, latent, hypothesis) {
    Object.assign(this, { notes, latent, hypothesis });
    this.field = element("input", { type: "text", maxlength: longestClaim, required: "", "aria-label": "Claim in words" });
    this.words = element("span", {});
    const form = element("form", { class: "against-controls" }, this.words, this.field, element("button", {}, "Make this a hypothesis"));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.add(); });
    this.element = element("section", { class: "judged hypotheses" }, element("h3", {}, "Hypotheses"), form,
      noteElement(notes, latent, "hypotheses", "ul", { "aria-label": "Hypotheses in the note" }),
      element("p", { class: "note" }, "In the note of the latent, claim and threshold are fixed; ", element("code", {}, "saev probe freeze"),
        " takes them from there. Figures of pictures on which you have chosen a threshold flatter: a test on other pictures tells what it is worth."));
  }

  /** Says what would be claimed. */
  suggest() {
    const { claim, attribute, threshold } = this.hypothesis();
    const name = attribute === null ? "" : attribute.name;
    if (this.suggested !== name) this.field.value = name;
    this.suggested = name;
    this.words.textContent = `Above ${threshold} it ${claim}`;
  }

  add() {
    const hypothesis = { text: this.field.value.trim(), ...this.hypothesis() };
    const noted = this.notes.get(this.latent).hypotheses;
    const present = Array.isArray(noted) ? noted : [];
    if (hypothesis.text === "" || present.length >= HypothesisForm.most || present.some((one) => isSame(one, hypothesis))) return;
    this.notes.set(this.latent, { hypotheses: [...present, hypothesis] });
  }
}
HypothesisForm.most = 20; // of a latent, as in probing/hypotheses/from_gallery.py
