"use strict";
// All pictures on the bench with the value of its latent, what is expected of them, and how well that agrees.

class Tray {
  /** `onOpen(picture)` shows one, `onClear(pictures)` takes some away. */
  constructor(app, bench, onOpen, onClear) {
    Object.assign(this, { app, bench, onOpen, onClear });
    this.list = element("ul", { class: "tray", "aria-label": "Pictures on the bench" });
    this.count = element("span", { class: "soft", role: "status" });
    this.clear = button("Remove all", () => this.onClear(this.bench.pictures));
    this.result = element("div", { class: "bench-result" });
    this.files = [["JSON", () => offerFile(benchJson(app, bench), "application/json", `bench-${bench.latent}.json`)],
      ["HTML", async () => offerFile(await benchPage(app, bench), "text/html", `bench-${bench.latent}.html`)]]
      .map(([kind, make]) => button(`Export ${kind}`, () => this.export(make)));
    this.coming = element("select", {},
      ...[["", "not known"], ["true", "to fire"], ["false", "to be silent"]].map(([value, text]) => element("option", { value }, text)));
    this.coming.addEventListener("input", () => bench.set({ expected: { true: true, false: false }[this.coming.value] ?? null }));
    this.element = element("section", { class: "panel bench" },
      element("div", { class: "bench-head" }, element("h2", {}, "Pictures"), this.count,
        ...this.files, this.clear),
      this.list, this.result);
    bench.addEventListener("change", () => this.draw());
    this.drag = element("input", { type: "range", min: "0", "aria-label": "Threshold" });
    this.typed = element("input", { type: "number", min: "0", step: "any", "aria-label": "Threshold as a number" });
    for (const input of [this.drag, this.typed]) input.addEventListener("input", () => bench.set({ threshold: Math.max(0, Number(input.value) || 0) }));
    this.draw();
  }

  async export(make) {
    try {
      await make();
    } catch (error) {
      this.count.textContent = error.message;
    }
  }

  draw() {
    const { bench } = this;
    const { pictures, latent } = bench;
    this.element.hidden = pictures.length === 0;
    this.count.textContent = `${pictures.length} of at most ${bench.most}`;
    this.coming.value = bench.expected ?? "";
    for (const made of this.files) made.disabled = latent === null || bench.shown.length === 0;
    const focused = document.activeElement?.dataset?.focus;
    this.list.replaceChildren(...pictures.map((picture, i) => this.figure(picture, i)));
    if (focused !== undefined) this.list.querySelector(`[data-focus="${focused}"]`)?.focus({ preventScroll: true });
    this.summary();
  }

  figure(picture, i) {
    const { bench } = this;
    const name = element("div", { class: "name", title: picture.name }, userText(picture.name));
    const remove = button("\u00d7", () => this.onClear([picture]), { class: "tray-remove", "aria-label": `Remove ${picture.name}` });
    if (picture.isLost) return element("li", {}, element("div", { class: "picture missing" }, element("span", { class: "missing-text" }, "drop it again")), name, remove);
    const open = button("", () => this.onOpen(picture), { class: "tray-open", "aria-label": `Show ${picture.name}`, "aria-current": String(picture === bench.current), "data-focus": `open${i}` });
    open.append(benchFigure(this.app, bench, picture));
    const expect = (value, text) => button(text, () => bench.expect(picture, picture.expected === value ? null : value), {
      "aria-pressed": String(picture.expected === value), "aria-label": `Expect ${picture.name} to ${value ? "fire" : "be silent"}`, "data-focus": `${value}${i}` });
    const isWrong = bench.latent !== null && picture.expected !== null && picture.expected !== bench.fires(picture);
    return element("li", { class: isWrong ? "wrong" : "" }, open,
      bench.latent === null ? null : element("div", { class: "value" }, element("strong", {}, showValue(picture.value(bench.latent))),
        element("span", { class: "soft" }, bench.fires(picture) ? "fires" : "silent", isWrong ? ", unexpected" : "")),
      name, element("div", { class: "expect" }, element("span", { class: "soft" }, "expect"), expect(true, "fire"), expect(false, "silent")), remove);
  }

