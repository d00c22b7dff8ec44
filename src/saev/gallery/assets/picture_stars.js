"use strict";
// Pictures that the user starred: a set of pictures that latents can be judged by. Kept in the browser, under the SAE's id.

/** "change" tells of any change, "trouble" of a failure to keep them (event.detail is its text). */
class PictureStars extends EventTarget {
  constructor(saeId) {
    super();
    this.key = `saev-stars:${saeId}`;
    this.read();
    addEventListener("storage", ({ key }) => { // another tab changed them
      if (key !== this.key) return;
      this.read();
      this.tell();
    });
  }

  read() {
    const kept = recallValue("localStorage", this.key);
    const isOurs = Array.isArray(kept) && kept.every((one) => isPictureStar(one));
    this.stars = new Map(isOurs ? kept.map((one) => [starKey(one), one]) : []);
  }

  /** Whether `picture`, an entry of `data.pictures`, has a star. */
  has(data, { id, name }) {
    return this.stars.has(starKey({ picture: id, name, set: data.setName }));
  }

  /** Gives pictures, entries of `data.pictures`, a star, or takes it from them. */
  set(data, pictures, isStarred) {
    for (const { id, name } of pictures) {
      const star = { picture: id, name, set: data.setName };
      if (isStarred) this.stars.set(starKey(star), star);
      else this.stars.delete(starKey(star));
    }
    const error = keep("localStorage", this.key, JSON.stringify([...this.stars.values()]));
    this.dispatchEvent(new CustomEvent("trouble", { detail: error === null ? "" : `Stars of pictures cannot be kept in this browser (${error.message}).` }));
    this.tell();
  }

  /** Brings all stars on the page up to date, then tells. */
  tell() {
    for (const shown of document.querySelectorAll("button[data-starred]")) shown.setAttribute("aria-pressed", String(this.stars.has(shown.dataset.starred)));
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** Numbers and names of pictures are those of an image set: another picture that has got the number since has no star. */
const starKey = ({ picture, name, set }) => JSON.stringify([set, picture, name]);

function isPictureStar(value) {
  return Number.isInteger(value?.picture) && value.picture >= 0 && typeof value.name === "string" && typeof value.set === "string";
}

/** Stars a picture, an entry of `data.pictures`, and takes the star away again. */
function pictureStarButton({ data, stars }, picture) {
  const button = element("button", {
    type: "button", class: "star", "aria-pressed": String(stars.has(data, picture)), "data-starred": starKey({ picture: picture.id, name: picture.name, set: data.setName }),
    "aria-label": `Star picture ${picture.name}`, title: "Star the picture: starred ones are a set that latents can be judged by",
  });
  button.addEventListener("click", () => stars.set(data, [picture], !stars.has(data, picture)));
  return button;
}
