"use strict";
// Pictures under their heatmaps. A heatmap's canvas has one pixel a patch and is stretched over the picture by the
// style sheet, so that on/off, opacity and smooth are one change of style for all of them; for another colour map or
// threshold the canvases in the page are drawn again.

const levelSources = new WeakMap(); // canvas -> what it shows
const heatLook = { map: null, threshold: 0 }; // threshold in per cent of the top level

/** A canvas of the levels at(0), at(1), ... in rows of `width`; `isScale` leaves the opacity of the levels out. */
function levelCanvas(data, width, height, at, isScale) {
  const canvas = element("canvas", { class: isScale ? "levels scale-bar" : "levels heat", width, height, "aria-hidden": "true" });
  levelSources.set(canvas, { data, at, isScale });
  drawLevels(canvas);
  return canvas;
}

function drawLevels(canvas) {
  const { data, at, isScale } = levelSources.get(canvas);
  const table = data.colourMaps.get(heatLook.map) ?? data.colourMaps.values().next().value;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < canvas.width * canvas.height; i += 1) {
    const level = 100 * at(i) < 255 * heatLook.threshold ? 0 : at(i);
    pixels.data.set(table.subarray(4 * level, 4 * level + 4), 4 * i);
    if (isScale) pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

/** The heatmap of `heat` = {at(patch)}, levels 0..255 of the patches in row-major order. */
function heatCanvas(data, heat) {
  return levelCanvas(data, data.columns, data.rows, heat.at, false);
}

/**
 * The picture, an entry of `data.pictures`, under its heatmap if there is one, as `div.picture`. It is a grey tile of
 * the grid's shape if the picture was missing at rendering or its file is gone from the gallery.
 */
function heatPicture(data, picture, heat) {
  const made = element("div", { class: "picture" });
  const toTile = () => {
    made.classList.add("missing");
    made.style.setProperty("--aspect", `${data.columns} / ${data.rows}`);
    made.firstChild?.remove();
    made.prepend(element("span", { class: "missing-text" }, "picture missing"));
  };
  if (picture.isMissing) {
    toTile();
  } else {
    const image = element("img", {
      src: picture.path ?? data.imagePath(picture.id), alt: pictureText(data, picture, heat),
      width: picture.width, height: picture.height, loading: "lazy", decoding: "async",
    });
    image.addEventListener("error", toTile);
    made.append(image);
  }
  if (heat !== undefined) made.append(heatCanvas(data, heat));
  return made;
}

/** The picture in words, for those who do not see it. */
function pictureText(data, picture, heat) {
  const text = picture.label === null ? picture.name : `${picture.name} (${picture.label})`;
  const levels = Array.from({ length: heat === undefined ? 0 : data.rows * data.columns }, (_, patch) => heat.at(patch));
  const strongest = levels.reduce((best, level, patch) => (level > levels[best] ? patch : best), 0);
  return levels[strongest] > 0 ? `${text}, fires most in ${patchText(data, strongest)}` : text;
}

/** The place of a patch in words, counted from 1. */
function patchText(data, patch) {
  return `row ${Math.floor(patch / data.columns) + 1}, column ${(patch % data.columns) + 1}`;
}

/** The colour scale of a latent whose largest value is `max`. */
function heatLegend(data, max) {
  return element("div", { class: "heat-legend", role: "img", "aria-label": `Colours from 0 to ${showValue(max)}` },
    levelCanvas(data, 256, 1, (i) => i, true),
    element("div", { class: "legend-values" }, ...[0, max / 2, max].map((value) => element("span", {}, showValue(value)))));
}

/** Connects the controls in the bar with the heatmaps; what they say is kept in the browser. */
function connectHeatControls(data) {
  const names = ["on", "opacity", "threshold", "map", "smooth"];
  const controls = names.map((name) => document.getElementById(`heat-${name}`));
  const [on, opacity, threshold, map, smooth] = controls;
  map.append(...[...data.colourMaps.keys()].map((name) => element("option", { value: name }, name)));
  const property = (control) => (control.type === "checkbox" ? "checked" : "value");
  const kept = Object(recallValue("localStorage", "saev-heat"));
  const isMap = data.colourMaps.has(kept.map);
  names.forEach((name, i) => {
    if (name in kept && (name !== "map" || isMap)) controls[i][property(controls[i])] = kept[name];
  });
  const apply = () => {
    const root = document.documentElement;
    root.dataset.heat = on.checked ? "on" : "off";
    root.dataset.smooth = smooth.checked ? "on" : "off";
    root.style.setProperty("--heat-opacity", String(opacity.value / 100));
    if (map.value === heatLook.map && Number(threshold.value) === heatLook.threshold) return;
    [heatLook.map, heatLook.threshold] = [map.value, Number(threshold.value)];
    document.querySelectorAll("canvas.levels").forEach(drawLevels);
  };
  const changed = () => {
    apply();
    keep("localStorage", "saev-heat", JSON.stringify(Object.fromEntries(names.map((name, i) => [name, controls[i][property(controls[i])]]))));
  };
  for (const control of controls) control.addEventListener("input", changed);
  apply();
}
