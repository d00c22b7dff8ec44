"use strict";
// One picture: which latents fire on its patches, and where one of them fires.

class PictureView {
  static nRows = 40; // of a list at once

  constructor(container, app) {
    this.container = container;
    this.app = app;
    this.id = null;
    this.order = "level"; // stays the same from picture to picture
  }

  /** The promise is kept once the latents are listed, so that the page can be scrolled to where it was left. */
  async show(params) {
    const { data } = this.app;
    const id = /^\d{1,15}$/.test(params.picture) ? Number(params.picture) : NaN;
    if (!data.pictures.has(id)) {
      this.id = null;
      this.container.replaceChildren(element("h1", { tabindex: "-1" }, `Picture ${params.picture}`),
        element("p", { class: "empty" }, `There is no picture ${params.picture} in this gallery.`));
      return;
    }
    const opening = id === this.id ? null : this.open(id);
    this.latent = /^\d{1,9}$/.test(params.latent) && params.latent < data.nLatents ? Number(params.latent) : null;
    this.recall(params);
    this.showLatent(this.latent);
    await opening;
  }

  open(id) {
    this.id = id;
    this.picture = this.app.data.pictures.get(id);
    this.codes = null;
    this.layout();
    this.app.data.maskOf(id).then((mask) => { if (this.id === id) this.showMask(mask); }, () => null); // an outline less
    return this.app.data.picture(id).then((codes) => {
      if (this.id !== id) return;
      this.setCodes(codes);
      this.showLatent(this.latent);
      this.list();
    }, (error) => {
      if (this.id === id) this.fires.replaceChildren(element("p", { class: "empty" }, `Which latents fire on the patches of this picture is not known: ${error.message}`));
    });
  }

  layout() {
    const { data } = this.app;
    const { name, label, isMissing, width, height } = this.picture;
    this.frame = element("div", { class: "frame" });
    this.grid = new PatchGrid(data, () => this.list(), () => this.brushed());
    this.orders = this.orderControl();
    this.wasRegion = false;
    this.chosen = element("div", { class: "chosen" });
    this.masks = element("div", { class: "mask-labels" });
    this.outline = null;
    this.fires = element("div", { class: "fires" }, element("p", { class: "soft" }, "Reading which latents fire here."));
    this.heading = element("h2", {}, "Latents in the whole picture");
    this.whole = element("button", { type: "button", hidden: "" }, "Whole picture");
    this.whole.addEventListener("click", () => this.grid.brush(new Set()));
    this.measured = element("p", { class: "note" });
    this.status = element("p", { class: "hidden", role: "status" }); // for those who do not see what is selected
    const stage = element("div", { class: "stage" }, this.frame, this.grid.element);
    stage.style.setProperty("--stage-aspect", isMissing ? data.columns / data.rows : width / height);
    this.container.replaceChildren(
      element("div", { class: "latent-head" },
        element("div", {}, element("h1", { tabindex: "-1", class: "picture-name" }, userText(name)),
          label === null ? null : element("div", { class: "label" }, userText(label)),
          pictureFacts(data, this.id)),
        element("nav", { class: "steps", "aria-label": "Gallery" }, ...this.starOf(this.picture), copyLinkButton(), element("a", { class: "step", href: this.app.router.views.pictures.hash }, "All pictures"), element("a", { class: "step", href: "#" }, "All latents"))),
      element("div", { class: "picture-body" },
        element("div", { class: "picture-side" }, stage, this.masks, this.chosen,
          element("p", { class: "note" }, "Point at a patch, click to stay on it, or drag over a region; by arrow keys and Shift, too. Escape goes back to the whole picture.")),
        element("section", { class: "panel" }, element("div", { class: "fires-head" }, this.heading, this.whole, this.orders), this.measured, this.status, this.fires)));
  }

  /** The choice of what the list is sorted by. */
  orderControl() {
    const select = element("select", { "aria-label": "Sort the latents by" }, ...Object.entries(fireOrders).map(([order, { title }]) =>
      element("option", { value: order }, title)));
    select.addEventListener("input", () => {
      this.order = select.value;
      this.stamp();
      this.list();
    });
    return element("label", { class: "fires-order" }, "Sort by ", select);
  }

  setCodes(codes) {
    this.codes = codes;
    this.all = new PictureFires(this.app.data, codes.patches);
  }

  /** Takes order and region over from the address. */
  recall({ sort, region }) {
    const { rows, columns } = this.app.data;
    const patches = numbersOfRuns(region ?? "", rows * columns);
    if (patches.length > 0 && this.grid.brushed.size === 0) this.grid.brush(new Set(patches));
    if (Object.hasOwn(fireOrders, sort ?? "")) this.order = sort;
  }

