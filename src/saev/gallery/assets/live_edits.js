"use strict";
// Changes to the codes of the user's own picture: what the later blocks of the ViT make of them, and which recorded
// pictures are near before and after.

class LiveEdits {
  static steps = [["Off", 0], ["\u00d70.5", 0.5], ["\u00d72", 2], ["\u00d75", 5]];
  static nNeighbours = 8;

  /** `reasons` says why there are no `neighbours` and no `words`, or null; `region()` gives the brushed patches. */
  constructor(app, bench, picture, reasons, region) {
    Object.assign(this, { app, bench, picture, reasons, region });
    this.factors = new Map();
    this.latent = null;
    this.controls = element("div", { class: "edit-controls" });
    this.list = element("ul", { class: "edit-list", "aria-label": "Changed latents" });
    this.effects = new LiveEffects(app, reasons.words, () => this.changed(0));
    this.result = element("div", { class: "edit-result" });
    this.status = element("p", { class: "note", role: "status" });
    this.scope = element("select", { "aria-label": "Where latents change" },
      element("option", { value: "all" }, "in the whole picture"), element("option", { value: "region" }, "in the brushed region"));
    this.scope.addEventListener("input", () => this.changed(0));
    this.element = panel("Change the picture's latents", this.controls, this.list, this.effects.element,
      element("h3", {}, "Recorded pictures nearby"), this.status, this.result);
    this.element.classList.add("edits");
    this.show(null);
    this.brushed();
    this.changed(0);
  }

  /** Offers to change `latent`, null for none. */
  show(latent) {
    this.latent = latent;
    if (latent === null) {
      this.controls.replaceChildren(element("p", { class: "soft" }, "Choose a latent above to switch it off or up, in the whole picture or in a brushed region."));
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
    const buttons = LiveEdits.steps.map(([text, factor]) => button(text, () => { slider.value = factor; describe(); this.set(latent, factor, 0); },
      { "aria-label": factor === 0 ? `Switch latent ${latent} off` : `Multiply latent ${latent} by ${factor}` }));
    describe();
    this.controls.replaceChildren(element("span", { class: "edit-latent" }, latentLink(this.app, latent)), ...buttons, slider, output, this.scope);
  }

  /** Another region is brushed. */
  brushed() {
    const isEmpty = this.region().size === 0;
    this.scope.options[1].disabled = isEmpty;
    const isRegion = this.scope.value === "region";
    if (isRegion && isEmpty) this.scope.value = "all";
    if (isRegion) this.changed(300);
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
    this.timer = setTimeout(() => this.update(), delay);
  }

  chip(latent, factor) {
    const back = button("\u00d7", () => {
      this.set(latent, 1, 0);
      this.show(this.latent); // its slider is back at 1
    }, { "aria-label": `Take back the change of latent ${latent}` });
    return element("li", {}, latentLink(this.app, latent), ` ${factor === 0 ? "off" : `times ${factor}`} `, back);
  }

  /** Asks for all that is shown; changes that come meanwhile are asked for once, at the end. */
  async update() {
    if (this.isAsking) {
      this.isStale = true;
      return;
    }
    [this.isAsking, this.isStale] = [true, false];
    await Promise.all([this.updateEffects(), this.updateNeighbours()]);
    this.isAsking = false;
    if (this.isStale) this.update();
  }

  async updateEffects() {
    if (this.factors.size === 0) return this.effects.clear();
    const patches = this.scope.value === "region" ? [...this.region()].sort((a, b) => a - b) : null;
    const ask = (words) => this.bench.having([this.picture], () =>
      postJson("live/effects", { picture: this.picture.id, factors: [...this.factors], patches, words }));
    return this.effects.update(ask);
  }

  async updateNeighbours() {
    if (this.reasons.neighbours !== null) {
      this.status.textContent = `Which recorded pictures are near is not known: ${this.reasons.neighbours}`;
      return;
    }
    try {
      const found = await this.bench.having([this.picture], () =>
        postJson("live/edits", { picture: this.picture.id, factors: [...this.factors], k: LiveEdits.nNeighbours }));
      const isChanged = this.factors.size > 0;
      const before = new Set(found.before.map(([id]) => id));
      const nNew = found.after.filter(([id]) => !before.has(id)).length;
      this.status.textContent = isChanged
        ? `After the change in the whole picture ${showCount(nNew, "neighbour")} of ${found.after.length} ${nNew === 1 ? "is" : "are"} new.`
        : "Nearest by the mean reconstruction over the patches, at the layer of the SAE.";
      this.result.replaceChildren(this.column("Nearest as it is", found.before, before),
        ...(isChanged ? [this.column("Nearest after the change", found.after, before)] : []));
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  column(title, neighbours, before) {
    return element("section", {}, element("h4", {}, title),
      element("ol", { class: "neighbours", role: "list" }, ...neighbours.map(([id, name, cosine]) => this.neighbour(id, name, cosine, !before.has(id)))));
  }

  /** The picture of the gallery with this id, if it is the same one; otherwise its name on a grey tile. */
  neighbour(id, name, cosine, isNew) {
    const { data } = this.app;
    const known = data.pictures.get(id);
    const picture = known?.name === name ? known : { id, name, label: null, isMissing: true, isElsewhere: true };
    const shown = heatPicture(data, picture, undefined);
    return element("li", { class: isNew ? "neighbour new" : "neighbour", title: name },
      picture === known ? element("a", { href: `#picture=${id}`, "aria-label": pictureText(data, picture, undefined) }, shown) : shown,
      element("div", { class: "neighbour-words" }, element("span", { class: "cosine", title: "cosine" }, cosine.toFixed(2)), isNew ? element("strong", {}, "new") : null),
      picture.isMissing ? element("div", { class: "name" }, userText(name)) : null);
  }
}
