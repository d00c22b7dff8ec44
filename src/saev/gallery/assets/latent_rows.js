"use strict";
// A latent in a list of latents: its number and what it is called, three of its pictures, and its star.

const nRowPictures = 3;

/** Number and caption of a latent, for one line. */
function latentRowName(data, latent) {
  const caption = latentCaption(data, latent);
  return element("span", { class: "fire-name" }, element("span", { class: "fire-number" }, `${latent} `),
    caption === undefined ? null : userText(caption));
}

/** A latent in words. */
function latentSpoken(data, latent) {
  const caption = latentCaption(data, latent);
  return caption === undefined ? `latent ${latent}` : `latent ${latent}, ${caption}`;
}

/** A link to a latent's page that shows its first pictures once they are near what is seen. */
function latentRowLink(app, latent) {
  const { data } = app;
  const thumbs = element("span", { class: "row-thumbs", "aria-hidden": "true" },
    ...(data.hasPage.has(latent) ? Array.from({ length: nRowPictures }, () => element("div", { class: "picture" })) : []));
  if (data.hasPage.has(latent)) whenNear(thumbs, () => fillThumbs(app, latent, thumbs));
  return element("a", { class: "row-link", href: `#latent=${latent}`, "aria-label": `Page of ${latentSpoken(data, latent)}` }, thumbs, "\u2192");
}

async function fillThumbs({ data }, latent, thumbs) {
  await new Promise((resolve) => { setTimeout(resolve, 100); }); // lists change under a moving pointer
  const page = thumbs.isConnected ? await data.latent(latent).catch(unlessLeft(() => null)) : null;
  const examples = Object.values(page?.top ?? {})[0] ?? [];
  thumbs.replaceChildren(...examples.slice(0, nRowPictures).map(({ image }) => heatPicture(data, data.pictures.get(image), page.heatmap(image))));
}
