"use strict";
// What the later blocks of the ViT make of changed latents, beside as large changes along random latents.

class LiveEffects {
  static key = "saev-bench-words";

  /** `noWords` says why there is no zero-shot classifier, or is null; `onAsk()` hears that something else is asked for. */
  constructor(app, noWords, onAsk) {
    Object.assign(this, { app, noWords, onAsk });
    this.status = element("p", { class: "note", role: "status" });
    this.table = element("div", { class: "effects" });
    this.words = element("input", { type: "text", placeholder: "cat, dog, seahorse", "aria-label": "Words for zero-shot classification, separated by commas", value: recall("sessionStorage", LiveEffects.key) ?? "" });
    this.words.addEventListener("change", () => { keep("sessionStorage", LiveEffects.key, this.words.value); onAsk(); });
    this.probe = element("p", { class: "note effect-probe" });
    this.element = element("div", { class: "effect-part", hidden: "" }, element("h3", {}, "What the ViT makes of it"), this.status, this.table,
      element("p", { class: "note" }, "Words ", noWords === null ? this.words : `cannot be compared: ${noWords}.`), this.probe);
    this.askProbe({});
  }

  clear() {
    this.element.hidden = true;
  }

  /** `ask(words)` gives the server's answer. */
  async update(ask) {
    this.element.hidden = false;
    const words = this.noWords === null ? this.words.value.split(",").map((word) => word.trim()).filter((word) => word !== "") : [];
    this.table.setAttribute("aria-busy", "true");
    try {
      this.show(await ask(words.length > 1 ? words : []));
      if (words.length === 1) this.status.textContent += " One word alone has always the probability 1: give two or more.";
    } catch (error) {
      this.status.textContent = error.message;
      this.table.replaceChildren();
    } finally {
      this.table.removeAttribute("aria-busy");
    }
  }

  show({ norm, nTokens, distance, length, words, cosines, probe }) {
    if (nTokens === 0) {
      this.status.textContent = "These latents do not fire there, so that nothing changes.";
      this.table.replaceChildren();
      return;
    }
    const n = distance.random.filter((one) => one < distance.edited).length;
    this.status.textContent = `The change has ${showShare(norm)} of the norm of the ${showCount(nTokens, "token")} that it touches. It moves the final embedding more than `
      + `${n} of ${distance.random.length} changes of the same size along random latents that fire about as often.`;
    const classes = (told, title, show = showProbability) => (told === undefined ? [] : told.reason === undefined
      ? [groupRow(title), ...told.classes.map((one) => classRow(one, show))] : [groupRow(`${title}: ${told.reason}`)]);
    this.table.replaceChildren(element("table", {},
      element("thead", {}, element("tr", {}, ...["", "as it is", "changed", "random", ""].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, groupRow("Final embedding"),
        moveRow("distance (1 \u2212 cosine)", distance), moveRow("length of the change", length),
        ...classes(words, "Zero-shot probability"), ...classes(cosines, "Cosine with the word", (x) => x.toFixed(4)),
        ...(probe.reason === "no probe is fitted yet" ? [] : classes(probe, "Probe on labels of recorded pictures")))));
  }

  /** Shows how far the probe is; while it is fitted, again each second. */
  async askProbe(options) {
    let state;
    try {
      state = await askServer("live/probe", options);
    } catch (error) {
      this.probe.textContent = error.message;
      return;
    }
    const { reason, isRunning, done, total, fitted } = state;
    const fit = button("Fit a probe on recorded pictures", () => this.askProbe({ method: "POST", body: "" }));
    if (reason !== null) this.probe.textContent = `No probe on recorded pictures: ${reason}`;
    else if (fitted !== null) {
      this.probe.textContent = `The probe knows ${showCount(fitted.classes.length, "label")} and is right on ${showShare(fitted.accuracy)} of the pictures that it did not learn from`
        + `${fitted.nMissing > 0 ? `; ${showCount(fitted.nMissing, "picture")} could not be read` : ""}.`;
      if (this.isWaiting) this.onAsk();
    } else if (isRunning) this.probe.textContent = `The probe looks at recorded pictures: ${done} of ${total}.`;
    else this.probe.replaceChildren(fit, " half of them teach it what their labels look like at the end of the ViT.");
    this.isWaiting = isRunning;
    if (isRunning) setTimeout(() => { if (this.element.isConnected) this.askProbe({}); }, 1000);
  }
}

function groupRow(title) {
  return element("tr", { class: "effect-group" }, element("th", { scope: "colgroup", colspan: "5" }, title));
}

/** How far the edit and the random changes move something from where it was, which is 0. */
function moveRow(name, { edited, random }) {
  return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, "0"), element("td", {}, element("strong", {}, showNumber(edited))),
    element("td", {}, spanText(random)), element("td", {}, moveStrip(edited, random)));
}

/** A probability; those near 0 are not told apart. */
function showProbability(p) {
  return p < 5e-5 ? "<0.01\u202f%" : showShare(p);
}

/** What is read for a class. */
function classRow({ name, before, after, random }, show) {
  return element("tr", {}, element("th", { scope: "row" }, userText(name)), element("td", {}, show(before)), element("td", {}, element("strong", {}, show(after))),
    element("td", {}, spanText(random, show)), element("td", {}, moveStrip(after - before, random.map((one) => one - before))));
}

/** From the smallest to the largest. */
function spanText(values, show = showNumber) {
  const [low, high] = [show(Math.min(...values)), show(Math.max(...values))];
  return low === high ? low : `${low} to ${high}`;
}

/** Moves on a line: one of the edit, and those along random latents. */
function moveStrip(edited, random) {
  const all = [0, edited, ...random];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (value) => 6 + (148 * (value - low)) / (high - low || 1);
  return svgElement("svg", { class: "move-strip", viewBox: "0 0 160 16", role: "img", "aria-label": `larger than ${random.filter((one) => Math.abs(one) < Math.abs(edited)).length} of ${random.length}` },
    svgElement("line", { class: "zero", x1: x(0), x2: x(0), y1: 1, y2: 15 }),
    ...random.map((one) => svgElement("circle", { class: "random", cx: x(one), cy: 8, r: 3 })),
    svgElement("circle", { class: "edited", cx: x(edited), cy: 8, r: 5 }));
}