  /** Threshold, table and scores. */
  summary() {
    const { bench } = this;
    if (bench.latent === null || bench.shown.length === 0) return this.result.replaceChildren();
    const most = Math.max(this.app.data.maxValue[bench.latent], ...bench.shown.map((one) => one.value(bench.latent)), bench.threshold) || 1;
    this.drag.max = most;
    this.drag.step = most / 500;
    this.drag.value = bench.threshold;
    if (document.activeElement !== this.typed) this.typed.value = Number(bench.threshold.toPrecision(4));
    if (!this.drag.isConnected) {
      this.plot = element("div", { class: "bench-plot" });
      this.table = element("div", { class: "bench-table" });
      this.result.replaceChildren(element("div", { class: "bench-threshold" },
        element("div", { class: "bench-slider" }, this.plot, this.drag),
        element("label", {}, "fires above ", this.typed)), this.table);
    }
    this.plot.replaceChildren(valueDots(bench, most));
    return this.table.replaceChildren(...confusion(bench));
  }
}

function button(text, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

/** A picture of the bench under the heat of its latent; one that the server has forgotten is sent again. */
function benchFigure(app, bench, picture) {
  const holder = element("div", {});
  const draw = () => {
    holder.replaceChildren(heatPicture(app.data, picture.picture, picture.heat(bench.latent, bench.p99)));
    holder.querySelector("img").addEventListener("error", () => {
      if (picture.isReviving) return;
      picture.isReviving = true;
      bench.revive(picture).then(draw, () => null).finally(() => { picture.isReviving = false; });
    }, { once: true });
  };
  draw();
  return holder;
}

/** The values of all pictures on a line, those above it expected to fire, those below to be silent. */
function valueDots(bench, most) {
  const rows = new Map([[true, 7], [null, 16], [false, 25]]);
  const dots = bench.shown.map((one) => svgElement("path", { class: `mark ${one.expected}`, d: `M${(1000 * one.value(bench.latent)) / most} ${rows.get(one.expected)}h0` },
    svgElement("title", {}, `${one.name}: ${showValue(one.value(bench.latent))}`)));
  return svgElement("svg", { viewBox: "0 0 1000 32", preserveAspectRatio: "none", role: "img", "aria-label": "Values of the pictures" },
    svgElement("line", { class: "cut", x1: (1000 * bench.threshold) / most, x2: (1000 * bench.threshold) / most, y1: 0, y2: 32 }), ...dots);
}

/** Expected against found as a table, and scores where they are defined; without expectations how many fire. */
function confusion(bench) {
  const ask = element("p", { class: "note" }, "Say of which pictures you expect it to fire and of which not: then precision, recall and the like stand here.");
  if (bench.shown.every(({ expected }) => expected === null)) {
    return [element("p", {}, `Fires on ${bench.shown.filter((one) => bench.fires(one)).length} of ${showCount(bench.shown.length, "picture")}.`), ask];
  }
  const counts = bench.curve.above(bench.threshold);
  const unknown = bench.shown.filter(({ expected }) => expected === null);
  const nFire = unknown.filter((one) => bench.fires(one)).length;
  const row = (name, ...cells) => element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((n, i) => element("td", { class: ["right", "wrong", ""][i] }, `${n}`)));
  const table = element("table", {},
    element("thead", {}, element("tr", {}, ...["Found", "expected to fire", "expected silent", "not known"].map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, row("fires", counts.tp, counts.fp, nFire), element("tr", {}, element("th", { scope: "row" }, "silent"),
      element("td", { class: "wrong" }, `${counts.fn}`), element("td", { class: "right" }, `${counts.tn}`), element("td", {}, `${unknown.length - nFire}`))));
  const { nWith, nWithout, averagePrecision } = bench.curve;
  if (nWith === 0 || nWithout === 0) {
    return [table, ask];
  }
  const facts = [["Precision", counts.precision], ["Recall", counts.recall], ["F1", counts.f1], ["MCC", counts.mcc], ["AP", averagePrecision]];
  return [table, element("dl", { class: "bench-scores" }, ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value.toFixed(2)))))];
}
