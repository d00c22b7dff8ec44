"use strict";
// Latents by a text, compared by `saev view` with what the namer of the gallery saw of them. Only the page from that
// server loads this.

class TextSearch {
  constructor(app) {
    this.app = app;
    this.field = element("input", {
      type: "search", id: "text-search", placeholder: "Search what pictures show", maxlength: "200", autocomplete: "off", spellcheck: "false",
      "aria-label": "Search latents by what their pictures show; Enter searches",
    });
    this.message = element("p", { class: "note", id: "text-message", role: "status" });
    this.form = element("form", { class: "text-search", role: "search" }, this.field, element("button", { type: "submit" }, "Find"));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.find(); });
    document.getElementById("list-head").after(this.form, this.message);
    this.sayReason();
  }

  /** Without what a namer saw there is nothing to search, and the place says why. */
  async sayReason() {
    const { search } = await askServer("live/state").catch(() => ({ search: { reason: "the server does not answer" } }));
    if (search.reason === null) return;
    this.form.replaceChildren(element("details", {}, element("summary", {}, "No search by what pictures show"), element("p", { class: "note" }, search.reason)));
  }

  async find() {
    const text = this.field.value.trim();
    const number = this.asked = (this.asked ?? 0) + 1;
    if (text === "") return;
    this.message.textContent = "Searching; the first time the namer has to be loaded.";
    try {
      const { latents, scores } = await askServer("live/search", { method: "POST", body: JSON.stringify({ text }) });
      if (number === this.asked) this.show(text, latents, scores);
    } catch (error) {
      if (number === this.asked) this.message.textContent = error.message;
    }
  }

  show(text, latents, scores) {
    const { data, overview } = this.app;
    data.textScores = new Map(latents.map((latent, i) => [latent, scores[i]]));
    const order = document.getElementById("sort-key");
    if (order.querySelector("[value=text]") === null) order.append(element("option", { value: "text" }, "text"));
    this.message.replaceChildren("Sorted by how far the pictures of a latent fit ", element("q", {}, userText(text)),
      ` better than those of shuffled latents do, in standard deviations: ${showNumber(Math.max(...scores))} at most.`);
    overview.cards.renew();
    overview.filters.resort({ sort: "text", isDescending: true });
  }
}
