"use strict";
// One latent in the list: its number, name, label, numbers, note, star and, once filled, its first pictures.

const nCardPictures = 4;

/** What is claimed of a latent, its name and its label, as children of a line. */
function latentWords({ data, notes }, latent) {
  const label = data.topLabels.get(latent);
  const [verdict] = data.verdicts.get(latent) ?? [];
  return [
    ...(verdict === undefined ? [] : [element("q", {}, userText(verdict.claim)), circularText(verdict), " "]),
    noteElement(notes, latent, "called", "strong", {}), " ",
    ...(label === undefined ? [] : [element("span", { title: labelNote(label) }, userText(label.label), `: ${labelFigures(label)}`)]),
  ];
}

/** Purity and average precision of a label; where all pictures have it, the latter is 1 for any latent. */
function labelFigures({ purity, precision, prevalence }) {
  return `${wholePercent(purity)} of its top tenth${precision === null || prevalence >= 1 ? "" : `, AP ${showPrecision(precision)}`}`;
}

/** What the label beside a latent rests on. */
function labelNote(label) {
  const { count, purity, lift, q, overall } = label;
  return `The label that tells most about it: ${showShare(purity)} of the strongest tenth of what it fires on (${count.toLocaleString("en")} of ${Math.round(count / purity).toLocaleString("en")}), `
    + `\u00d7${showNumber(lift)} of the share among all${overall === null ? "" : `; ${showShare(overall)} of all it fires on`}. `
    + `${precisionNote(label)}Chance is unlikely, judged by pictures: q ${showQ(q)}, corrected for all latents and labels.`;
}

/** The numbers of a latent with two digits: a card is narrow, and its page has more of them. */
function cardNumbers(data, latent) {
  const texts = data.frequency[latent] === 0 ? ["dead: it never fired"] : [
    `${showShort(100 * data.frequency[latent])}\u202f% tokens`, `${showShort(100 * data.imageFrequency[latent])}\u202f% images`,
    `mean ${showShort(data.meanValue[latent])}`, `max ${showShort(data.maxValue[latent])}`,
  ];
  return element("p", { class: "numbers" }, texts.join(" \u00b7 "));
}

/** The card of a latent as a list item. */
function latentCard(app, latent) {
  const { data, notes } = app;
  const link = element("a", { href: `#latent=${latent}`, class: "card", tabindex: "-1" },
    element("h3", {}, `Latent ${latent}`, textBadge(data, latent), seedsBadge(data, latent), ...flagChips(data, latent)),
    element("p", { class: "words" }, ...latentWords(app, latent), " ",
      noteElement(notes, latent, "summary", "em", { class: "card-note", dir: "auto" })),
    cardNumbers(data, latent),
    data.hasPage.has(latent)
      ? element("div", { class: "thumbs" }, ...Array.from({ length: nCardPictures }, () => element("div", { class: "picture" })))
      : null);
  return element("li", { "data-latent": latent, role: "listitem" }, link, cardVerdict(data, latent), starButton(notes, latent, { tabindex: "-1" }));
}

/** How well the text that was searched fits a latent; null if none was. */
function textBadge({ textScores }, latent) {
  const score = textScores?.get(latent);
  return score === undefined ? null : element("span", { class: "seeds", title: "How well the text fits its pictures, in standard deviations above shuffled latents" }, `text ${score.toFixed(1)}`);
}

/** Loads the first pictures of a latent into its card. */
async function fillCard(app, card) {
  const thumbs = card.querySelector(".thumbs");
  try {
    const latent = await app.data.latent(Number(card.dataset.latent));
    const examples = Fold.of(app.data, Object.values(latent.top)[0] ?? []);
    thumbs.replaceChildren(...examples.slice(0, nCardPictures).map(({ image }) =>
      heatPicture(app.data, app.data.pictures.get(image), latent.heatmap(image))));
  } catch (error) {
    if (isLeft(error)) delete card.dataset.filled; // when the list is shown again
    else thumbs.replaceChildren(element("p", { class: "soft" }, error.message));
  }
}