  /** Another region is brushed. The first one brings its own order with it, and the last one takes it away. */
  brushed() {
    const isRegion = this.grid.brushed.size > 0;
    if (isRegion !== this.wasRegion) {
      if (isRegion) this.order = "region";
      else if (this.order === "region") this.order = "level";
    }
    this.wasRegion = isRegion;
    this.stamp();
    this.list();
  }

  draw(heat) {
    this.frame.replaceChildren(heatPicture(this.app.data, this.picture, heat), this.outline ?? "");
  }

  /** A star for the picture and buttons to those beside it, unless it is the user's own. */
  starOf(picture) {
    return picture.path === undefined ? [pictureStarButton(this.app, picture), ...pictureSteps(this.app)] : [];
  }

  showMask(mask) {
    if (mask === null) return;
    this.outline = maskOutline(this.app.data, mask);
    this.frame.append(this.outline);
    const labels = countLabels(this.app.data, mask).map(({ label, name, n }) => {
      const button = element("button", { type: "button", class: "mask-label", title: "Select these patches" }, userText(name), ` ${showCount(n, "patch", "patches")}`);
      button.addEventListener("click", () => this.grid.brush(new Set([...mask.keys()].filter((patch) => mask[patch] === label))));
      return button;
    });
    this.masks.replaceChildren(...(labels.length > 0 ? labels : ["No patch here has a label."]));
  }

  /** The hash of this picture, with the order, if it is not the usual one, and the region. */
  get address() {
    const region = runsOfNumbers(this.grid.brushed);
    const isUsual = this.order === (region === "" ? "level" : "region");
    return `#picture=${this.id}${isUsual ? "" : `&sort=${this.order}`}${region === "" ? "" : `&region=${region}`}`;
  }

  /** The whole hash, which names the chosen latent, too. */
  get hash() {
    return this.app.sets.own(`${this.address}${this.latent === null ? "" : `&latent=${this.latent}`}`);
  }

  /** Brings the address up to date without a step in the history. */
  stamp() {
    if (location.hash !== this.hash) history.replaceState(history.state, "", this.hash);
  }

  /** Takes `latent`, null for none, into the address, which then shows it, without a step in the history. */
  choose(latent) {
    this.latent = latent;
    this.stamp();
    dispatchEvent(new Event("hashchange"));
  }

  showLatent(latent) {
    this.latent = latent;
    for (const button of this.fires.querySelectorAll("button.fire")) {
      button.setAttribute("aria-pressed", String(button.dataset.latent === String(latent)));
    }
    if (latent === null) {
      this.draw(undefined);
      this.chosen.replaceChildren();
      return;
    }
    const { id } = this;
    this.heatOf(latent).then((heat) => { if (this.id === id && this.latent === latent) this.drawChosen(heat); });
  }

  /** The heatmap of its page, which is complete; otherwise from the strongest latents of each patch. */
  async heatOf(latent) {
    const page = await this.pageOf(latent);
    const stored = page?.heatmap(this.id);
    return stored !== undefined || this.codes === null ? stored : this.heatInPatches(latent, page);
  }

  /** The page of a latent, or null. */
  async pageOf(latent) {
    const { data } = this.app;
    return data.hasPage.has(latent) ? data.latent(latent).catch(() => null) : null;
  }

  /** The heatmap from the lists of the patches; `isCut` says that there may be more. */
  heatInPatches(latent, page) {
    const levels = this.codes.patches.map((list) => list.find((fire) => fire.latent === latent)?.level ?? 0);
    return { at: (patch) => levels[patch], p99: page?.p99 ?? 255, isCut: this.codes.nCut > 0 };
  }

  /** What the levels of the chosen latent say in words; only lists that were cut leave something open. */
  wordsOf(heat) {
    const { rows, columns } = this.app.data;
    if (heat === undefined) return "where it fires in this picture is not known";
    const levels = Array.from({ length: rows * columns }, (_, patch) => heat.at(patch));
    const n = levels.filter((level) => level > 0).length;
    if (n === 0) return this.silence(heat);
    const most = this.mostOf(levels);
    if (!heat.isCut) return `on ${n} of ${levels.length} patches, ${most}`;
    return `listed on ${n} of ${levels.length} patches, there ${most}; ${this.cutText()}`;
  }

  /** The largest value of the chosen latent in words; levels end where those of the first image set do. */
  mostOf(levels) {
    const { scale: { [this.latent]: scale }, maxValue } = this.app.data;
    const level = Math.max(...levels);
    return level === 255 && scale < maxValue[this.latent] ? `up to ${showValue(scale)} or more` : `at most ${showValue((level / 255) * scale)}`;
  }

