"use strict";
// One latent: its numbers, its pictures, and what it is near to.

const nLabelled = 16; // top pictures whose labels are counted

class LatentView {
  static nFirst = 18; // pictures before "show all"

  constructor(container, app) {
    this.container = container;
    this.app = app;
    this.filled = null; // the latent whose pictures are there
    this.order = null; // stays the same from latent to latent
    addEventListener("foldchange", () => this.redraw?.());
  }

  /** The promise is kept once the pictures are there, so that the page can be scrolled to where it was left. */
  async show(params) {
    const { data } = this.app;
    const latent = /^\d{1,9}$/.test(params.latent) ? Number(params.latent) : NaN;
    if (latent === this.filled) {
      this.steps.replaceWith(this.steps = this.stepLinks()); // the list may have another order by now
      if (params.against !== undefined) this.against?.show(params);
      return;
    }
    [this.latent, this.filled] = [latent, null];
    if (!(latent < data.nLatents)) {
      this.container.replaceChildren(this.head(`Latent ${params.latent}`, null),
        element("p", { class: "empty" }, `There is no latent ${params.latent}: this SAE has ${showCount(data.nLatents, "latent")}, counted from 0.`));
      return;
    }
    this.main = element("div", { class: "latent-pictures" });
    this.side = element("aside", { class: "latent-side", "aria-label": "Numbers" });
    this.side.append(panel("Note", noteEditor(this.app, latent)));
    const verdicts = data.verdicts.get(latent);
    if (verdicts !== undefined) this.side.append(panel("Verdicts", verdictList(verdicts)));
    const edits = data.interventions.filter(({ latents }) => latents.includes(latent));
    if (edits.length > 0) this.side.append(panel("What the ViT does with it", interventionList(edits)));
    this.container.replaceChildren(...[this.head(`Latent ${latent}`, noteElement(this.app.notes, latent, "heading", "p", { class: "latent-name" })), latentNumbers(data, latent),
      familyLink(data, latent), element("div", { class: "latent-body" }, this.main, this.side)].filter((one) => one !== null));
    if (data.hasPage.has(latent)) await this.load(latent, params);
    else if (data.frequency[latent] > 0) this.say(...notRendered(data, latent));
    else this.say("This latent never fired, so there are no pictures of it.");
  }

  say(...texts) {
    this.main.append(element("p", { class: "empty" }, ...texts));
    this.side.append(...this.otherSaes());
  }

  head(title, name) {
    this.steps = this.stepLinks();
    return element("div", { class: "latent-head" }, element("div", {}, element("h1", { tabindex: "-1" }, title), name), this.steps);
  }

  stepLinks() {
    const step = (by, text, name) => {
      const latent = this.app.neighbour(by);
      return latent === undefined
        ? element("span", { class: "step", "aria-disabled": "true" }, text)
        : element("a", { class: "step", href: `#latent=${latent}`, "aria-label": `${name}: latent ${latent}` }, text);
    };
    return element("nav", { "aria-label": "Latents", class: "steps" }, ...(typeof tryLink !== "undefined" && this.latent < this.app.data.nLatents ? [tryLink(this.latent)] : []), copyLinkButton(),
      element("a", { class: "step", href: "#" }, "All latents"), step(-1, "\u2190 Previous", "Previous"), step(1, "Next \u2192", "Next"));
  }

  load(latent, params) {
    const { data } = this.app;
    const waiting = element("p", { class: "empty", role: "status" }, data.isFull.has(latent) || data.make === null ? "" : "This page is being made.");
    this.main.append(waiting);
    return data.whole(latent, (text) => { waiting.textContent = text; }).then((page) => {
      if (this.latent !== latent) return;
      waiting.remove();
      this.fill(page, params);
      this.filled = latent;
      const next = this.app.neighbour(1);
      if (next !== undefined) data.latent(next).catch(() => {}); // said when it is opened
    }, (error) => {
      if (this.latent !== latent) return;
      waiting.remove();
      this.say(error.message);
    });
  }

