"use strict";
// The list of latents as cards in columns. Only the cards near the viewport are in the document: each is placed by
// its number in the list, rows of cards without pictures are lower, and the list is as high as all rows together.

class Cards {
  static gap = 14;
  static fillDelay = 60; // ms; cards that are only scrolled past load no pictures

  /** `onPoint(latent or null)` when the pointer or the focus comes to a card and leaves it. */
  constructor(list, app, onPoint) {
    Object.assign(this, { list, app, latents: [], active: undefined });
    this.made = new Map(); // latent -> its card in the document
    this.places = new Int32Array(app.data.nLatents); // latent -> place in the list, or -1
    this.tops = [0]; // of the rows, and the end of the last one
    this.columns = 1;
    addEventListener("scroll", () => this.render(), { passive: true });
    addEventListener("resize", () => this.render());
    document.getElementById("heat-size").addEventListener("input", () => this.resize());
    new ResizeObserver(() => this.layout()).observe(list);
    list.addEventListener("keydown", (event) => this.step(event));
    for (const type of ["pointerover", "focusin"]) list.addEventListener(type, (event) => onPoint(cardLatent(event.target)));
    for (const type of ["pointerleave", "focusout"]) list.addEventListener(type, () => onPoint(null));
    list.addEventListener("focusin", (event) => this.activate(cardLatent(event.target)));
  }

  /** Lists these latents in this order. */
  show(latents) {
    this.latents = latents;
    this.places.fill(-1);
    latents.forEach((latent, place) => { this.places[latent] = place; });
    this.layout();
  }

  /** Makes the cards anew when what stands on them changes. */
  renew() {
    for (const card of this.made.values()) card.remove();
    this.made.clear();
  }

  layout() {
    const width = this.list.clientWidth;
    if (width === 0) return;
    const { gap } = Cards;
    const leastWidth = parseFloat(getComputedStyle(this.list).getPropertyValue("--card")); // narrower lists have one column
    if (width !== this.width || leastWidth !== this.leastWidth) this.heights = new Map();
    Object.assign(this, { width, leastWidth });
    this.columns = Math.max(1, Math.floor((width + gap) / (leastWidth + gap)));
    this.cardWidth = (width - gap * (this.columns - 1)) / this.columns;
    const nRows = Math.ceil(this.latents.length / this.columns);
    this.tops = new Float64Array(nRows + 1);
    for (let row = 0; row < nRows; row += 1) this.tops[row + 1] = this.tops[row] + this.rowHeight(row) + gap;
    this.list.style.height = `${Math.max(0, this.tops[nRows] - gap)}px`;
    this.render();
  }

  /** Lays cards of another size out; what was the first one in sight stays it. */
  resize() {
    const top = () => this.headroom() - this.list.getBoundingClientRect().top;
    const isScrolled = top() > 0;
    const first = this.latents[this.rowAt(top() + Cards.gap) * this.columns]; // of which more than the gap above it is seen
    this.layout();
    if (isScrolled) scrollBy(0, this.tops[Math.floor(this.places[first] / this.columns)] - top());
  }

  /** A row is as high as its highest card, one with pictures if there is any. */
  rowHeight(row) {
    const latents = this.latents.slice(row * this.columns, (row + 1) * this.columns);
    return this.cardHeight(latents.find((latent) => this.app.data.hasPage.has(latent)) ?? latents[0]);
  }

  /** Cards of a kind have the same height: texts are cut to one line. It is measured once for a width. */
  cardHeight(latent) {
    const hasPage = this.app.data.hasPage.has(latent);
    if (!this.heights.has(hasPage)) {
      const sample = latentCard(this.app, latent);
      sample.style.width = `${this.cardWidth}px`;
      this.list.append(sample);
      this.heights.set(hasPage, sample.offsetHeight);
      sample.remove();
    }
    return this.heights.get(hasPage);
  }

