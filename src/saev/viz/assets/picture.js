"use strict";
// A picture under its heatmap. The canvas has one pixel a patch and is stretched over the picture by the style
// sheet, so that opacity, on/off and sharp or smooth are one change of style for all pictures at once.

/** A canvas of the grid's size with the colours of `patches` (levels 0..255, row-major). */
function heatCanvas(patches) {
  const [height, width] = Data.grid;
  const canvas = element("canvas", { class: "heat", width, height, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  patches.forEach((level, i) => pixels.data.set(Data.colours.subarray(4 * level, 4 * level + 4), 4 * i));
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** The picture of an example with its heatmap, or a grey tile if the picture was not there. */
function heatPicture(example) {
  if (example.size === null) {
    return element("div", { class: "picture missing", title: example.name }, "picture missing");
  }
  const [width, height] = example.size;
  const image = element("img", {
    src: `images/${String(example.image).padStart(8, "0")}.jpg`,
    alt: example.label === null ? example.name : `${example.name} (${example.label})`,
    width, height, loading: "lazy", decoding: "async",
  });
  return element("div", { class: "picture" }, image, heatCanvas(Data.bytes(example.patches)));
}

/** The colour scale from 0 to `max` as an element. */
function heatLegend(max) {
  const canvas = element("canvas", { width: 256, height: 1, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(256, 1);
  pixels.data.set(Data.colours.map((value, i) => (i % 4 === 3 ? 255 : value)));
  context.putImageData(pixels, 0, 0);
  return element("div", { class: "legend" }, "0", canvas, showValue(max));
}

/** Connects the controls in the bar; they act on the root element's style. */
function connectHeatControls() {
  const root = document.documentElement;
  const [on, opacity, smooth] = ["heat-on", "heat-opacity", "heat-smooth"].map((id) => document.getElementById(id));
  const apply = () => {
    root.dataset.heat = on.checked ? "on" : "off";
    root.dataset.smooth = smooth.checked ? "on" : "off";
    root.style.setProperty("--heat-opacity", String(opacity.value / 100));
  };
  for (const control of [on, opacity, smooth]) control.addEventListener("input", apply);
  apply();
}
