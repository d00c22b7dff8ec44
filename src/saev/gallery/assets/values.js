"use strict";
// What is known of a latent's values and labels: numbers, histogram and tables.

/** Frequency, mean and the like of one latent as a list of facts. */
function latentNumbers(data, latent) {
  const fact = (name, value, note = null) => element("div", {},
    element("dt", {}, name), element("dd", {}, value, note === null ? null : element("small", {}, note)));
  const share = data.frequency[latent];
  if (share === 0) return element("dl", { class: "stats" }, fact("Frequency", showShare(0), " dead: it never fired"));
  return element("dl", { class: "stats" },
    fact("Frequency", showShare(share), ` 1 in ${Math.round(1 / share).toLocaleString("en")} tokens`),
    fact("Images", showShare(data.imageFrequency[latent])),
    fact("Mean when active", showValue(data.meanValue[latent])),
    fact("Largest value", showValue(data.maxValue[latent])),
    data.spread === null ? null : fact("Pictures by strength", showNumber(data.spread[latent]), topRatioNote(data.topRatio[latent])),
    data.seeds === null ? null : fact("Found in other seeds", `${data.seeds.found[latent]} of ${data.seeds.n}`,
      ` cosine ${data.seeds.cosine === null ? `\u2265 ${data.seeds.least}` : data.seeds.cosine[latent].toFixed(2)}`));
}

/** How much the first picture outshines the second. */
function topRatioNote(ratio) {
  return ratio > 0 ? ` first \u00d7${showNumber(ratio)} the second` : null;
}

/** A share as whole per cent. */
function wholePercent(share) {
  return `${Math.round(100 * share)}\u202f%`;
}

/** Average precision without the zero before the point: .23, 1. */
function showPrecision(precision) {
  return precision.toFixed(2).replace(/^0/, "");
}

/** Average precision in words, with what chance reaches; empty where it is not known. */
function precisionNote({ precision, prevalence }) {
  return precision === null ? "" : `Its largest values in pictures rank those with the label with an average precision of ${showPrecision(precision)} (by chance ${showPrecision(prevalence)}). `;
}

/** What a latent is about in a few words: its name, otherwise its label; undefined if it has neither. */
function latentCaption(data, latent) {
  return data.nameOf(latent) ?? data.topLabels.get(latent)?.label;
}

/** The user's name for a latent, and the one that was found, with its score and the runners-up: what a line of it holds. */
function nameParts(data, latent) {
  const [own, found] = [data.ownName(latent), data.names.get(latent)];
  const mine = own === "" ? [] : [element("strong", { class: "own-name", title: "Your name" }, userText(own)), " "];
  if (found === undefined) return mine;
  const others = found.runnersUp.map(([name, score]) => `${name} (${showValue(score)})`).join(", ");
  return [...mine,
    own === "" ? element("strong", {}, userText(found.name)) : element("span", { class: "soft" }, "found: ", userText(found.name)),
    element("span", { class: "soft" }, ` score ${showValue(found.score)}`),
    ...(others === "" ? [] : [element("span", { class: "soft runners-up" }, " then ", userText(others))])];
}

/** Where a value stands on the axis of the bins, all of the same width: 2.5 is the middle of the third one. */
function binPlace(edges, value) {
  const bin = Math.max(0, edges.findLastIndex((edge) => edge <= value));
  if (bin >= edges.length - 1) return edges.length - 1;
  const [low, high] = [edges[bin], edges[bin + 1]];
  const share = low > 0 ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return bin + Math.max(0, Math.min(1, share));
}

