"use strict";
// The latents that fire together with one, as a small graph: links are cosines of co-activation, also among them.

/** The panel of a latent, or null if nothing fires together with it. */
function cofiringPanel(app, page) {
  if (page.coactive.length === 0) return null;
  const least = element("input", { type: "range", min: "0", max: "1", step: "0.01", "aria-label": "Least cosine of a link" });
  const [leastSaid, mostSaid] = [element("output", {}), element("output", {})];
  const most = element("input", { type: "range", min: "1", max: String(page.coactive.length), value: String(page.coactive.length), "aria-label": "How many neighbours" });
  const place = element("div", { class: "cofiring" });
  least.value = "0.1";
  const draw = (links) => {
    const bound = Number(least.value);
    leastSaid.textContent = `cosine \u2265 ${bound.toFixed(2)}`;
    mostSaid.textContent = `nearest ${showCount(Number(most.value), "latent")}`;
    place.replaceChildren(cofiringGraph(app.data, page, page.coactive.slice(0, Number(most.value)), links.filter(({ cosine }) => cosine >= bound)));
  };
  let links = page.coactive.map(({ latent, cosine }) => ({ ends: [page.index, latent], cosine }));
  const controls = element("div", { class: "cofiring-controls" }, element("label", {}, least, leastSaid), element("label", {}, most, mostSaid));
  for (const input of [least, most]) input.addEventListener("input", () => draw(links));
  draw(links);
  whenNear(place, async () => {
    links = await withLinksAmong(app.data, page, links);
    draw(links);
  });
  return panel("What fires together", place, controls);
}

/** The links of a latent and those among its neighbours, as far as these have pages. */
async function withLinksAmong(data, page, links) {
  const near = new Set(page.coactive.map(({ latent }) => latent));
  const pages = await Promise.all([...near].filter((latent) => data.hasPage.has(latent)).map((latent) => data.latent(latent).catch(unlessLeft(() => null))));
  const found = new Map();
  for (const one of pages) {
    for (const { latent, cosine } of one?.coactive ?? []) {
      if (near.has(latent)) found.set([one.index, latent].sort((a, b) => a - b).join(), { ends: [one.index, latent], cosine });
    }
  }
  return [...links, ...found.values()];
}

/** The latent in the middle, its neighbours around it, the strongest at the top. */
function cofiringGraph(data, page, near, links) {
  const [width, height, ring, radius] = [340, 250, 92, 19];
  const places = new Map([[page.index, [width / 2, height / 2]]]);
  near.forEach(({ latent }, i) => {
    const angle = (2 * Math.PI * i) / near.length - Math.PI / 2;
    places.set(latent, [width / 2 + 1.36 * ring * Math.cos(angle), height / 2 + ring * Math.sin(angle)]);
  });
  const lines = links.filter(({ ends }) => ends.every((latent) => places.has(latent))).map(({ ends, cosine }) => {
    const [[x1, y1], [x2, y2]] = ends.map((latent) => places.get(latent));
    return svgElement("line", { class: "link", x1, y1, x2, y2, "stroke-width": (0.5 + 7 * cosine).toFixed(2) },
      svgElement("title", {}, `${ends.join(" and ")}: cosine ${cosine.toFixed(2)}`));
  });
  const nodes = [...places].map(([latent, [x, y]]) => {
    const node = svgElement("a", { href: `#latent=${latent}`, class: latent === page.index ? "node own" : "node", "aria-label": `Latent ${latent}` },
      svgElement("title", {}, [`Latent ${latent}`, latentCaption(data, latent)].filter((text) => text !== undefined).join(": ")),
      svgElement("circle", { cx: x, cy: y, r: radius }), svgElement("text", { x, y: y + 4, "text-anchor": "middle" }, String(latent)));
    return node;
  });
  return svgElement("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Graph of what fires together" }, ...lines, ...nodes);
}