  fill(page, params) {
    const { data } = this.app;
    const has = (list) => list.length > 0;
    if (!data.isFull.has(page.index) && !page.isWhole) this.main.append(element("p", { class: "note" }, ...smallPage(data, page.index)));
    const against = new AgainstPanel(this.app, page);
    this.main.append(setRows(this.app, page.index) ?? "", this.topPictures(page), against.element, ...(has(page.samples) ? [this.samples(page)] : []));
    if (params.against === undefined) whenNear(against.element, () => against.show(params));
    else against.show(params);
    this.against = against;
    if (page.histogram?.some((count) => count > 0)) {
      this.side.append(panel("Values", valueHistogram(data, page), has(page.percentiles) ? percentileTable(page.percentiles) : null));
    }
    const places = placePanel(data, page);
    if (places !== null) this.side.append(places);
    if (has(page.labels)) this.side.append(panel("Labels of its images", labelTable(page.labels), topLabels(data, page), countedNote()));
    if (has(page.patchLabels)) this.side.append(panel("Labels of its patches", labelTable(page.patchLabels), countedNote()));
    this.side.append(...this.columns(page));
    if (has(page.neighbours)) this.side.append(panel("Nearest decoder directions", this.latentList(page.neighbours)));
    const together = cofiringPanel(this.app, page);
    if (together !== null) this.side.append(together);
    if (has(page.coactive)) this.side.append(panel("Fires together with", this.latentList(page.coactive)));
    if (has(page.directions)) this.side.append(panel("Its decoder direction points to", wordList(page.directions)));
    this.side.append(...this.otherSaes());
  }

  topPictures(page) {
    const orders = Object.keys(page.top).filter((order) => page.top[order].length > 0); // the first one was asked for
    const list = element("div", { class: "examples", role: "list" });
    const more = element("button", { type: "button", class: "more" });
    const figure = (example) => exampleFigure(this.app.data, page, example, example.rank);
    const draw = (n) => {
      const all = page.top[this.order].map((example, i) => ({ ...example, rank: i + 1 }));
      const examples = Fold.of(this.app.data, all);
      list.replaceChildren(...examples.slice(0, n).map((example) => Fold.opener(example, figure(example), figure)));
      more.textContent = examples.length === all.length ? `Show all ${showCount(all.length, "picture")}`
        : `Show all ${examples.length} of ${showCount(all.length, "picture")}`;
      more.hidden = examples.length <= n;
      this.redraw = () => draw(n);
    };
    const section = element("section", { "aria-label": "Top pictures" },
      element("div", { class: "section-head" }, element("h2", {}, "Top pictures"), heatLegend(this.app.data, page.index, { p99: page.p99 })));
    if (orders.length === 0) {
      section.append(element("p", { class: "empty" }, "This latent has no pictures."));
      return section;
    }
    if (!orders.includes(this.order)) [this.order] = orders;
    const pick = (order) => { this.order = order; draw(LatentView.nFirst); };
    section.append(orders.length > 1 ? orderSwitch(this.app.data, orders, this.order, pick) : "", list, more);
    more.addEventListener("click", () => {
      draw(Infinity);
      list.children[LatentView.nFirst].firstChild.focus({ preventScroll: true });
    });
    draw(LatentView.nFirst);
    return section;
  }

  samples(page) {
    return element("section", { class: "samples" },
      element("h2", {}, "Samples from low to high values"),
      element("p", { class: "note" }, "The images on which it fires, in the order of their largest values and cut into parts of one size; of each some at random. The tail, too, tells whether a latent is clean."),
      ...page.samples.map(({ quantiles, examples }) => element("div", { class: "sample-row" },
        element("div", {}, element("h3", {}, partName(quantiles)), element("p", {}, rangeText(examples.map(({ value }) => value)))),
        element("div", { class: "sample-pictures", role: "list" },
          ...examples.map((example) => exampleFigure(this.app.data, page, example, null))))));
  }

  /** What the table of the user's says of its images, one column at a time; the choice stays from latent to latent. */
  columns(page) {
    const columns = page.columns.filter(({ labels }) => labels.length > 0);
    if (columns.length === 0) return [];
    const place = element("div", {});
    const draw = () => place.replaceChildren(labelTable((columns.find(({ name }) => name === this.column) ?? columns[0]).labels));
    draw();
    if (columns.length === 1) return [panel("Metadata of its images", element("p", { class: "note" }, userText(columns[0].name)), place)];
    const choice = element("select", { "aria-label": "Column of the metadata" }, ...columns.map(({ name }) => element("option", { value: name }, name)));
    if (columns.some(({ name }) => name === this.column)) choice.value = this.column;
    choice.addEventListener("input", () => { this.column = choice.value; draw(); });
    return [panel("Metadata of its images", choice, place)];
  }

  latentList(pairs) {
    return element("ul", { class: "latent-list" }, ...pairs.map(({ latent, cosine }) => element("li", {},
      latentPreview(this.app.data, latent), latentLink(this.app, latent),
      element("span", { class: "cosine", title: "cosine" }, cosine.toFixed(2)))));
  }

