"use strict";
// The latents that have a page, as cards in an order of the user's choice; a card fills itself when it comes near.

class Cards {
  static nPictures = 4;

  constructor(list, onPoint) {
    this.list = list;
    this.onPoint = onPoint;
    this.key = document.getElementById("sort-key");
    this.direction = document.getElementById("sort-direction");
    this.isDescending = true;
    this.observer = new IntersectionObserver((seen) => this.fill(seen), { rootMargin: "600px" });
    this.cards = new Map(Data.pages.map((index) => [index, this.card(index)]));
    this.key.addEventListener("input", () => this.sort());
    this.direction.addEventListener("click", () => { this.isDescending = !this.isDescending; this.sort(); });
    this.sort();
  }

  /** Puts the cards into the order that the controls say; `order` is that order of the latents. */
  sort() {
    const key = this.key.value;
    const value = key === "index" ? (index) => index : (index) => Data[key][index];
    const sign = this.isDescending ? -1 : 1;
    this.order = [...Data.pages].sort((a, b) => sign * (value(a) - value(b)) || a - b);
    this.direction.textContent = this.isDescending ? "\u2193 highest first" : "\u2191 lowest first";
    this.list.append(...this.order.map((index) => this.cards.get(index)));
  }

  focus(index) {
    this.cards.get(index)?.firstElementChild.focus({ preventScroll: true });
  }

  card(index) {
    const thumbs = element("div", { class: "thumbs" });
    for (let i = 0; i < Cards.nPictures; i += 1) thumbs.append(element("div", { class: "picture" }));
    const link = element("a", { href: `#latent=${index}`, class: "card" },
      element("h3", {}, `Latent ${index}`),
      element("p", { class: "numbers" },
        `${showShare(Data.frequency[index])} of tokens \u00b7 mean ${showValue(Data.meanValue[index])} \u00b7 max ${showValue(Data.maxValue[index])}`),
      thumbs);
    link.dataset.latent = index;
    for (const type of ["pointerenter", "focus"]) link.addEventListener(type, () => this.onPoint(index));
    for (const type of ["pointerleave", "blur"]) link.addEventListener(type, () => this.onPoint(null));
    this.observer.observe(link);
    return element("li", {}, link);
  }

  fill(seen) {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      this.observer.unobserve(target);
      const thumbs = target.querySelector(".thumbs");
      Data.examples(Number(target.dataset.latent)).then(
        (examples) => thumbs.replaceChildren(...examples.slice(0, Cards.nPictures).map(heatPicture)),
        (error) => thumbs.replaceChildren(element("p", { class: "soft" }, error.message)),
      );
    }
  }
}
