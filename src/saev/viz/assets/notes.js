"use strict";
// Notes and stars of latents.

class Notes {
  constructor() {
    this.of = new Map();
  }
}

function starMark() {
  return null;
}

function noteEditor(app, latent) {
  return element("div", {}, element("label", {}, "What you see ", element("textarea", { id: `note-${latent}` })));
}