/** A histogram of a latent's values with its percentiles marked. */
function valueHistogram(data, page) {
  const { histogram, percentiles } = page;
  const filled = histogram.flatMap((count, bin) => (count > 0 ? [bin] : []));
  const [first, last] = [Math.max(0, filled[0] - 1), filled.at(-1) + 1];
  const [width, height, side, bottom] = [360, 180, 12, 144];
  const x = (place) => side + ((place - first) / (last - first)) * (width - 2 * side);
  const marks = percentileMarks(percentiles, (value) => x(binPlace(data.binEdges, value)));
  const top = 20 + 13 * Math.max(0, ...marks.map(({ row }) => row));
  const text = (attributes, content) => svgElement("text", attributes, content);
  const bars = filled.map((bin) => {
    const tall = Math.max(1, (histogram[bin] / Math.max(...histogram)) * (bottom - top));
    return svgElement("rect", { class: "bar", x: x(bin) + 0.5, y: bottom - tall, width: Math.max(0.5, x(1) - x(0) - 1), height: tall },
      svgElement("title", {}, `${showValue(data.binEdges[bin])} to ${showValue(data.binEdges[bin + 1])}: ${showCount(histogram[bin], "token")}`));
  });
  const lines = marks.flatMap(({ percent, at, row }) => [
    svgElement("line", { class: "percentile", x1: at, x2: at, y1: top - 4 - 13 * row, y2: bottom }),
    text({ class: "percentile-text", x: at, y: top - 7 - 13 * row, "text-anchor": "middle" }, `${percent}%`)]);
  const ticks = [first, (first + last) >> 1, last].map((bin, i) =>
    text({ x: x(bin), y: bottom + 16, "text-anchor": ["start", "middle", "end"][i] }, showValue(data.binEdges[bin])));
  return svgElement("svg", { class: "histogram", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": histogramText(page) },
    ...bars, ...lines, svgElement("line", { class: "axis", x1: side, x2: width - side, y1: bottom, y2: bottom }),
    ...ticks, text({ x: width / 2, y: height - 3, "text-anchor": "middle" }, "Value when active (log scale)"));
}

/** The histogram in words. */
function histogramText({ histogram, percentiles }) {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  const said = percentiles.map(([percent, value]) => `${percent} % are at most ${showValue(value)}`).join(", ");
  return `Histogram of the values on ${showCount(total, "token")}, log scale${said && `: ${said}`}.`;
}

/** Where the percentiles stand: {percent, at, row}; labels that would touch are in rows above each other. */
function percentileMarks(percentiles, place) {
  const ends = [];
  return percentiles.map(([percent, value]) => {
    const at = place(value);
    const row = [0, 1, 2, 3].find((r) => (ends[r] ?? -Infinity) < at - 16) ?? 0;
    ends[row] = at + 16;
    return { percent, at, row };
  });
}

/** The values at the percentiles as a small table. */
function percentileTable(percentiles) {
  return element("table", { class: "percentiles" },
    element("caption", { class: "hidden" }, "Percentiles of the values"),
    element("tr", {}, element("th", { scope: "row" }, "Percentile"), ...percentiles.map(([percent]) => element("td", {}, `${percent}`))),
    element("tr", {}, element("th", { scope: "row" }, "Value"), ...percentiles.map(([, value]) => element("td", {}, showValue(value)))));
}

const maxQ = 0.05; // as in gallery/labels.py

/** Labels of the strongest tenth, with bars of their purity; a tick marks those that are no chance. */
function labelTable(counts) {
  const head = [["", "Label"], ["Top tenth", "Share of this label in the strongest tenth of what it fires on"],
    ["All", "Share of this label in all it fires on, however weakly"], ["Lift", "The share in the strongest tenth over the share of this label everywhere"],
    ["AP", "Average precision with which its largest values in pictures rank those with the label; chance is the share of these pictures"],
    ["q", "Whether more images of its strongest tenth have this label than chance explains, corrected for all latents and labels (Benjamini-Hochberg): at most 0.05 is significant"]];
  return element("table", { class: "labels" },
    element("thead", {}, element("tr", {}, ...head.map(([name, note], i) =>
      (i === 0 ? element("th", { scope: "col" }, note) : element("th", { scope: "col", title: note }, name))))),
    element("tbody", {}, ...counts.map((one) => element("tr", { class: one.q <= maxQ ? "significant" : "" },
      element("th", { scope: "row", title: one.label }, breakableText(one.label)),
      element("td", { title: one.count.toLocaleString("en") }, shareBar(one.purity, wholePercent(one.purity))),
      element("td", {}, one.overall === null ? "" : wholePercent(one.overall)),
      element("td", {}, `\u00d7${Number(one.lift.toPrecision(2))}`),
      element("td", { title: precisionNote(one) }, one.precision === null ? "" : showPrecision(one.precision)),
      element("td", { title: one.q <= maxQ ? "significant" : "may be chance" }, `${one.q <= maxQ ? "\u2713\u202f" : ""}${showQ(one.q)}`)))));
}

/** A text of the user's that may go on in the next line behind what joins words. */
function breakableText(text) {
  return element("bdi", {}, ...text.split(/(?<=[_/.,-])/).flatMap((part, i) => (i === 0 ? [part] : [element("wbr"), part])));
}

/** A bar of a share 0..1 with its text. */
function shareBar(share, text) {
  const bar = element("span", { class: "share-bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", share);
  return element("span", { class: "share" }, bar, element("span", {}, text));
}
