"use strict";
// Two SAEs side by side: this gallery's and one whose gallery lies in a folder beside it.

/** The address of the comparison with the gallery in `folder`, or of one pair in it. */
function compareHash(folder, latent) {
  return `#${new URLSearchParams(latent === undefined ? { compare: folder } : { compare: folder, latent })}`;
}

/** Whether `folder` names a folder right beside this gallery and nothing else. */
function isSibling(folder) {
  return folder !== "" && folder !== "." && folder !== ".." && !/[/\\]/.test(folder) && folder.isWellFormed();
}

class CompareView {
  static rowHeight = 188; // as in detail.css

  constructor(container, app) {
    this.container = container;
    this.app = app;
    this.opened = new Map(); // folder -> promise of its GalleryData
    this.rows = new RowWindow();
    this.least = 0;
    this.isAscending = false;
  }

  /** The promise is kept once the pairs are there, so that the page can be scrolled to where it was left. */
  async show({ compare: folder, latent }) {
    const other = this.app.data.others.find((one) => one.folder === folder);
    const last = this.shown;
    const shown = { folder, latent };
    this.shown = shown;
    if (last?.latent === undefined) this.listScroll = scrollY;
    if (other === undefined) return this.say("Comparison", `This gallery knows of no other one in a folder "${folder}".`);
    if (!isSibling(folder)) return this.say(other.title, `"${folder}" is not the name of a folder beside this gallery, so it is not opened.`);
    if (last?.folder !== folder) {
      this.which = undefined;
      this.say(other.title, "Reading the other gallery.");
    }
    return this.open(folder).then((data) => {
      if (this.shown !== shown) return;
      this.showPairs(other, data, latent);
      // From the list to a pair and back the view is the same, so the page stays where it is by itself.
      if (last?.folder === folder && last.latent !== latent) scrollTo(0, latent === undefined ? this.listScroll : 0);
    }, () => {
      if (this.shown === shown) this.say(other.title, `The other gallery is not here. For the comparison its folder "${folder}" has to lie beside the folder of this gallery, in the same parent folder.`);
    });
  }

  /** Replaces what is shown; the focus goes on to the new heading. */
  render(...children) {
    const hasFocus = this.container.contains(document.activeElement);
    this.container.replaceChildren(...children);
    if (hasFocus) this.container.querySelector("h1").focus({ preventScroll: true });
  }

  open(folder) {
    if (!this.opened.has(folder)) {
      const promise = this.openBeside(`../${encodeURIComponent(folder)}/`);
      promise.catch(() => this.opened.delete(folder));
      this.opened.set(folder, promise);
    }
    return this.opened.get(folder);
  }

  /** The same image set of the other gallery, or its first one. */
  async openBeside(home) {
    const { sets } = this.app;
    if (sets.isOne) return GalleryData.open(home);
    const others = await ImageSets.open(home);
    return others.data(others.find(sets.shown.name) ?? others.list[0]);
  }

  /** The name of an SAE, with the image set if there are several. */
  title(data, title) {
    return element("span", {}, userText(title), this.app.sets.isOne ? null : ` \u00b7 ${data.set?.title ?? ""}`);
  }

  head(title, ...steps) {
    return element("div", { class: "latent-head" },
      element("h1", { tabindex: "-1" }, title),
      element("nav", { class: "steps", "aria-label": "Gallery" }, ...steps, element("a", { class: "step", href: "#" }, "All latents")));
  }

  say(title, text) {
    this.render(this.head(title), element("p", { class: "empty" }, text));
  }

  showPairs(other, data, latent) {
    if (other.matched.some((one) => one >= data.nLatents)) {
      this.say(other.title, `The gallery in the folder "${other.folder}" is of another SAE than the one that was compared: it has ${showCount(data.nLatents, "latent")} only.`);
      return;
    }
    if (latent === undefined) this.showList(other, data);
    else this.showPair(other, data, Number(latent));
  }

