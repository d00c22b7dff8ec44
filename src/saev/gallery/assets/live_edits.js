"use strict";
// Changes to the codes of the user's own picture, and which recorded pictures are near before and after them.

class LiveEdits {
  static steps = [["Off", 0], ["\u00d70.5", 0.5], ["\u00d72", 2], ["\u00d75", 5]];
  static nNeighbours = 8;

  /** `ask(body)` gives the server's answer to an edit; `reason` says why there are no neighbours, or is null. */
  constructor(app, pictureId, ask, reason) {
    Object.assign(this, { app, pictureId, ask, reason });
    this.factors = new Map();
    this.latent = null;
    this.controls = element("div", { class: "edit-controls" });
    this.list = element("ul", { class: "edit-list", "aria-label": "Changed latents" });
    this.result = element("div", { class: "edit-result" });
    this.status = element("p", { class: "note", role: "status" });
    this.element = panel("Change the picture's latents", this.controls, this.list, this.status, this.result);
    this.element.classList.add("edits");
    this.show(null);
    this.changed(0);
  }

  /** Offers to change `latent`, null for none. */
  show(latent) {
    this.latent = latent;
    if (latent === null) {
      this.controls.replaceChildren(element("p", { class: "soft" }, "Choose a latent above to switch it off or up in the whole picture."));
      return;
    }
    const slider = element("input", { type: "range", min: "0", max: "10", step: "0.1", "aria-label": `Factor of latent ${latent}` });
    const output = element("output", {});
    const describe = () => {
      output.textContent = `\u00d7${Number(slider.value)}`;
      slider.setAttribute("aria-valuetext", slider.value === "0" ? "off" : `times ${slider.value}`);
    };
    slider.value = this.factors.get(latent) ?? 1;
    slider.addEventListener("input", () => { describe(); this.set(latent, Number(slider.value), 150); });
    const buttons = LiveEdits.steps.map(([text, factor]) => {
      const button = element("button", { type: "button", "aria-label": factor === 0 ? `Switch latent ${latent} off` : `Multiply latent ${latent} by ${factor}` }, text);
      button.addEventListener("click", () => { slider.value = factor; describe(); this.set(latent, factor, 0); });
      return button;
    });
    describe();
    this.controls.replaceChildren(element("span", { class: "edit-latent" }, latentLink(this.app, latent)), ...buttons, slider, output);
  }

  /** Multiplies a latent; 1 takes the change back. The server is asked after `delay` ms without another change. */
  set(latent, factor, delay) {
    if (factor === 1) this.factors.delete(latent);
    else this.factors.set(latent, factor);
    this.changed(delay);
  }

  changed(delay) {
    this.list.replaceChildren(...[...this.factors].map(([latent, factor]) => this.chip(latent, factor)));
    this.list.hidden = this.factors.size === 0;
    clearTimeout(this.timer);
    if (this.reason !== null) {
      this.status.textContent = `Which recorded pictures are near is not known: ${this.reason}`;
      return;
    }
    this.timer = setTimeout(() => this.update(), delay);
  }

  chip(latent, factor) {
    const button = element("button", { type: "button", "aria-label": `Take back the change of latent ${latent}` }, "\u00d7");
    button.addEventListener("click", () => {
      this.set(latent, 1, 0);
      this.show(this.latent); // its slider is back at 1
    });
    return element("li", {}, latentLink(this.app, latent), ` ${factor === 0 ? "off" : `times ${factor}`} `, button);
  }

  async update() {
    const number = this.asked = (this.asked ?? 0) + 1;
    try {
      const found = await this.ask({ picture: this.pictureId, factors: [...this.factors], k: LiveEdits.nNeighbours });
      if (number !== this.asked) return; // another change was made meanwhile
      const isChanged = this.factors.size > 0;
      const before = new Set(found.before.map(([id]) => id));
      const nNew = found.after.filter(([id]) => !before.has(id)).length;
      this.status.textContent = isChanged
        ? `${showCount(nNew, "neighbour")} of ${found.after.length} ${nNew === 1 ? "is" : "are"} new.`
        : "Nearest recorded pictures by the mean reconstruction over the patches.";
      this.result.replaceChildren(this.column("Nearest as it is", found.before, before),
        ...(isChanged ? [this.column("Nearest after the change", found.after, before)] : []));
    } catch (error) {
      if (number === this.asked) this.status.textContent = error.message;
    }
  }

  column(title, neighbours, before) {
    return element("section", {}, element("h3", {}, title),
      element("ol", { class: "neighbours", role: "list" }, ...neighbours.map(([id, name, cosine]) => this.neighbour(id, name, cosine, !before.has(id)))));
  }

  /** The picture of the gallery with this id, if it is the same one; otherwise its name on a grey tile. */
  neighbour(id, name, cosine, isNew) {
    const { data } = this.app;
    const known = data.pictures.get(id);
    const picture = known?.name === name ? known : { id, name, label: null, isMissing: true };
    const shown = heatPicture(data, picture, undefined);
    return element("li", { class: isNew ? "neighbour new" : "neighbour", title: name },
      picture === known ? element("a", { href: `#picture=${id}`, "aria-label": pictureText(data, picture, undefined) }, shown) : shown,
      element("div", { class: "neighbour-words" }, element("span", { class: "cosine", title: "cosine" }, cosine.toFixed(2)), isNew ? element("strong", {}, "new") : null),
      picture.isMissing ? element("div", { class: "name" }, userText(name)) : null);
  }
}
