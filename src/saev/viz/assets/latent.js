"use strict";
// One latent.

class LatentView {
  constructor(container, app) {
    Object.assign(this, { container, app });
  }

  show({ latent }) {
    this.container.replaceChildren(element("h1", { tabindex: "-1" }, `Latent ${latent}`), noteEditor(this.app, Number(latent)),
      element("div", { class: "filler" }));
  }
}
