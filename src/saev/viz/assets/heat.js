"use strict";
// Pictures under their heatmaps, with one pixel a patch.

function heatPicture(data, picture, heat) {
  if (picture.isMissing) return element("div", { class: "picture missing" }, "picture missing");
  const image = element("img", { src: data.imagePath(picture.id), alt: picture.name, width: picture.width, height: picture.height });
  const canvas = element("canvas", { class: "heat", width: data.columns, height: data.rows, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(data.columns, data.rows);
  const [table] = data.colourMaps.values();
  for (let i = 0; heat !== undefined && i < data.rows * data.columns; i += 1) pixels.data.set(table.subarray(4 * heat.at(i), 4 * heat.at(i) + 4), 4 * i);
  context.putImageData(pixels, 0, 0);
  return element("div", { class: "picture" }, image, canvas);
}

function connectHeatControls(data) {
  document.getElementById("heat-map").append(...[...data.colourMaps.keys()].map((name) => element("option", {}, name)));
  const on = document.getElementById("heat-on");
  const apply = () => { document.documentElement.dataset.heat = on.checked ? "on" : "off"; };
  on.addEventListener("input", apply);
  apply();
}
