"use strict";
// Pictures as tiles in rows, with a heading over each group. Only the rows near the viewport are in the document.

class PictureGrid {
  static gap = 12;
  static texts = 50; // pixels below a picture
  static heading = 48;

  /** `ticked` is a set of ids; `onTick()` hears that it is another one. */
  constructor(app, ticked, onTick) {
    Object.assign(this, { app, ticked, onTick, groups: [], order: [], colourOf: () => null, active: null, last: null });
    this.window = new RowWindow("picture-rows");
    this.element = this.window.list;
    this.element.setAttribute("aria-label", "Pictures");
    new ResizeObserver(() => this.layout()).observe(this.element);
    document.getElementById("heat-size").addEventListener("input", () => this.layout(true));
    this.element.addEventListener("keydown", (event) => this.step(event));
    this.element.addEventListener("focusin", ({ target }) => this.activate(tilePicture(target)));
  }

  /** Shows `groups` = [{text, pictures}], without heading where text is null; `colourOf(picture)` is its colour or null. */
  show(groups, colourOf) {
    Object.assign(this, { groups, colourOf });
    this.order = groups.flatMap(({ pictures }) => pictures);
    this.layout(true);
  }

  layout(isNew = false) {
    const width = this.element.clientWidth;
    if (width === 0 || (width === this.width && !isNew)) return;
    this.width = width;
    const { gap } = PictureGrid;
    const least = parseFloat(getComputedStyle(this.element).getPropertyValue("--example"));
    this.columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
    const { rows, columns } = this.app.data;
    const height = ((width - gap * (this.columns - 1)) / this.columns) * (rows / columns) + PictureGrid.texts + gap;
    const items = this.groups.flatMap((group) => [...(group.text === null ? [] : [{ group }]), ...inRows(group.pictures, this.columns)]);
    this.rowOf = new Map(items.flatMap((item, row) => (Array.isArray(item) ? item.map(({ id }) => [id, row]) : [])));
    if (!this.rowOf.has(this.active)) this.active = this.order[0]?.id ?? null;
    this.window.set(items, (item) => (Array.isArray(item) ? this.row(item) : this.headingOf(item.group)), (item) => (Array.isArray(item) ? height : PictureGrid.heading));
  }

  headingOf({ text, pictures }) {
    const button = element("button", { type: "button" }, "Tick these");
    button.addEventListener("click", () => this.tick(pictures, true));
    return element("div", { class: "group-head" }, element("h3", {}, userText(text)), element("span", { class: "soft" }, showCount(pictures.length, "picture")), button);
  }

  row(pictures) {
    const row = element("div", { class: "tiles" }, ...pictures.map((picture) => this.tile(picture)));
    row.style.setProperty("--columns", this.columns);
    return row;
  }

  tile(picture) {
    const { app } = this;
    const { id, name, label } = picture;
    const tick = element("input", { type: "checkbox", class: "tick", tabindex: "-1", "aria-label": `Tick ${name}`, title: "Tick (space); with Shift all from the last one on" });
    tick.checked = this.ticked.has(id);
    tick.addEventListener("click", ({ shiftKey }) => this.tickFrom(id, tick.checked, shiftKey));
    const colour = this.colourOf(picture);
    const link = element("a", { href: `#picture=${id}`, tabindex: id === this.active ? "0" : "-1", title: name },
      heatPicture(app.data, picture), element("span", { class: "tile-name" }, userText(name.split("/").at(-1))), element("span", { class: "tile-label soft" }, userText(label ?? "")));
    const tile = element("div", { class: "tile", "data-picture": id }, link, tick, pictureStarButton(app, picture));
    tile.querySelector(".star").tabIndex = -1;
    if (colour !== null) tile.style.setProperty("--mark", colour);
    tile.classList.toggle("ticked", tick.checked);
    return tile;
  }

  /** Ticks a picture, or takes the tick away; with Shift all from the last one that was ticked to this one. */
  tickFrom(id, isTicked, isRange) {
    const places = [this.last, id].map((one) => this.order.findIndex((picture) => picture.id === one)).sort((a, b) => a - b);
    const pictures = isRange && places[0] >= 0 ? this.order.slice(places[0], places[1] + 1) : this.order.filter((picture) => picture.id === id);
    this.last = id;
    this.tick(pictures, isTicked);
  }

  tick(pictures, isTicked) {
    for (const { id } of pictures) {
      if (isTicked) this.ticked.add(id);
      else this.ticked.delete(id);
    }
    this.showTicks();
    this.onTick();
  }

  showTicks() {
    for (const tile of this.element.querySelectorAll(".tile")) {
      const isTicked = this.ticked.has(Number(tile.dataset.picture));
      tile.classList.toggle("ticked", isTicked);
      tile.querySelector(".tick").checked = isTicked;
    }
  }

  /** Moves the focus by arrow keys, Home and End; the space bar ticks. */
  step(event) {
    const id = tilePicture(event.target);
    if (id === null || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === " " && event.target.matches("a")) {
      event.preventDefault();
      this.tickFrom(id, !this.ticked.has(id), event.shiftKey);
      return;
    }
    const place = this.order.findIndex((picture) => picture.id === id);
    const last = this.order.length - 1;
    const target = {
      ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - this.columns, ArrowDown: place + this.columns, Home: 0, End: last,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    if (target >= 0 && target <= last) this.focus(this.order[target].id);
  }

  focus(id) {
    const { tops } = this.window;
    const row = this.rowOf.get(id);
    const listTop = this.element.getBoundingClientRect().top;
    const head = document.querySelector(".pictures-head").getBoundingClientRect().bottom;
    if (tops[row] + listTop < head) scrollBy(0, tops[row] + listTop - head);
    else if (tops[row + 1] + listTop > innerHeight) scrollBy(0, tops[row + 1] + listTop - innerHeight);
    this.window.draw();
    this.activate(id);
    this.element.querySelector(`[data-picture="${id}"] a`).focus({ preventScroll: true });
  }

  /** The one tile that the tab key reaches. */
  activate(id) {
    if (id === null) return;
    this.element.querySelector(`[data-picture="${this.active}"] a`)?.setAttribute("tabindex", "-1");
    this.active = id;
    this.element.querySelector(`[data-picture="${id}"] a`)?.setAttribute("tabindex", "0");
  }
}

function inRows(pictures, n) {
  return Array.from({ length: Math.ceil(pictures.length / n) }, (_, i) => pictures.slice(i * n, (i + 1) * n));
}

/** The picture in whose tile an element is, or null. */
function tilePicture(target) {
  const tile = target.closest("[data-picture]");
  return tile === null ? null : Number(tile.dataset.picture);
}

/** A dot of a colour; null for none. */
function colourMark(colour) {
  if (colour === null) return null;
  const mark = element("span", { class: "colour-mark", "aria-hidden": "true" });
  mark.style.setProperty("--mark", colour);
  return mark;
}
