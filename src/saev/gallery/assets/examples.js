"use strict";
// Pictures on which a latent fires, each a link to the picture's own page; drawn when they come near.

/** What stands under a picture of a latent: the label of its strongest patch, where patches have labels, or else the picture's own. */
function exampleLabel(picture, page) {
  const peak = page.peaks.get(picture.id);
  if (peak === undefined) return picture.label === null ? null : element("div", { class: "label" }, userText(picture.label));
  const title = picture.label === null ? "Label of its strongest patch" : `Label of its strongest patch; that of the picture: ${picture.label}`;
  return element("div", { class: "label", title }, userText(peak));
}

/** The latent's example {image, value} as a figure; `rank` says its place, null for none. */
function exampleFigure(data, page, { image, value }, rank) {
  const picture = data.pictures.get(image);
  const link = element("a", { href: hrefIn(data, `#picture=${image}&latent=${page.index}`), class: "example" }, emptyPicture(picture));
  whenNear(link, () => link.replaceChildren(heatPicture(data, picture, page.heatmap(image))));
  return element("figure", { role: "listitem" }, link,
    element("figcaption", {},
      element("div", { class: "value" }, element("strong", {}, showValue(value)), rank === null ? null : element("span", { class: "soft" }, `${rank}`),
        data === app.data ? evidenceButton(page.index, picture, "") : null),
      element("div", { class: "name", title: picture.name }, userText(picture.name)),
      exampleLabel(picture, page)));
}

/** The address of a view of `data`, which may be the gallery of another folder, or another image set. */
function hrefIn(data, hash) {
  if (data === app.data) return hash;
  return `${data.home === "" ? "" : `${data.home}index.html`}${data.set === null ? hash : app.sets.hash(hash, data.set, true)}`;
}

/** Room for a picture that is not drawn yet. */
function emptyPicture(picture) {
  const made = element("div", { class: "picture" });
  if (!picture.isMissing) made.style.setProperty("--aspect", `${picture.width} / ${picture.height}`);
  return made;
}

/** A small picture of the latent where it fires most, for lists; empty where it has no page. */
function latentPreview(data, latent, nPictures = 1) {
  const preview = element("div", { class: "preview" });
  if (!data.hasPage.has(latent)) return preview;
  preview.append(...Array.from({ length: nPictures }, () => element("div", { class: "picture" })));
  return whenNear(preview, () => data.latent(latent).then((page) => {
    const examples = Fold.of(data, Object.values(page.top)[0] ?? []).slice(0, nPictures);
    preview.replaceChildren(...examples.map(({ image }) => heatPicture(data, data.pictures.get(image), page.heatmap(image))));
  }, unlessLeft((error) => preview.replaceChildren(element("span", { class: "soft" }, error.message)))));
}
