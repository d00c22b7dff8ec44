"use strict";
// Pictures that the user starred: a set of pictures that latents can be judged by. They are kept where notes are: in the
// browser, under the SAE's id, or by `saev view` in the run (notes_run.js).

/** "change" tells of any change. `keeper` is that of notes: `readStars()` gives all, `keepStars(stars, isStarred)` is called for those that the user changed. */
class PictureStars extends EventTarget {
  constructor(keeper) {
    super();
    this.keeper = keeper;
    keeper.connectStars(this);
    this.put(keeper.readStars());
  }

  get list() {
    return [...this.stars.values()];
  }

  /** Whether `picture`, an entry of `data.pictures`, has a star. */
  has(data, { id, name }) {
    return this.stars.has(starKey({ picture: id, name, set: data.setName }));
  }

  /** Gives pictures, entries of `data.pictures`, a star, or takes it from them. */
  set(data, pictures, isStarred) {
    this.change(pictures.map(({ id, name }) => ({ picture: id, name, set: data.setName })), isStarred);
  }

  /** Adds stars or takes them away; gives how many that changes. */
  change(stars, isStarred) {
    const changed = stars.filter((star) => this.stars.has(starKey(star)) !== isStarred);
    this.put(withStars(this.list, changed.map((star) => ({ star, isStarred }))));
    if (changed.length > 0) this.keeper.keepStars(changed, isStarred);
    return changed.length;
  }

  /** Takes over all stars, from wherever they come; brings the page up to date, then tells. */
  put(stars) {
    this.stars = new Map(stars.map((one) => [starKey(one), one]));
    for (const shown of document.querySelectorAll("button[data-starred]")) shown.setAttribute("aria-pressed", String(this.stars.has(shown.dataset.starred)));
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** Numbers and names of pictures are those of an image set: another picture that has got the number since has no star. */
const starKey = ({ picture, name, set }) => JSON.stringify([set, picture, name]);

/** A star of a file or of the browser's storage, with no more than its three fields; null for what is none: a server refuses that, too. */
function readStar(value) {
  const isStar = isCount(value?.picture) && isText(largestNote)(value.name) && isText(largestNote)(value.set);
  return isStar ? { picture: value.picture, name: value.name, set: value.set } : null;
}

/** Stars after some changes, [{star, isStarred}]. */
function withStars(stars, changes) {
  const found = new Map(stars.map((one) => [starKey(one), one]));
  for (const { star, isStarred } of changes) {
    if (isStarred) found.set(starKey(star), star);
    else found.delete(starKey(star));
  }
  return [...found.values()];
}

/** Stars a picture, an entry of `data.pictures`, and takes the star away again. */
function pictureStarButton({ data, stars }, picture) {
  const button = element("button", {
    type: "button", class: "star", "aria-pressed": String(stars.has(data, picture)), "data-starred": starKey({ picture: picture.id, name: picture.name, set: data.setName }),
    "aria-label": `Star picture ${picture.name}`, title: `Star the picture: starred ones are a set that latents can be judged by. Kept in ${stars.keeper.place}`,
  });
  button.addEventListener("click", () => stars.set(data, [picture], !stars.has(data, picture)));
  return button;
}
