"use strict";
// Pages that the gallery lacks, made by the server of `saev view`. Only the page from that server loads this.

const pollAfter = 500; // ms, while the server looks at the recorded pictures

/** Lets the server make what the gallery of `data` lacks, if it can. */
async function connectPages(data) {
  const { pages } = await askServer(`${data.root}live/state`).catch(() => ({ pages: "" }));
  if (pages !== null) return;
  data.hasPage = new Set(data.alive);
  for (const [id, picture] of data.pictures) {
    if (picture.isLeftOut) data.pictures.set(id, { ...picture, width: data.columns, height: data.rows, isMissing: false, isLeftOut: false });
  }
  data.make = async (latent) => {
    for (;;) {
      const { page, pictures, done, of } = await askServer(`${data.root}live/latents/${latent}`);
      if (page !== undefined) {
        data.addPictures(pictures);
        return page;
      }
      dispatchEvent(new CustomEvent("makingpages", { detail: `Pages are being made: ${done.toLocaleString("en")} of ${showCount(of, "recorded picture")} looked at.` }));
      await new Promise((resolve) => { setTimeout(resolve, pollAfter); });
    }
  };
}