  /** Brings the cards within a screen of the viewport into the document, and takes the others out. */
  render() {
    const top = -this.list.getBoundingClientRect().top;
    if (this.list.clientWidth === 0) return; // another view is shown
    const first = this.rowAt(top - innerHeight) * this.columns;
    const last = Math.min((this.rowAt(top + 2 * innerHeight) + 1) * this.columns, this.latents.length);
    const places = [];
    for (let place = first; place < last; place += 1) places.push(place);
    this.chooseActive(first, last, top);
    const focused = this.places[cardLatent(document.activeElement) ?? -1] ?? -1; // a card with the focus stays
    if (focused >= 0 && focused < first) places.unshift(focused);
    if (focused >= last) places.push(focused);
    this.putIn(places);
    this.filling ??= setTimeout(() => this.fill(), Cards.fillDelay);
  }

  /** The row at a place in the list's pixels; above and below the list the first and last one. */
  rowAt(y) {
    let [low, high] = [0, Math.max(0, this.tops.length - 2)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  putIn(places) {
    const wanted = new Set(places.map((place) => this.latents[place]));
    for (const [latent, card] of this.made) {
      if (wanted.has(latent)) continue;
      card.remove();
      this.made.delete(latent);
    }
    let next = this.list.firstElementChild;
    for (const place of places) {
      const latent = this.latents[place];
      if (!this.made.has(latent)) this.made.set(latent, latentCard(this.app, latent));
      const card = this.made.get(latent);
      this.put(card, place);
      if (card === next) next = next.nextElementSibling;
      else this.list.insertBefore(card, next);
      card.firstElementChild.tabIndex = latent === this.active ? 0 : -1;
    }
  }

  put(card, place) {
    card.setAttribute("aria-posinset", place + 1);
    card.setAttribute("aria-setsize", this.latents.length);
    const row = Math.floor(place / this.columns);
    const box = {
      left: (place % this.columns) * (this.cardWidth + Cards.gap),
      top: this.tops[row],
      width: this.cardWidth,
      height: this.tops[row + 1] - this.tops[row] - Cards.gap,
    };
    for (const [name, pixels] of Object.entries(box)) card.style[name] = `${pixels}px`;
  }

  /** Loads the pictures of the cards that are in the document by now. */
  fill() {
    this.filling = undefined;
    if (this.list.clientWidth === 0) return; // another view is shown by now
    for (const [latent, card] of this.made) {
      if (card.dataset.filled !== undefined || !this.app.data.hasPage.has(latent)) continue;
      card.dataset.filled = "";
      fillCard(this.app, card);
    }
  }

  /** The one card that the tab key reaches: the one used last, or the first in sight if that one is far. */
  chooseActive(first, last, top) {
    const place = this.places[this.active] ?? -1;
    if (place < first || place >= last) this.active = this.latents[this.rowAt(top + this.headroom()) * this.columns];
  }

  activate(latent) {
    this.made.get(this.active)?.firstElementChild.setAttribute("tabindex", "-1");
    this.active = latent;
    this.made.get(latent)?.firstElementChild.setAttribute("tabindex", "0");
  }

  /** Moves the focus among the cards with the arrow keys, Home and End. */
  step(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const place = this.places[cardLatent(event.target)];
    const last = this.latents.length - 1;
    const target = {
      ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - this.columns, ArrowDown: place + this.columns,
      Home: 0, End: last,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    if (target >= 0 && target <= last) this.focus(this.latents[target]);
  }

  /** Focuses the card of a latent, and scrolls if it is not in sight; does nothing for one that is not listed. */
  focus(latent) {
    const place = this.places[latent] ?? -1;
    if (place < 0) return;
    const row = Math.floor(place / this.columns);
    const listTop = this.list.getBoundingClientRect().top;
    const [top, bottom] = [this.tops[row] + listTop, this.tops[row + 1] - Cards.gap + listTop];
    if (top < this.headroom()) scrollBy(0, top - this.headroom());
    else if (bottom > innerHeight) scrollBy(0, bottom - innerHeight + Cards.gap);
    this.activate(latent);
    this.render();
    this.made.get(latent).firstElementChild.focus({ preventScroll: true });
  }

  focusFirst() {
    this.focus(this.latents[0]);
  }

  /** The lower edge of what sticks above the list, in pixels of the viewport. */
  headroom() {
    return document.getElementById("list-head").getBoundingClientRect().bottom;
  }
}

/** The latent of the card in which an element is, or null. */
function cardLatent(target) {
  const card = target?.closest?.("[data-latent]");
  return card ? Number(card.dataset.latent) : null;
}