  otherSaes() {
    const matches = this.app.data.others.filter(({ matched }) => matched[this.latent] >= 0);
    if (matches.length === 0) return [];
    return [panel("In other SAEs", element("ul", { class: "latent-list" }, ...matches.map(({ folder, title, matched, cosine }) =>
      element("li", {}, element("a", { href: compareHash(folder, this.latent) }, userText(title), ` latent ${matched[this.latent]}`),
        element("span", { class: "cosine", title: "cosine" }, cosine[this.latent].toFixed(2))))))];
  }
}

/** Which part of the images lies between two quantiles of their order: "Images, weakest fifth". */
function partName([low, high]) {
  const n = Math.round(1 / (high - low));
  const place = Math.round(low * n);
  const parts = { 2: "half", 3: "third", 4: "quarter", 5: "fifth", 10: "tenth" };
  const isEven = Math.abs(low * n - place) < 1e-3 && parts[n] !== undefined;
  if (!isEven) return `Images, ${showShare(low)} to ${showShare(high)}`;
  const which = { 0: "weakest", [n - 1]: "strongest" }[place] ?? ["second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"][place - 1];
  return `Images, ${which} ${parts[n]}`;
}

function rangeText(values) {
  const ends = [Math.min(...values), Math.max(...values)].map((value) => showValue(value));
  return values.length === 0 ? "" : [...new Set(ends)].join(" to ");
}

/** A box with a heading. */
function panel(title, ...children) {
  return element("section", { class: "panel" }, element("h2", {}, title), ...children);
}

/** What is counted in tables of labels. */
function countedNote() {
  return element("p", { class: "note" }, "Of the strongest tenth of what it fires on, from 4 pictures at least. ",
    element("code", {}, "saev probe propose"), " looks for the value from which on it goes with a label.");
}

/** How many of the first pictures have which label, the most frequent one first. */
function topLabels(data, page) {
  const first = (Object.values(page.top)[0] ?? []).slice(0, nLabelled);
  const counts = new Map();
  for (const { image } of first) {
    const { label } = data.pictures.get(image);
    if (label !== null) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  if (counts.size === 0) return null;
  const sorted = [...counts].sort(([, a], [, b]) => b - a).slice(0, 3);
  return element("p", { class: "note top-labels" }, `Of its ${showCount(first.length, "top picture")}: `,
    ...sorted.flatMap(([label, count], i) => [i === 0 ? "" : ", ", element("span", { title: label }, userText(label)), ` ${count}`]));
}

function wordList(words) {
  return element("ul", { class: "latent-list" }, ...words.map(([word, score]) => element("li", {},
    userText(word), element("span", { class: "cosine", title: "score" }, showNumber(score)))));
}

/** Radio buttons for an order of the pictures. */
function orderSwitch(data, orders, chosen, onPick) {
  return element("fieldset", { class: "switch" }, element("legend", { class: "hidden" }, "Order of the pictures"),
    ...orders.map((order) => {
      const input = element("input", { type: "radio", name: "order", value: order });
      input.checked = order === chosen;
      input.addEventListener("input", () => onPick(order));
      return element("label", {}, input, element("span", {}, data.orders.get(order)));
    }));
}

/** What to do for pictures of a latent that has none. */
function notRendered(data, latent) {
  return ["No pictures of this latent were rendered into this gallery. ", ...howToRender(data, latent)];
}

/** What a page with a few pictures lacks, and what to do for it. */
function smallPage(data, latent) {
  return ["A small page: the first pictures and all numbers, for want of room (", element("code", {}, "--visualizer.max_mb"), "). ", ...howToRender(data, latent)];
}

function howToRender({ noMaking }, latent) {
  return [noMaking === null ? "" : `saev view cannot make the page: ${noMaking}. `, "To have it whole, render the gallery again, with the options of before and: ",
    element("code", {}, `saev render --run_dir RUN --visualizer.include_latents '[${latent}]'`)];
}

/** Copies the page's address; where the browser forbids that, shows it for copying by hand. */
function copyLinkButton() {
  const button = element("button", { type: "button" }, "Copy link");
  const holder = element("span", { class: "copy-link" }, button);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      const field = element("input", { type: "text", readonly: "", "aria-label": "Link to this latent", value: location.href });
      holder.replaceChildren(field);
      field.select();
    }
  });
  return holder;
}
