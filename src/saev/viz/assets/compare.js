"use strict";
// One compare.

class CompareView {
  constructor(container, app) {
    Object.assign(this, { container, app });
  }

  show(params) {
    this.container.replaceChildren(element("h1", { tabindex: "-1" }, params.compare));
  }
}
