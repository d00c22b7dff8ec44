"use strict";
// The field for the latent that the user's pictures test.

class LatentField {
  static most = 12; // suggestions

  /** `onChoose(latent)` hears of another one. */
  constructor(app, onChoose) {
    Object.assign(this, { app, onChoose });
    this.options = element("datalist", { id: "live-latents" });
    this.input = element("input", {
      type: "search", id: "live-latent", list: "live-latents", placeholder: "number, name or label", autocomplete: "off", spellcheck: "false",
    });
    this.told = element("span", { class: "live-told" });
    this.element = element("div", { class: "live-field" }, element("label", { for: "live-latent" }, "Latent"), this.input, this.options, this.told);
    this.input.addEventListener("input", () => this.suggest());
    this.input.addEventListener("change", () => this.take());
  }

  show(latent) {
    const { data } = this.app;
    if (document.activeElement !== this.input || latent !== null) this.input.value = latent ?? "";
    this.told.replaceChildren(...(latent === null ? ["Choose a latent to see its value in each picture, or click one in the list below."]
      : [latentLink(this.app, latent), ` largest recorded value ${showValue(data.maxValue[latent])}, `,
        data.frequency[latent] > 0 ? `fires on ${showShare(data.imageFrequency[latent])} of the recorded pictures` : "never fired on a recorded picture"]));
  }

  /** Latents whose number, name or label says what was typed, an exact number first. */
  found() {
    const { data, overview: { filters } } = this.app;
    const terms = this.input.value.toLowerCase().split(/\s+/).filter((term) => term !== "");
    if (terms.length === 0) return [];
    const exact = terms.length === 1 && /^\d{1,9}$/.test(terms[0]) && Number(terms[0]) < data.nLatents ? [Number(terms[0])] : [];
    const others = filters.ordered().filter((latent) => latent !== exact[0] && filters.isFound(latent, terms));
    return [...exact, ...others];
  }

  suggest() {
    this.options.replaceChildren(...this.found().slice(0, LatentField.most).map((latent) =>
      element("option", { value: latent }, latentCaption(this.app.data, latent) ?? "")));
  }

  take() {
    const [latent] = this.found();
    if (latent !== undefined) this.onChoose(latent);
    else if (this.input.value.trim() === "") this.onChoose(null);
    else this.told.textContent = "No latent has this number, name or label.";
  }
}
