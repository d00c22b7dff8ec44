"use strict";
// Pages that an image set lacks, made by the server of `saev view`. Only the page from that server loads this.

const pollAfter = 500; // ms, while the server looks at the recorded pictures

/** Lets the server make what the image set of `data` lacks, if it can; otherwise `data.noMaking` says why not. */
async function connectPages(data) {
  const { pages } = await askServer(`${data.home}live/state`).catch((error) => ({ pages: { [data.setName]: error.message } }));
  const reason = data.setName in pages ? pages[data.setName] : "the image set was rendered after the page was opened";
  data.noMaking = reason;
  if (reason !== null) return;
  data.hasPage = new Set([...data.hasPage, ...data.alive]);
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
      data.tellMaking(`Pages are being made: ${done.toLocaleString("en")} of ${showCount(of, "recorded picture")} looked at.`);
      await new Promise((resolve) => { setTimeout(resolve, pollAfter); });
    }
  };
}
