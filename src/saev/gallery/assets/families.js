"use strict";
// Families: latents that decode to like directions and fire together. All of them, or one with its members.

/** {of: the family of each latent or -1, names, members: Map of family -> latents, x and y: places on the map}. */
function familiesOf(raw) {
  if (raw === undefined) return null;
  const of = numbersOf(raw.family, Int32Array);
  const members = new Map();
  of.forEach((family, latent) => {
    if (family < 0) return;
    if (!members.has(family)) members.set(family, []);
    members.get(family).push(latent);
  });
  const places = (base64) => Float32Array.from(numbersOf(base64, Uint16Array), (step) => step / 65534); // above 1 where there is none
  return { of, names: raw.names, members, x: places(raw.x), y: places(raw.y) };
}

/** "family 3: eyes (8)", or null. */
function familyText({ families }, latent) {
  const family = families?.of[latent] ?? -1;
  return family < 0 ? null : `${familyTitle(families, family)} (${families.members.get(family).length})`;
}

function familyTitle({ names }, family) {
  return names[family] === null ? `family ${family}` : `family ${family}: ${names[family]}`;
}

/** A link to the family of a latent; null if it is in none. */
function familyLink({ families }, latent) {
  const family = families?.of[latent] ?? -1;
  if (family < 0) return null;
  const { length } = families.members.get(family);
  return element("p", { class: "family-link" }, element("a", { href: `#family=${family}` }, `Family of ${length}`),
    families.names[family] === null ? null : element("span", {}, " ", userText(families.names[family])));
}

class FamilyView {
  static nPictures = 3;

  constructor(container, app) {
    Object.assign(this, { container, app });
  }

  show({ family }) {
    const { families } = this.app.data;
    const number = /^\d{1,9}$/.test(family) ? Number(family) : NaN;
    if (families !== null && family === "all") this.showAll(families);
    else if (families?.members.has(number)) this.showOne(families, number);
    else {
      this.container.replaceChildren(this.head(`Family ${family}`), element("p", { class: "empty" },
        families === null ? "This gallery was made without families." : `There is no family ${family}.`));
    }
  }

  head(title, ...links) {
    return element("div", { class: "latent-head" }, element("h1", { tabindex: "-1" }, title),
      element("nav", { class: "steps", "aria-label": "Families" }, ...links, element("a", { class: "step", href: "#" }, "All latents")));
  }

  showOne(families, family) {
    const step = (to, text) => (families.members.has(to)
      ? element("a", { class: "step", href: `#family=${to}` }, text)
      : element("span", { class: "step", "aria-disabled": "true" }, text));
    const members = families.members.get(family);
    this.container.replaceChildren(this.head(familyHeading(families, family), step(family - 1, "\u2190 Previous"), step(family + 1, "Next \u2192"),
        element("a", { class: "step", href: "#family=all" }, "All families")),
      element("p", { class: "note" }, `${showCount(members.length, "latent")} with like decoder directions that fire together.`),
      element("ul", { class: "family-members" }, ...members.map((latent) => this.member(latent))));
  }

  member(latent) {
    const { data } = this.app;
    return element("li", { class: "panel" },
      element("div", { class: "family-head" }, latentLink(this.app, latent), ...flagChips(data, latent)),
      latentPreview(data, latent, FamilyView.nPictures), cardNumbers(data, latent));
  }

  showAll(families) {
    const cards = [...families.members].sort(([a], [b]) => a - b).map(([family, members]) => element("li", { class: "panel" },
      element("div", { class: "family-head" }, element("a", { href: `#family=${family}` }, familyHeading(families, family)),
        element("span", { class: "soft" }, showCount(members.length, "latent"))),
      element("div", { class: "family-firsts" }, ...members.slice(0, FamilyView.nPictures).map((latent) => latentPreview(this.app.data, latent)))));
    this.container.replaceChildren(this.head("Families of latents"),
      element("p", { class: "note" }, `${cards.length.toLocaleString("en")} families of latents with like decoder directions that fire together. `
        + "A name is a label or word that most members share, where so many are no chance."),
      element("ul", { class: "family-members" }, ...cards));
  }
}

/** "Family 3: eyes" as text of the page. */
function familyHeading(families, family) {
  const title = familyTitle(families, family);
  return title[0].toUpperCase() + title.slice(1);
}
