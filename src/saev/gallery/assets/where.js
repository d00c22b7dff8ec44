"use strict";
// Where in pictures a latent fires: its mean heatmap, a few figures, and flags for latents that go with places.

/** What the flags of `saev.latents.survey.FLAGS` mean. */
const flagNotes = {
  edge: "Most of it is at the border of pictures: the odds are at least 3 times those of the grid",
  position: "It fires at few places of pictures: its spatial extent is at most 35\u202f%",
  dense: "It fires on at least 10\u202f% of all tokens",
  "one picture": "At least half of its activation comes from one picture",
  boundary: "It fires at boundaries of masks: the odds are at least 3 times those of other patches with the same labels",
};

/** The profile of all latents, {names, flags(latent), of: {NAME: value(latent) or undefined}}; null in older galleries. */
function profileOf(raw) {
  if (raw === undefined) return null;
  const flags = bytesOf(raw.flags);
  const of = {};
  for (const name of ["onePicture", "border", "extent", "boundary", "boundaryExpected"]) {
    const levels = raw[name] === undefined ? null : bytesOf(raw[name]);
    of[name] = (latent) => (levels === null ? undefined : levels[latent] / 255);
  }
  const eighths = raw.patches === undefined ? null : numbersOf(raw.patches, Uint16Array);
  of.patches = (latent) => (eighths === null ? undefined : eighths[latent] / 8);
  return {
    names: raw.names,
    borderOfGrid: raw.borderOfGrid,
    flags: (latent) => raw.names.filter((_, bit) => flags[latent] & (1 << bit)),
    of,
  };
}

/** A value of the profile by which latents are sorted. */
const placeKey = (name) => (data, latent) => (data.frequency[latent] > 0 ? data.profile?.of[name](latent) : undefined);

/** The flags of a latent as chips. */
function flagChips(data, latent) {
  return (data.profile?.flags(latent) ?? []).map((name) => element("span", { class: "flag", title: flagNotes[name] }, name));
}

/** Whether a latent passes the filter of flags: "" for all, "none" for those without any. */
function passesFlag({ profile }, latent, flag) {
  if (flag === "" || profile === null) return true;
  const own = profile.flags(latent);
  return flag === "none" ? own.length === 0 : own.includes(flag);
}

/** Offers the flags that some latent of this gallery has, and to sort by the figures that it has. */
function offerPlaces({ profile, alive }) {
  const select = document.getElementById("filter-flag");
  const has = new Set(alive.flatMap((latent) => profile?.flags(latent) ?? []));
  select.append(...Object.keys(flagNotes).filter((name) => has.has(name)).map((name) => element("option", { value: name }, name)));
  select.hidden = has.size === 0;
  for (const option of document.querySelectorAll("#sort-places option")) {
    option.hidden = profile === null || alive.length === 0 || placeKey(option.value)({ profile, frequency: [1] }, 0) === undefined;
  }
  document.getElementById("sort-places").hidden = profile === null;
}

/** The panel of a latent: its mean heatmap beside the figures, the flags below. */
function placePanel(data, page) {
  const { profile } = data;
  if (profile === null || page.meanMap === null) return null;
  const { most, levels } = page.meanMap;
  const map = element("figure", { class: "mean-map" },
    levelCanvas(data, data.columns, data.rows, { at: (patch) => levels[patch], p99: 255 }, "mean"),
    element("figcaption", {}, `brightest: ${showValue(most)}`));
  map.firstChild.style.aspectRatio = `${data.columns} / ${data.rows}`;
  const flags = profile.flags(page.index);
  return panel("Where in pictures it fires", element("div", { class: "where" }, map, placeFigures(data, page.index)),
    ...flags.map((name) => element("p", { class: "note" }, element("span", { class: "flag" }, name), ` ${flagNotes[name]}.`)),
    element("p", { class: "note" }, "Mean activation at each position, over all pictures."));
}

function placeFigures(data, latent) {
  const { of, borderOfGrid } = data.profile;
  const share = (name) => `${Math.round(100 * of[name](latent))}\u202f%`;
  const expected = (text) => element("small", {}, ` ${text}`);
  const rows = [
    ["border", "Border", "Share of its activation on the outermost ring of patches", `grid ${Math.round(100 * borderOfGrid)}\u202f%`],
    ["extent", "Extent", "Spatial extent: effective share of the grid on which it fires: 100\u202f% if all positions are alike", null],
    ["boundary", "Boundary", "Share of the labelled patches on which it fires that are at a boundary of masks; expected is that of all patches with the same labels",
      of.boundary(latent) === undefined ? null : `expected ${share("boundaryExpected")}`],
    ["onePicture", "One picture", "Share of its activation that comes from one picture", null],
  ].filter(([name]) => of[name](latent) !== undefined);
  const row = (name, note, value, more) => element("div", { title: note }, element("dt", {}, name), element("dd", {}, value, more === null ? null : expected(more)));
  const patches = of.patches(latent);
  return element("dl", { class: "where-figures" },
    ...rows.map(([name, title, note, more]) => row(title, note, share(name), more)),
    patches === undefined ? null : row("Patches", "On so many patches it fires in a picture, on average over those where it does", showNumber(patches), "a picture"));
}
