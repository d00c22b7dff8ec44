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
    data.seeds === null ? null : fact("Found in other seeds", `${data.seeds.found[latent]} of ${data.seeds.n}`, ` cosine \u2265 ${data.seeds.least}`));
}

/** What a latent is about in a few words: the name that was found, otherwise its label; undefined if it has neither. */
function latentCaption(data, latent) {
  return data.names.get(latent)?.name ?? data.topLabels.get(latent)?.label;
}

/** The name that was found for a latent, with its score and the runners-up; null if it has none. */
function latentName(data, latent) {
  const found = data.names.get(latent);
  if (found === undefined) return null;
  const others = found.runnersUp.map(([name, score]) => `${name} (${showValue(score)})`).join(", ");
  return element("p", { class: "latent-name" },
    element("strong", {}, userText(found.name)),
    element("span", { class: "soft" }, ` score ${showValue(found.score)}`),
    others === "" ? null : element("span", { class: "soft runners-up" }, " then ", userText(others)));
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

/** Labels on which a latent fires, with bars of their purity; a tick marks those that are no chance. */
function labelTable(counts) {
  const head = [["", "Label"], ["Count", "Images or patches with this label on which the latent fires"],
    ["Purity", "Their share of all labelled ones on which it fires"], ["Lift", "That share over the share of this label everywhere"],
    ["q", "Whether it fires on more images with this label than chance explains, corrected for all latents and labels (Benjamini-Hochberg): at most 0.05 is significant"]];
  return element("table", { class: "labels" },
    element("thead", {}, element("tr", {}, ...head.map(([name, note], i) =>
      (i === 0 ? element("th", { scope: "col" }, note) : element("th", { scope: "col", title: note }, name))))),
    element("tbody", {}, ...counts.map(({ label, count, purity, lift, q }) => element("tr", { class: q <= maxQ ? "significant" : "" },
      element("th", { scope: "row", title: label }, userText(label)),
      element("td", {}, count.toLocaleString("en")),
      element("td", {}, shareBar(purity, showShare(purity))),
      element("td", {}, `\u00d7${showNumber(lift)}`),
      element("td", { title: q <= maxQ ? "significant" : "may be chance" }, `${q <= maxQ ? "\u2713\u202f" : ""}${showQ(q)}`)))));
}

/** A bar of a share 0..1 with its text. */
function shareBar(share, text) {
  const bar = element("span", { class: "share-bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", share);
  return element("span", { class: "share" }, bar, element("span", {}, text));
}
