"use strict";
// From a picture to the one before and after it: among the top pictures of the latent that is shown, or else by number.

/** Buttons for both; which pictures these are is looked up when they are wanted. */
function pictureSteps(app) {
  return [[-1, "\u2190 Previous", "Previous picture"], [1, "Next \u2192", "Next picture"]].map(([step, text, name]) => {
    const button = element("button", { type: "button", "aria-label": name }, text);
    button.addEventListener("click", () => leafPictures(app, step));
    return button;
  });
}

/** Goes to a neighbour in place of the current entry of the history; stays at the ends. */
async function leafPictures(app, step) {
  const { router, data } = app;
  const params = new URLSearchParams(location.hash.slice(1));
  const id = Number(params.get("picture"));
  const latent = params.has("latent") ? Number(params.get("latent")) : null;
  const page = data.hasPage.has(latent) ? await data.latent(latent).catch(() => null) : null;
  const top = page === null ? [] : page.top[router.views.latent.order] ?? Object.values(page.top)[0] ?? [];
  const shown = top.map(({ image }) => image);
  const ids = shown.includes(id) ? shown : [...data.pictures.keys()].sort((a, b) => a - b);
  const next = ids[ids.indexOf(id) + step];
  const isHere = Number(new URLSearchParams(location.hash.slice(1)).get("picture")) === id;
  if (next === undefined || !isHere) return; // at an end, or gone elsewhere meanwhile
  params.set("picture", next);
  params.delete("region");
  router.places.replace(`#${params}`);
}
