"use strict";
// Pages that an image set lacks, made by the server of `saev view`. Only the page from that server loads this.

const pollAfter = 500; // ms, while the server looks at the recorded pictures
let leaving = new AbortController(); // of the view that is shown

/** Another view is shown: nothing more is made for the one before. */
function leavePages() {
  leaving.abort();
  leaving = new AbortController();
}

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
  data.looking = new Promise((resolve) => { data.look = () => { data.isLooked = true; resolve(); }; }); // beside another set: when the user says so
  let [signal, last] = [null, null]; // of the view, and what was asked last
  data.make = (latent) => {
    if (signal !== leaving.signal) [signal, last] = [leaving.signal, Promise.resolve()];
    const own = signal;
    const forget = () => data.kept.delete(`made/${latent}`);
    own.addEventListener("abort", forget);
    // One after the other: the server makes one at a time, and few connections of the browser are left for the rest.
    const made = last.then(() => makePage(data, latent, own)).finally(() => own.removeEventListener("abort", forget));
    last = made.catch(() => {});
    return made;
  };
}

/** The page of a latent as the server makes it; `signal` ends that. */
async function makePage(data, latent, signal) {
  for (;;) {
    const { page, pictures, done, of, waits } = await askServer(`${data.root}live/latents/${latent}`, { signal });
    signal.throwIfAborted(); // while the answer came
    if (page !== undefined) {
      data.addPictures(pictures);
      return page;
    }
    data.tellMaking(waits ? "The pictures of another image set are looked at first."
      : `Pages are being made: ${done.toLocaleString("en")} of ${showCount(of, "recorded picture")} looked at.`);
    await new Promise((resolve) => { setTimeout(resolve, pollAfter); });
  }
}