  /** Why no level of the chosen latent is above 0. */
  silence(heat) {
    const isListed = this.codes?.patches.some((list) => list.some(({ latent }) => latent === this.latent));
    if (this.codes?.nCut === 0 && !isListed) return "does not fire here";
    if (heat.isCut && !isListed) return `not listed on any patch; ${this.cutText()}`;
    return `on no patch above ${showShare(0.5 / 255)} of its largest value${heat.isCut ? `; ${this.cutText()}` : ""}`;
  }

  cutText() {
    const { most, nCut } = this.codes;
    return `${showCount(nCut, "patch", "patches")} ${nCut === 1 ? "lists its" : "list their"} ${most} strongest latents alone`;
  }

  drawChosen(heat) {
    const { data } = this.app;
    this.draw(heat);
    const close = element("button", { type: "button" }, "Hide heatmap");
    close.addEventListener("click", () => this.choose(null));
    this.chosen.replaceChildren(
      element("p", {}, "Showing ", latentLink(this.app, this.latent), `: ${this.wordsOf(heat)}`),
      heat === undefined ? "" : heatLegend(data, this.latent, heat),
      element("span", { class: "buttons" }, data.pictures.has(this.id) ? evidenceButton(this.latent, this.picture, "Evidence") : null, close),
      ...(typeof occlusions === "undefined" ? [] : [occlusions.controls(this)]));
  }

  /** Lists the latents of a patch, of a region, or of the whole picture, in the chosen order. */
  list() {
    if (this.codes === null) return;
    const { data } = this.app;
    const { selected, brushed } = this.grid;
    const hasRest = brushed.size > 0 && brushed.size < this.codes.patches.length;
    this.whole.hidden = brushed.size === 0;
    this.orders.querySelector("[value=region]").disabled = !hasRest;
    if (this.order === "region" && !hasRest) this.order = "level";
    this.orders.querySelector("select").value = this.order;
    this.measured.textContent = fireOrders[this.order].note + (this.codes.nCut > 0 ? ` Not all is listed: ${this.cutText()}.` : "");
    const [places, text] = brushed.size > 0 ? [[...brushed], `a region of ${showCount(brushed.size, "patch", "patches")}`]
      : selected === null ? [null, "the whole picture"] : [[selected], patchText(data, selected)];
    this.listFires(sortFires(this.all.of(places), this.order), text);
  }

  listFires(fires, place) {
    this.heading.textContent = `Latents in ${place}`;
    this.status.textContent = `${place}: ${showCount(fires.length, "latent")}${fires.length > 0 ? `, first ${latentSpoken(this.app.data, fires[0].latent)}` : ""}`;
    if (fires.length === 0) {
      this.fires.replaceChildren(element("p", { class: "empty" }, "No latent fires here."));
      return;
    }
    this.most = fireOrders[this.order].of(fires[0]); // fills the bar
    const rows = element("ul", { class: "fire-list", "data-order": this.order });
    const more = element("button", { type: "button", class: "more" });
    const draw = () => {
      const n = rows.children.length;
      rows.append(...fires.slice(n, n + this.constructor.nRows).map((fire) => this.row(fire)));
      const left = fires.length - rows.children.length;
      more.textContent = `Show ${Math.min(left, this.constructor.nRows)} more of ${left}`;
      more.hidden = left === 0;
    };
    more.addEventListener("click", draw);
    draw();
    this.fires.replaceChildren(rows, more);
  }

  /** A latent with its measures in the place that is shown. */
  row(fire) {
    const { data } = this.app;
    const { latent } = fire;
    const button = element("button", { type: "button", class: "fire", "aria-pressed": String(latent === this.latent), title: "Show where it fires" },
      latentRowName(data, latent), shareBar(...this.measureOf(fire)),
      element("span", { class: "fire-value" }, this.order === "region" ? `${showShort(fire.mean)} : ${showShort(fire.rest)}` : showValue(fire.value)));
    button.dataset.latent = latent;
    button.addEventListener("click", () => this.choose(latent === this.latent ? null : latent));
    return element("li", {}, starButton(this.app.notes, latent), button, latentRowLink(this.app, latent));
  }

  /** What the list is sorted by, as a share for a bar and as a text; of a region the share of the latent's sum that is there. */
  measureOf(fire) {
    const { of, show } = fireOrders[this.order];
    if (this.order === "region") return [fire.inside, `${Math.round(100 * fire.inside)}\u202f%`];
    if (this.order === "level") return [fire.level / 255, `${Math.round((100 * fire.level) / 255)}\u202f%`];
    return [Math.min(1, of(fire) / this.most || 0), show(of(fire))];
  }
}

/** What else is known of a picture; null if that is nothing. */
function pictureFacts(data, id) {
  const facts = data.factsOf(id);
  return facts.length === 0 ? null : element("dl", { class: "facts" }, ...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, userText(name)), element("dd", {}, userText(value)))));
}
