"use strict";
// Pictures under their heatmaps. A heatmap's canvas has one pixel a patch and is stretched over the picture by the
// style sheet, so that on/off, opacity, smooth and size are one change of style for all of them; for another colour map,
// threshold or scale the canvases in the page are drawn again.

const levelSources = new WeakMap(); // canvas -> what it shows
const legendSources = new WeakMap(); // legend's values -> what they are of
const heatLook = { map: null, threshold: 0, scale: "max" }; // threshold in per cent of what has the brightest colour
const nCropped = 5; // rows and columns of patches that a picture shows when it is pointed at

/** A canvas of `heat` = {at(i), p99}, in rows of `width`: levels 0..255, and the one that is the 99th percentile. */
function levelCanvas(data, width, height, heat, name) {
  const canvas = element("canvas", { class: `levels ${name}`, width, height, "aria-hidden": "true" });
  levelSources.set(canvas, { data, heat });
  drawLevels(canvas);
  return canvas;
}

function drawLevels(canvas) {
  const { data, heat } = levelSources.get(canvas);
  const table = data.colourMaps.get(heatLook.map) ?? data.colourMaps.values().next().value;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  const n = canvas.width * canvas.height;
  const top = topLevel(heat, n);
  for (let i = 0; i < n; i += 1) {
    const level = Math.min(255, Math.round((heat.at(i) / top) * 255));
    if (100 * level >= 255 * heatLook.threshold) pixels.data.set(table.subarray(4 * level, 4 * level + 4), 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

/** The level, not rounded, that has the brightest colour among `n` ones. */
function topLevel(heat, n) {
  if (heatLook.scale === "p99") return heat.p99;
  if (heatLook.scale === "max") return 255;
  return Math.max(...Array.from({ length: n }, (_, i) => heat.at(i))) || 255;
}

/**
 * The picture, an entry of `data.pictures`, under its heatmap if there is one, as `div.picture`. It is a grey tile of
 * the grid's shape if the picture was missing at rendering or its file is gone from the gallery.
 */
function heatPicture(data, picture, heat) {
  const made = element("div", { class: "picture" });
  const toTile = () => {
    made.classList.add("missing");
    made.classList.remove("crop");
    made.style.setProperty("--aspect", `${data.columns} / ${data.rows}`);
    made.firstChild?.remove();
    made.prepend(element("span", { class: "missing-text" }, picture.isElsewhere ? "not in this set" : picture.isLeftOut ? "no thumbnail" : "picture missing"));
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
  if (heat !== undefined) made.append(levelCanvas(data, data.columns, data.rows, heat, "heat"));
  if (!picture.isMissing) aimCrop(data, made, heat);
  return made;
}

/** Tells the style sheet where the strongest patch is, and how much larger a picture is that shows those around it. */
function aimCrop(data, made, heat) {
  const patch = strongestPatch(data, heat);
  const zoom = Math.min(data.rows, data.columns) / nCropped;
  if (patch === null || zoom <= 1) return;
  const origin = (place, n) => { // what stays where it is: the strongest patch comes to the middle, or as near as the edge lets it
    const start = Math.min(Math.max((place + 0.5) / n - 0.5 / zoom, 0), 1 - 1 / zoom);
    return `${(100 * start) / (1 - 1 / zoom)}%`;
  };
  made.classList.add("crop");
  made.style.setProperty("--zoom", zoom);
  made.style.setProperty("--aim", `${origin(patch % data.columns, data.columns)} ${origin(Math.floor(patch / data.columns), data.rows)}`);
}

/** The patch where it fires most, or null if that is nowhere. */
function strongestPatch(data, heat) {
  const levels = Array.from({ length: heat === undefined ? 0 : data.rows * data.columns }, (_, patch) => heat.at(patch));
  const strongest = levels.reduce((best, level, patch) => (level > levels[best] ? patch : best), 0);
  return levels[strongest] > 0 ? strongest : null;
}

/** The picture in words, for those who do not see it. */
function pictureText(data, picture, heat) {
  const text = picture.label === null ? picture.name : `${picture.name} (${picture.label})`;
  const strongest = strongestPatch(data, heat);
  return strongest === null ? text : `${text}, fires most in ${patchText(data, strongest)}`;
}

/** The place of a patch in words, counted from 1. */
function patchText(data, patch) {
  return `row ${Math.floor(patch / data.columns) + 1}, column ${(patch % data.columns) + 1}`;
}

/** The colour scale of a latent's heatmap, or with `heat` = {p99} alone of all its heatmaps. */
function heatLegend(data, latent, heat) {
  const values = element("div", { class: "legend-values" });
  legendSources.set(values, { data, latent, heat });
  const legend = element("div", { class: "heat-legend", role: "img" },
    levelCanvas(data, 256, 1, { at: (i) => i, p99: 255 }, "scale-bar"), values,
    data.scale === data.maxValue ? null : element("p", { class: "legend-note" }, `Scale of "${app.sets.list[0].title}"`));
  drawLegend(values, legend);
  return legend;
}

function drawLegend(values, legend = values.parentElement) {
  const { data, latent, heat } = legendSources.get(values);
  const isOwn = heatLook.scale === "picture" && heat.at === undefined; // each of many pictures has its own
  const top = isOwn ? null : (topLevel(heat, data.rows * data.columns) / 255) * data.scale[latent];
  const texts = isOwn ? ["0", "largest in each picture"]
    : ["0", showValue(top / 2), `${heatLook.scale !== "picture" && top < data.maxValue[latent] ? "\u2265 " : ""}${showValue(top)}`];
  legend.setAttribute("aria-label", `Colours from 0 to ${texts.at(-1)}`);
  values.replaceChildren(...texts.map((text) => element("span", {}, text)));
}

/** Connects the controls in the bar with the heatmaps; what they say is kept in the browser. */
function connectHeatControls(data) {
  const names = ["on", "opacity", "threshold", "map", "smooth", "scale", "size", "masks"];
  const controls = names.map((name) => document.getElementById(`heat-${name}`));
  const [on, opacity, threshold, map, smooth, scale, size, masks] = controls;
  document.getElementById("masks-label").hidden = data.maskNames.length === 0;
  map.append(...[...data.colourMaps.keys()].map((name) => element("option", { value: name }, name)));
  const property = (control) => (control.type === "checkbox" ? "checked" : "value");
  const kept = Object(recallValue("localStorage", "saev-heat"));
  const isChoice = ({ options }, value) => options === undefined || [...options].some((option) => option.value === value);
  names.forEach((name, i) => {
    if (name in kept && isChoice(controls[i], kept[name])) controls[i][property(controls[i])] = kept[name];
  });
  const apply = () => {
    const root = document.documentElement;
    root.dataset.heat = on.checked ? "on" : "off";
    root.dataset.smooth = smooth.checked ? "on" : "off";
    root.dataset.size = size.value;
    root.dataset.masks = masks.checked ? "on" : "off";
    root.style.setProperty("--heat-opacity", String(opacity.value / 100));
    const look = { map: map.value, threshold: Number(threshold.value), scale: scale.value };
    if (Object.keys(look).every((key) => look[key] === heatLook[key])) return;
    Object.assign(heatLook, look);
    document.querySelectorAll("canvas.levels").forEach((canvas) => drawLevels(canvas));
    document.querySelectorAll(".legend-values").forEach((values) => drawLegend(values));
  };
  const changed = () => {
    apply();
    keep("localStorage", "saev-heat", JSON.stringify(Object.fromEntries(names.map((name, i) => [name, controls[i][property(controls[i])]]))));
  };
  for (const control of controls) control.addEventListener("input", changed);
  apply();
}

/** Where the controls would need a second line of the bar they are a menu. */
function foldHeatControls(bar, hasPictures) {
  const menu = document.getElementById("heat-menu");
  menu.hidden = !hasPictures;
  const isFolded = () => menu.classList.contains("folded-menu");
  const fit = () => {
    const wasOpen = menu.open && isFolded();
    menu.classList.remove("folded-menu");
    menu.open = true;
    const lines = bar.clientHeight / parseFloat(getComputedStyle(document.documentElement).fontSize);
    menu.classList.toggle("folded-menu", lines > 4); // one has three
    if (isFolded()) menu.open = wasOpen;
  };
  addEventListener("resize", fit);
  document.addEventListener("pointerdown", ({ target }) => { if (isFolded() && !menu.contains(target)) menu.open = false; });
  fit();
}
