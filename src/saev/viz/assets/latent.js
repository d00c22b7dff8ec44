"use strict";
// One latent: its numbers and its pictures.

class LatentView {
  constructor(container) {
    this.container = container;
    this.index = null;
  }

  /** Shows latent `index`; `previous` and `next` are its neighbours in the list's order, or undefined. */
  show(index, previous, next) {
    this.index = index;
    const heading = element("h1", { tabindex: "-1" }, `Latent ${index}`);
    const pictures = element("div", { class: "examples", role: "list" });
    this.container.replaceChildren(
      element("div", { class: "latent-head" }, heading, this.steps(previous, next)),
      index < Data.nLatents ? this.numbers() : "",
      pictures,
    );
    heading.focus({ preventScroll: true });
    if (Data.hasPage.has(index)) this.fill(pictures, index, next);
    else pictures.append(element("p", { class: "empty" }, this.absence()));
  }

  steps(previous, next) {
    const step = (index, text, name) => (index === undefined
      ? element("span", { class: "step", "aria-disabled": "true" }, text)
      : element("a", { class: "step", href: `#latent=${index}`, "aria-label": `${name}: latent ${index}` }, text));
    return element("nav", { "aria-label": "Latents", class: "steps" },
      element("a", { class: "step", href: "#" }, "All latents"),
      step(previous, "\u2190 Previous", "Previous"),
      step(next, "Next \u2192", "Next"));
  }

  numbers() {
    const fact = (name, value, note) => element("div", {},
      element("dt", {}, name), element("dd", {}, value, note ? element("small", {}, note) : null));
    const share = Data.frequency[this.index];
    const every = share > 0 ? ` 1 in ${Math.round(1 / share).toLocaleString("en")} tokens` : " dead: it never fired";
    return element("dl", { class: "stats" },
      fact("Frequency", showShare(share), every),
      fact("Mean value when active", showValue(Data.meanValue[this.index])),
      fact("Max value", showValue(Data.maxValue[this.index])),
      element("div", { class: "scale" }, element("dt", {}, "Patch value"), element("dd", {}, heatLegend(Data.maxValue[this.index]))));
  }

  absence() {
    if (this.index >= Data.nLatents) return `There is no latent ${this.index}: this SAE has ${showCount(Data.nLatents, "latent")}, counted from 0.`;
    return Data.frequency[this.index] > 0
      ? "No pictures of this latent were rendered into this gallery."
      : "This latent never fired, so there are no pictures of it.";
  }

  fill(pictures, index, next) {
    Data.examples(index).then((examples) => {
      if (this.index !== index) return;
      pictures.replaceChildren(...examples.map((example, i) => this.figure(example, i)));
      if (examples.length === 0) pictures.append(element("p", { class: "empty" }, "This latent has no pictures."));
      if (next !== undefined) Data.examples(next).catch(() => {}); // said when it is opened
    }, (error) => {
      if (this.index === index) pictures.replaceChildren(element("p", { class: "empty" }, error.message));
    });
  }

  figure(example, i) {
    return element("figure", { role: "listitem" }, heatPicture(example),
      element("figcaption", {},
        element("div", { class: "value" }, element("span", { class: "soft" }, `${i + 1}`), element("strong", {}, showValue(example.value))),
        element("div", { class: "name", title: example.name }, element("bdi", {}, example.name)),
        example.label === null ? null : element("div", { class: "label" }, element("bdi", {}, example.label))));
  }
}
