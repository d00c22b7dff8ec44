"use strict";
// One picture.

class PictureView {
  constructor(container, app) {
    Object.assign(this, { container, app });
  }

  show(params) {
    this.container.replaceChildren(element("h1", { tabindex: "-1" }, params.picture));
  }
}
