"use strict";
// Keys that work everywhere; those among the cards are in cards.js. The dialog in index.html lists them.

class Keys {
  /** `latent()` gives the latent that is looked at, `isLeafing()` whether a latent's page is shown. */
  constructor(app, { latent, isLeafing, places }) {
    Object.assign(this, { app, latent, isLeafing, places });
    this.help = document.getElementById("help");
    document.getElementById("help-button").addEventListener("click", () => this.help.showModal());
    for (const dialog of document.querySelectorAll("dialog")) {
      dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    }
    addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return; // Escape closes it by itself
    const isWriting = event.target.matches("input:not([type=checkbox]), textarea, select");
    const action = isWriting ? { Escape: () => event.target.blur() }[event.key] : this.actions[event.key];
    if (action === undefined || action.call(this) === false) return;
    event.preventDefault();
  }

  // An action that gives false leaves the key to the browser.
  actions = {
    "/": this.search,
    "?": () => this.help.showModal(),
    h: () => this.toggle("heat-on"),
    m: () => this.toggle("heat-masks"),
    s: () => this.onLatent((latent) => this.app.notes.toggleStar(latent)),
    i: () => this.app.sets.next(),
    n: () => this.onLatent((latent) => this.editNote(latent)),
    o: this.nextOrder,
    a: this.showAll,
    ArrowLeft: () => this.leaf(-1),
    ArrowRight: () => this.leaf(1),
    Escape: this.leave,
  };

  search() {
    const select = () => document.getElementById("filter-search").select();
    if (!this.app.overview.container.hidden) return select();
    addEventListener("hashchange", select, { once: true }); // the router, listening since before, has changed the view by then
    location.hash = "";
    return true;
  }

  toggle(id) {
    const control = document.getElementById(id);
    control.checked = !control.checked;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  }

  onLatent(act) {
    const latent = this.latent();
    if (latent === null) return false;
    act(latent);
    return true;
  }

  /** Goes to the note's field on the page, or opens one for a card of the list. */
  editNote(latent) {
    const shown = document.querySelector(`main:not([hidden]) [data-part="claim"][data-note="${latent}"]`);
    if (shown !== null) return shown.focus();
    const dialog = document.getElementById("note-dialog");
    dialog.querySelector("h2").textContent = `Latent ${latent}`;
    const editor = noteEditor(this.app, latent);
    document.getElementById("note-place").replaceChildren(editor);
    dialog.showModal();
    return editor.querySelector("textarea").focus();
  }

  /** The next of the orders that the view offers. */
  nextOrder() {
    const orders = [...document.querySelectorAll("main:not([hidden]) fieldset.switch input")];
    orders[(orders.findIndex(({ checked }) => checked) + 1) % orders.length]?.click();
    return orders.length > 0;
  }

  /** All pictures, or more of a list. */
  showAll() {
    const more = document.querySelector("main:not([hidden]) .more:not([hidden])");
    more?.click();
    return more !== null;
  }

  leaf(step) {
    if (this.app.router.name === "picture") leafPictures(this.app, step);
    else if (!this.isLeafing()) return false;
    else this.leafLatents(step);
    return true;
  }

  leafLatents(step) {
    const latent = this.app.neighbour(step);
    if (latent !== undefined) this.places.replace(`#latent=${latent}`);
  }

  /** Closes a menu; otherwise back from another view, and in the overview it takes the ranges away. */
  leave() {
    const menu = document.querySelector(".notes-menu[open], .folded-menu[open]");
    if (menu !== null) menu.open = false;
    else if (!this.app.overview.container.hidden) this.app.overview.filters.clearRanges();
    else this.places.back();
  }
}