  showList(other, data) {
    const all = [...other.matched.keys()].filter((latent) => other.matched[latent] >= 0);
    const mine = this.app.data.hasPage;
    const choices = [
      ["both have pictures", (latent) => mine.has(latent) && data.hasPage.has(other.matched[latent])],
      ["either has pictures", (latent) => mine.has(latent) || data.hasPage.has(other.matched[latent])],
      ["all", () => true],
    ];
    const least = element("input", { type: "number", id: "compare-least", min: -1, max: 1, step: 0.05, value: this.least });
    const which = element("select", { id: "compare-which" }, ...choices.map(([name], i) => element("option", { value: i }, name)));
    which.value = this.which ?? String(Math.max(0, choices.findIndex(([, has]) => all.some(has))));
    const turn = element("button", { type: "button", id: "compare-direction" });
    const count = element("p", { class: "note", role: "status" });
    const draw = () => {
      [this.least, this.which] = [Number(least.value), which.value];
      const sign = this.isAscending ? 1 : -1;
      const kept = all.filter((one) => other.cosine[one] >= this.least && choices[which.value][1](one))
        .sort((a, b) => sign * (other.cosine[a] - other.cosine[b]) || a - b);
      turn.textContent = this.isAscending ? "\u2191 lowest cosine first" : "\u2193 highest cosine first";
      count.textContent = `${kept.length.toLocaleString("en")} of ${showCount(all.length, "pair")}`;
      this.rows.set(kept, (one) => this.row(other, data, one), () => CompareView.rowHeight);
    };
    for (const control of [least, which]) control.addEventListener("input", draw);
    turn.addEventListener("click", () => { this.isAscending = !this.isAscending; draw(); });
    this.render(
      this.head("Two SAEs side by side"),
      element("p", { class: "note" }, "Each latent of this SAE beside the latent of the other one whose decoder direction is nearest."),
      element("div", { class: "compare-controls" }, element("label", {}, "Cosine at least ", least), element("label", {}, "Pairs of which ", which), turn, count),
      element("div", { class: "compare-titles" }, this.title(this.app.data, this.app.data.title), this.title(data, other.title)),
      this.rows.list);
    draw();
  }

  row(other, data, latent) {
    const cosine = other.cosine[latent];
    return element("article", { class: "pair" },
      this.half(this.app.data, latent),
      element("a", { class: "pair-link", href: compareHash(other.folder, latent), "aria-label": `Latents ${latent} and ${other.matched[latent]} side by side, cosine ${cosine.toFixed(2)}` },
        element("strong", {}, cosine.toFixed(2)), element("span", {}, "side by side")),
      this.half(data, other.matched[latent]));
  }

  half(data, latent) {
    const name = latentCaption(data, latent);
    return element("div", { class: "half" },
      element("p", { class: "half-head" },
        element("a", { href: hrefIn(data, `#latent=${latent}`) }, `Latent ${latent}`),
        name === undefined ? null : userText(name),
        element("span", { class: "soft" }, `${showShare(data.frequency[latent])} of tokens, max ${showValue(data.maxValue[latent])}`)),
      data.hasPage.has(latent) ? latentPreview(data, latent, 8) : element("p", { class: "soft" }, "no pictures"));
  }

  showPair(other, data, latent) {
    if (!(other.matched[latent] >= 0)) {
      this.say(other.title, `Latent ${latent} of this SAE has no match in ${other.title}.`);
      return;
    }
    this.render(
      this.head(`Latents ${latent} and ${other.matched[latent]}, cosine ${other.cosine[latent].toFixed(3)}`, element("a", { class: "step", href: compareHash(other.folder) }, "All pairs")),
      element("div", { class: "pair-page" },
        this.column(this.app.data, this.app.data.title, latent), this.column(data, other.title, other.matched[latent])));
  }

  column(data, title, latent) {
    const pictures = element("div", { class: "pair-pictures" });
    const legend = element("div", {});
    if (!data.hasPage.has(latent)) pictures.append(element("p", { class: "empty" }, ...notRendered(data, latent)));
    else data.latent(latent).then((page) => {
      legend.append(heatLegend(data, latent, { p99: page.p99 }));
      this.fill(pictures, data, page);
    }, (error) => pictures.append(element("p", { class: "empty" }, error.message)));
    return element("section", { class: "pair-column" },
      element("p", { class: "note" }, this.title(data, title)),
      element("h2", {}, element("a", { href: hrefIn(data, `#latent=${latent}`) }, `Latent ${latent}`)),
      element("p", { class: "latent-name" }, ...nameParts(data, latent)), latentNumbers(data, latent), legend, pictures);
  }

  fill(pictures, data, page) {
    const examples = Object.values(page.top)[0] ?? [];
    pictures.append(
      element("div", { class: "examples", role: "list" }, ...examples.slice(0, 12).map((example, i) => exampleFigure(data, page, example, i + 1))),
      page.histogram?.some((count) => count > 0) ? panel("Values", valueHistogram(data, page)) : "",
      page.labels.length > 0 ? panel("Labels of its images", labelTable(page.labels)) : "");
  }
}
