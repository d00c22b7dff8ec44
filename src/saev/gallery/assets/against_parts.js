"use strict";
// What a latent against a label shows: pictures, a histogram that is split by the label.

/** Where a latent fires in a picture: as its page has it, or else the picture's own, whose lists may be cut; undefined if neither is here. */
async function heatIn(data, page, id) {
  const stored = page.heatmap(id);
  if (stored !== undefined) return stored;
  const codes = await data.picture(id).catch(() => null);
  if (codes === null) return undefined;
  const levels = codes.patches.map((list) => list.find(({ latent }) => latent === page.index)?.level ?? 0);
  return { at: (patch) => levels[patch], p99: page.p99 };
}

/** A picture that a latent is judged by: {place, value where it fires, near: {value, patch} where it is silent}. */
function judgedFigure(app, page, known, attribute, { place, value, near }) {
  const { data } = app;
  const id = known.images[place];
  const picture = data.pictures.get(id);
  const text = value === undefined ? near === undefined ? "silent" : showSigned(near.value) : showValue(value);
  const title = value === undefined ? "Silent: its largest pre-activation" : "Its largest value";
  const caption = [element("div", { class: "value" }, element("strong", { title }, text), pictureStarButton(app, picture))];
  const link = element("a", { href: hrefIn(data, `#picture=${id}&latent=${page.index}`), class: "example" }, emptyPicture(picture));
  whenNear(link, async () => {
    const [heat, labels] = await Promise.all([value === undefined ? undefined : heatIn(data, page, id), attribute.mask === null ? null : data.maskOf(id).catch(() => null)]);
    const made = heatPicture(data, picture, heat);
    if (!picture.isMissing) made.append(labels === null ? "" : maskOutline(data, labels, attribute.mask), near === undefined ? "" : patchMark(data, near.patch));
    link.replaceChildren(made);
  });
  return element("figure", { role: "listitem" }, link,
    element("figcaption", {}, ...caption, element("div", { class: "name", title: picture.name }, userText(picture.name))));
}

/** A number that may be below 0, with its sign. */
const showSigned = (x) => `${x < 0 ? "\u2212" : "+"}${showValue(Math.abs(x))}`;

/** The frame of a patch. */
function patchMark(data, patch) {
  const at = { x: patch % data.columns, y: Math.floor(patch / data.columns), width: 1, height: 1 };
  return svgElement("svg", { class: "patch-mark", viewBox: `0 0 ${data.columns} ${data.rows}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svgElement("rect", { class: "mask-halo", ...at }), svgElement("rect", { class: "mask-line", ...at }));
}

/** Values on pictures with the label, upwards, and on those without it, downwards, each in shares of these; a line at the threshold. */
function splitHistogram(judged, attribute, max, threshold) {
  const [nBins, width, height, middle] = [60, 720, 150, 76];
  const bins = [new Float64Array(nBins), new Float64Array(nBins)];
  const n = [0, 0];
  judged.places.forEach((place, i) => {
    const is = attribute.isOf(place);
    if (is < 0) return;
    bins[is][Math.min(nBins - 1, Math.floor((judged.values[i] / max) * nBins))] += 1;
    n[is] += 1;
  });
  const totals = [attribute.nWithout, attribute.nWith];
  const top = Math.max(...bins.flatMap((list, is) => Array.from(list, (count) => count / totals[is]))) || 1;
  const x = (value) => ratio(value, max) * width; // of a silent latent the largest value is 0
  const bars = bins.flatMap((list, is) => Array.from(list, (count, bin) => {
    if (count === 0) return null;
    const tall = Math.max(1.5, (count / totals[is] / top) * 60);
    const edges = [bin, bin + 1].map((edge) => showValue((edge / nBins) * max));
    return svgElement("rect", { class: is === 1 ? "bar" : "bar without", x: x((bin * max) / nBins) + 0.5, y: is === 1 ? middle - tall : middle, width: width / nBins - 1, height: tall },
      svgElement("title", {}, `${edges.join(" to ")}: ${showCount(count, "picture")} ${is === 1 ? "with" : "without"} the label`));
  }).filter((bar) => bar !== null));
  const said = (is) => `${is === 1 ? "With" : "Without"} the label: fires on ${n[is].toLocaleString("en")} of ${totals[is].toLocaleString("en")}`;
  const svg = svgElement("svg", { class: "histogram split", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Values split by the label. ${said(1)}. ${said(0)}.` },
    ...bars, svgElement("line", { class: "axis", x1: 0, x2: width, y1: middle, y2: middle }),
    svgElement("line", { class: "threshold", x1: x(threshold), x2: x(threshold), y1: 4, y2: height - 4 }));
  return [element("span", { class: "with" }, said(1)), svg, element("span", {}, said(0))];
}
