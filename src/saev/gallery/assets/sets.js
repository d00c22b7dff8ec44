"use strict";
// Image sets of a gallery: which there are, the switch between them, and the rows that show a latent in all of them. The
// address names the set, "&set=held_out", unless it is the first one. A set that was chosen stays until another one is:
// links within the page need not name it. Another set is another gallery, so that the page is loaded anew for it.

class ImageSets {
  /** The sets of the gallery in the folder `home`; one without a list, of an earlier version, has one set. */
  static async open(home = "") {
    return new ImageSets(home, (await take(`${home}data/sets.js`)).sets);
  }

  constructor(home, list) {
    this.home = home;
    this.list = list.filter(({ folder }) => folder === "" || isSibling(folder));
    this.shown = this.list[0];
    this.opened = new Map(); // name -> promise of its GalleryData
  }

  get isOne() {
    return this.list.length < 2;
  }

  find(name) {
    return this.list.find((one) => one.name === name);
  }

  /** Opens the set that the address names, or the first one, and why it is that one, if something is wrong. */
  async start() {
    const name = new URLSearchParams(location.hash.slice(1)).get("set");
    const found = name === null ? this.list[0] : this.find(name);
    try {
      if (found === undefined) throw new Error("this gallery has none of that name");
      this.shown = found;
      return [await this.data(found), ""];
    } catch (error) {
      if (found === this.list[0]) throw error;
      [this.shown] = this.list;
      return [await this.data(this.shown), `The image set "${name}" cannot be shown: ${error.message}. This is "${this.shown.title}".`];
    }
  }

  /** A promise of the data of a set. */
  data(set) {
    if (!this.opened.has(set.name)) {
      const promise = GalleryData.open(this.home, set);
      promise.catch(() => this.opened.delete(set.name));
      this.opened.set(set.name, promise);
    }
    return this.opened.get(set.name);
  }

  /** The half of the pictures that all sets keep to; null if one does not. */
  get half() {
    const halves = new Set(this.list.map(({ half }) => JSON.stringify(half ?? null)));
    return halves.size === 1 ? this.list[0].half ?? null : null;
  }

  /** A hash that names the set, which need not be named if it is the first one. */
  hash(hash, set, isNamed = set !== this.list[0]) {
    const params = new URLSearchParams(hash.slice(1));
    params.delete("set");
    if (isNamed) params.set("set", set.name);
    return `#${params}`;
  }

  /** A hash of the view, which names the shown set if it has to. */
  own(hash) {
    return this.isOne ? hash : this.hash(hash, this.shown);
  }

  connect() {
    this.bar = document.getElementById("sets");
    this.bar.hidden = this.isOne;
    document.getElementById("sets-key").hidden = this.isOne;
    if (this.isOne) return;
    this.links = new Map(this.list.map((set) => [set, element("a", { title: `Image set: ${set.title}`, ...(set === this.shown ? { "aria-current": "true" } : {}) }, userText(set.title))]));
    for (const [set, link] of this.links) link.addEventListener("click", (event) => { if (isPlain(event)) { event.preventDefault(); this.change(set); } });
    this.bar.append(...this.links.values());
    // A link that is copied or opened in another tab has to name the set.
    for (const type of ["pointerdown", "focusin"]) document.addEventListener(type, (event) => this.complete(event.target.closest?.('a[href^="#"]')));
  }

  complete(link) {
    if (!link || this.bar.contains(link) || new URLSearchParams(link.hash.slice(1)).has("set")) return;
    if (this.shown !== this.list[0]) link.setAttribute("href", this.hash(link.getAttribute("href"), this.shown));
  }

  /** Brings the address and the switch up to date; true if the page has to be loaded anew, as a new address names another set. */
  follow(isNew) {
    if (this.isOne) return false;
    const named = this.find(new URLSearchParams(location.hash.slice(1)).get("set"));
    if (isNew && named !== undefined && named !== this.shown) return true;
    const hash = this.hash(location.hash, this.shown);
    if (hash !== location.hash && !(hash === "#" && location.hash === "")) history.replaceState(history.state, "", hash);
    for (const [set, link] of this.links) link.setAttribute("href", this.hash(this.elsewhere(), set, true));
    return false;
  }

  /** What is shown now, as far as another set has it: pictures are others there. */
  elsewhere() {
    const params = new URLSearchParams(location.hash.slice(1));
    params.delete("picture");
    for (const name of ["a", "b"]) if (params.get(name)?.startsWith("ids:")) params.delete(name);
    return `#${params}`;
  }

  /** Shows the same of another set, in the place of the present step of the history. */
  change(set) {
    if (set === this.shown) return;
    history.replaceState(history.state, "", this.hash(this.elsewhere(), set));
    location.reload();
  }

  /** The set after the shown one; false if there is only one. */
  next() {
    if (this.isOne) return false;
    this.change(this.list[(this.list.indexOf(this.shown) + 1) % this.list.length]);
    return true;
  }
}

const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);

/** The first pictures of a latent in each image set, on one scale; null if there is one set alone. */
function setRows(app, latent) {
  if (app.sets.isOne) return null;
  return element("section", { class: "set-rows", "aria-label": "Image sets side by side" },
    element("div", { class: "section-head" }, element("h2", {}, "Image sets side by side"),
      element("p", { class: "note" }, "The strongest pictures of each, in colours of one scale.")),
    ...app.sets.list.map((set) => setRow(app, latent, set)));
}

function setRow(app, latent, set) {
  const isShown = set === app.sets.shown;
  const numbers = element("p", { class: "soft" });
  const pictures = element("div", { class: "set-pictures", role: "list" });
  const href = app.sets.hash(`#latent=${latent}`, set, true);
  const row = element("div", { class: "set-row" }, element("div", {},
    element("h3", {}, isShown ? userText(set.title) : element("a", { href, title: "All pictures of this set" }, userText(set.title))), numbers), pictures);
  const say = (text) => pictures.replaceChildren(element("p", { class: "soft" }, text));
  const fill = async () => {
    try {
      const data = await app.sets.data(set);
      const share = data.imageFrequency[latent];
      numbers.textContent = share === 0 ? "fires nowhere" : `${showShare(share)} of images, max ${showValue(data.maxValue[latent])}`;
      if (!data.hasPage.has(latent)) {
        say(`No pictures of this latent were rendered in this set.${data.noMaking === null || share === 0 ? "" : ` saev view cannot make them: ${data.noMaking}.`}`);
        return;
      }
      const isStored = data.isFull.has(latent) || data.small.has(latent);
      if (!isStored && !isShown && !data.isLooked) {
        const look = element("button", { type: "button", title: "The server looks at all pictures of this set once" }, "Look for its pictures");
        look.addEventListener("click", () => { data.look(); fill(); });
        pictures.replaceChildren(look);
        return;
      }
      const page = await (isStored ? data.latent(latent) : data.whole(latent, say));
      const examples = (Object.values(page.top)[0] ?? []).slice(0, 12); // of which one row is seen
      if (examples.length === 0) say("It fires on none of these images.");
      else pictures.replaceChildren(...examples.map((example) => exampleFigure(data, page, example, null)));
    } catch (error) {
      if (isLeft(error)) whenNear(row, fill);
      else say(error.message);
    }
  };
  return whenNear(row, fill);
}
