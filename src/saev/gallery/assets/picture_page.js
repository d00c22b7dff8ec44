"use strict";
// One picture: which latents fire on its patches, and where one of them fires.

class PictureView {
  static nRows = 40; // of a list at once

  constructor(container, app) {
    this.container = container;
    this.app = app;
    this.id = null;
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
    this.showLatent(/^\d{1,9}$/.test(params.latent) && params.latent < data.nLatents ? Number(params.latent) : null);
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
      this.codes = codes;
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
    this.grid = new PatchGrid(data, () => this.list());
    this.chosen = element("div", { class: "chosen" });
    this.masks = element("p", { class: "note" });
    this.outline = null;
    this.fires = element("div", { class: "fires" }, element("p", { class: "soft" }, "Reading which latents fire here."));
    this.heading = element("h2", {}, "Latents in the whole picture");
    this.status = element("p", { class: "hidden", role: "status" }); // for those who do not see what is selected
    const stage = element("div", { class: "stage" }, this.frame, this.grid.element);
    stage.style.setProperty("--stage-aspect", isMissing ? data.columns / data.rows : width / height);
    this.container.replaceChildren(
      element("div", { class: "latent-head" },
        element("div", {}, element("h1", { tabindex: "-1", class: "picture-name" }, userText(name)),
          label === null ? null : element("div", { class: "label" }, userText(label)),
          pictureFacts(data, this.id)),
        element("nav", { class: "steps", "aria-label": "Gallery" }, ...this.starOf(this.picture), copyLinkButton(), element("a", { class: "step", href: "#" }, "All latents"))),
      element("div", { class: "picture-body" },
        element("div", { class: "picture-side" }, stage, this.masks, this.chosen,
          element("p", { class: "note" }, "Point at a patch, click to stay on it, or move by the arrow keys; Escape goes back to the whole picture.")),
        element("section", { class: "panel" }, this.heading, this.status, this.fires)));
  }

  draw(heat) {
    this.frame.replaceChildren(heatPicture(this.app.data, this.picture, heat), this.outline ?? "");
  }

  /** A star for the picture, unless it is the user's own. */
  starOf(picture) {
    return picture.path === undefined ? [pictureStarButton(this.app, picture)] : [];
  }

  showMask(mask) {
    this.outline = maskOutline(this.app.data, mask);
    if (mask === null) return;
    this.frame.append(this.outline);
    const texts = countLabels(this.app.data, mask).flatMap(({ name, n }) => [userText(name), ` on ${showCount(n, "patch", "patches")}`, ", "]).slice(0, -1);
    this.masks.replaceChildren(...(texts.length > 0 ? ["Labels: ", ...texts] : ["No patch here has a label."]));
  }

  /** The hash of this picture. */
  get address() {
    return `#picture=${this.id}`;
  }

  /** Takes `latent`, null for none, into the address, which then shows it, without a step in the history. */
  choose(latent) {
    history.replaceState(history.state, "", `${this.address}${latent === null ? "" : `&latent=${latent}`}`);
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
    const { rows, columns, maxValue } = this.app.data;
    if (heat === undefined) return "where it fires in this picture is not known";
    const levels = Array.from({ length: rows * columns }, (_, patch) => heat.at(patch));
    const n = levels.filter((level) => level > 0).length;
    if (n === 0) return this.silence(heat);
    const most = showValue((Math.max(...levels) / 255) * maxValue[this.latent]);
    if (!heat.isCut) return `on ${n} of ${levels.length} patches, at most ${most}`;
    return `listed on ${n} of ${levels.length} patches, there at most ${most}; ${this.cutText()}`;
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
      heat === undefined ? "" : heatLegend(data, this.latent, heat), close,
      ...(typeof occlusions === "undefined" ? [] : [occlusions.controls(this)]));
  }

  /** Lists the latents of a patch, or of the whole picture, strongest first. */
  list() {
    if (this.codes === null) return;
    const { patches } = this.codes;
    const patch = this.grid.selected;
    const fires = patch === null ? strongestOf(patches) : patches[patch].toSorted((a, b) => b.level - a.level);
    this.listFires(fires, patch === null ? "the whole picture" : patchText(this.app.data, patch));
  }

  listFires(fires, place) {
    this.heading.textContent = `Latents in ${place}`;
    this.status.textContent = `${place}: ${showCount(fires.length, "latent")}${fires.length > 0 ? `, strongest ${this.nameOf(fires[0].latent)}` : ""}`;
    if (fires.length === 0) {
      this.fires.replaceChildren(element("p", { class: "empty" }, "No latent fires here."));
      return;
    }
    const rows = element("ul", { class: "fire-list" });
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

  nameOf(latent) {
    const name = latentCaption(this.app.data, latent);
    return name === undefined ? `latent ${latent}` : `latent ${latent}, ${name}`;
  }

  /** A latent with its level in the place that is shown; `value` if that is something else than the level stands for. */
  row({ latent, level, value = (level / 255) * this.app.data.maxValue[latent] }) {
    const { data } = this.app;
    const name = latentCaption(data, latent);
    const button = element("button", { type: "button", class: "fire", "aria-pressed": String(latent === this.latent), title: "Show where it fires" },
      element("span", { class: "fire-name" }, element("span", { class: "fire-number" }, `${latent} `), name === undefined ? null : userText(name)),
      shareBar(level / 255, `${Math.round((100 * level) / 255)}\u202f%`),
      element("span", { class: "fire-value" }, showValue(value)));
    button.dataset.latent = latent;
    button.addEventListener("click", () => this.choose(latent === this.latent ? null : latent));
    return element("li", {}, button, element("a", { class: "row-link", href: `#latent=${latent}`, "aria-label": `Page of ${this.nameOf(latent)}` }, "\u2192"));
  }
}

/** What else is known of a picture; null if that is nothing. */
function pictureFacts(data, id) {
  const facts = data.factsOf(id);
  return facts.length === 0 ? null : element("dl", { class: "facts" }, ...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, userText(name)), element("dd", {}, userText(value)))));
}

/** Every latent of a picture with the strongest of its levels, strongest first. */
function strongestOf(patches) {
  const best = new Map();
  for (const { latent, level } of patches.flat()) best.set(latent, Math.max(level, best.get(latent) ?? 0));
  return [...best].map(([latent, level]) => ({ latent, level })).sort((a, b) => b.level - a.level || a.latent - b.latent);
}
