"use strict";
// The bench: pictures of the user's own are dropped, chosen or pasted, sent to the server of `saev view`, and shown as
// the pictures of the gallery are. Only the page from that server loads this.

class LiveView extends PictureView {
  static nRows = 10; // so that the changes below the list stay in sight

  constructor(container, app) {
    super(container, app);
    this.state = askServer("live/state").catch((error) => ({ reason: error.message }));
    this.bench = new Bench(app);
    this.field = new LatentField(app, (latent) => this.choose(latent));
    this.message = element("p", { class: "warning", role: "alert" });
    this.tray = new Tray(app, this.bench, (picture) => this.open(picture), (pictures) => this.remove(pictures));
    this.field.element.append(element("label", { class: "live-expect" }, "Expect of new pictures ", this.tray.coming));
    const keepOne = (picture, next) => this.trying(() => next(this.bench.add(picture)));
    this.variants = new Variants(app, this.bench, {
      grid: () => this.grid, onKeep: (picture) => keepOne(picture, () => null), onOpen: (picture) => keepOne(picture, (kept) => this.open(kept)),
    });
    this.files = [this.fileInput({ accept: "image/*", multiple: "" }, "Pictures to look at"), this.fileInput({ webkitdirectory: "" }, "Folder of pictures")];
    document.getElementById("heat-menu").before(element("a", { class: "step live-link", href: "#live" }, "Your pictures"));
    document.body.append(...this.files, element("div", { class: "drop-veil", "aria-hidden": "true" }, element("p", {}, "Drop pictures to see their latents")));
    document.querySelector(".live-link").addEventListener("click", (event) => { event.preventDefault(); location.hash = this.bench.address; });
    this.listen();
    this.sayReason();
    this.restored = this.state.then(({ reason, maxPictures }) => {
      if (reason !== null) return null;
      this.bench.most = maxPictures;
      return this.bench.restore();
    });
  }

  fileInput(attributes, name) {
    const input = element("input", { type: "file", hidden: "", "aria-label": name, ...attributes });
    input.addEventListener("change", () => {
      const files = [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
      this.take(files.filter(({ file }) => input.webkitdirectory !== true || isPicture(file)));
      input.value = "";
    });
    return input;
  }

  /** Where nothing answers, the first view says so; nobody would look for a part that is not there. */
  async sayReason() {
    const { reason } = await this.state;
    if (reason !== null) document.getElementById("counts").parentElement.after(element("p", { class: "warning", role: "status", id: "live-reason" }, LiveView.cannot(reason)));
  }

  static cannot(reason) {
    return `New pictures cannot be looked at here: ${reason}`;
  }

  /** Pictures may be dropped and pasted wherever the page is. */
  listen() {
    const root = document.documentElement;
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      root.dataset.dropping = "";
    });
    addEventListener("dragleave", (event) => { if (event.relatedTarget === null) delete root.dataset.dropping; });
    addEventListener("drop", async (event) => {
      delete root.dataset.dropping;
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.take(await droppedFiles(event.dataTransfer));
    });
    addEventListener("paste", (event) => {
      if (event.clipboardData.files.length === 0) return; // text, for a field
      event.preventDefault();
      this.take([...event.clipboardData.files].map((file) => ({ file, name: file.name })));
    });
  }

  get address() {
    return "#live";
  }

  async show(params) {
    const { reason } = await this.state;
    await this.restored;
    const latent = /^\d{1,9}$/.test(params.latent) && params.latent < this.app.data.nLatents ? Number(params.latent) : null;
    if (latent !== this.bench.latent) this.bench.set({ latent, threshold: 0 }); // a threshold is one of a latent
    this.latent = latent;
    this.field.show(latent);
    if (this.id === null && this.bench.shown.length > 0) this.open(this.bench.current?.isLost === false ? this.bench.current : this.bench.shown.at(-1), false);
    else if (this.id === null) this.showEmpty(reason);
    else this.showLatent(latent);
  }

  showEmpty(reason) {
    this.container.replaceChildren(element("h1", { tabindex: "-1" }, "Your pictures"), ...(reason === null ? [this.field.element] : []), this.message,
      reason === null
        ? element("div", { class: "empty drop-here" },
          element("p", {}, "Drop pictures or a folder anywhere on this page, paste one, or choose files."), element("div", { class: "buttons" }, ...this.choosers()),
          element("p", { class: "note" }, "They go to ", element("code", {}, "saev view"), " on this machine alone and stay in its memory until it ends."))
        : element("p", { class: "empty" }, LiveView.cannot(reason)), ...(reason === null ? [this.tray.element] : []));
  }

  choosers() {
    const [files, folder] = this.files;
    return [button("Add pictures", () => files.click()), button("Add a folder", () => folder.click())];
  }

  /** Sends files, one after the other, and shows the last one; those that are no pictures are told. */
  async take(files) {
    if (files.length === 0) return;
    if (this.app.router.name !== "live") location.hash = this.app.router.name === "latent" ? `#live&latent=${this.app.router.latent}` : this.bench.address;
    const number = this.taken = (this.taken ?? 0) + 1;
    this.message.textContent = "";
    this.container.setAttribute("aria-busy", "true");
    const faults = [];
    let last = null;
    await this.restored;
    const { reason, maxBytes } = await this.state;
    for (const [i, { file, name }] of files.entries()) {
      if (files.length > 1 && faults.length === 0) this.message.textContent = `Reading picture ${i + 1} of ${files.length}.`;
      try {
        if (reason !== null) throw new Error(LiveView.cannot(reason));
        if (file.size > maxBytes) throw new Error(`${name} has ${showNumber(file.size / 2 ** 20)} MiB; at most ${maxBytes / 2 ** 20} are taken.`);
        last = await this.bench.send(file, name);
        if (number === this.taken && (i === 0 || this.id === null)) this.open(last);
      } catch (error) {
        faults.push(files.length === 1 || error.message.includes(name) ? error.message : `${name}: ${error.message}`);
      }
    }
    if (number !== this.taken) return;
    this.container.removeAttribute("aria-busy");
    this.message.textContent = faults.length > 3 ? `${faults.length} of ${files.length} were not taken. ${faults.slice(0, 3).join(" ")}` : faults.join(" ");
    if (last !== null && last !== this.bench.current) this.open(last, false);
  }

  trying(act) {
    try {
      this.message.textContent = "";
      act();
    } catch (error) {
      this.message.textContent = error.message;
    }
  }

  remove(pictures) {
    this.bench.remove(pictures);
    if (!pictures.includes(this.bench.current)) return;
    const next = this.bench.shown.at(-1);
    if (next !== undefined) return this.open(next);
    [this.id, this.bench.current] = [null, null];
    return this.showEmpty(null);
  }

  async open(picture, isFocused = true) {
    const { neighbours, words } = await this.state;
    [this.id, this.bench.current] = [picture.id, picture];
    [this.picture, this.codes, this.strongest] = [picture.picture, null, picture.strongest];
    if (picture.codes !== null) this.setCodes(picture.codes);
    this.layout();
    this.edits = new LiveEdits(this.app, this.bench, picture, { neighbours, words }, () => this.grid.brushed);
    this.container.append(this.edits.element);
    this.bench.tell();
    this.variants.show(picture);
    this.showLatent(this.bench.latent);
    this.list();
    if (isFocused) this.container.querySelector("h1").focus({ preventScroll: true });
  }

  layout() {
    super.layout();
    this.container.querySelector(".copy-link").remove(); // nobody else has this picture
    this.container.querySelector(".steps").prepend(...this.choosers());
    this.container.querySelector(".latent-head").after(this.field.element, this.message, this.tray.element);
    const fires = this.container.querySelector(".picture-body > .panel");
    const side = element("div", { class: "live-side" });
    fires.replaceWith(side);
    side.append(this.variants.element, fires);
    if (this.codes !== null) return;
    this.order = "level";
    this.orders.remove();
    this.grid.element.remove(); // the SAE takes no patches: there is nothing to point at
    this.container.querySelector(".picture-side > .note:not(:empty)").remove();
  }

  brushed() {
    super.brushed();
    this.variants.brushed();
    this.edits.brushed();
  }

  list() {
    if (this.codes === null) this.listFires(this.strongest, "the whole picture");
    else super.list();
  }

  showLatent(latent) {
    super.showLatent(latent);
    this.edits.show(latent);
  }

  drawChosen(heat) {
    super.drawChosen(heat);
    if (this.codes === null) {
      this.chosen.replaceChildren(element("p", {}, latentLink(this.app, this.latent), ": this SAE takes no patches, so that there is no heatmap."));
    }
  }

  /** The exact one: levels end at the largest value that was recorded. */
  mostOf() {
    return `at most ${showValue(this.bench.current.value(this.latent))}`;
  }

  /** All that fires is known of this picture. */
  async heatOf(latent) {
    return this.codes === null ? undefined : this.heatInPatches(latent, await this.pageOf(latent));
  }
}

const isPicture = ({ type }) => type.startsWith("image/");

/** What was dropped as [{file, name}]: files as they are, and the pictures of folders, with their paths. */
async function droppedFiles(carried) {
  const entries = [...carried.items].filter(({ kind }) => kind === "file").map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]); // at once: the list is gone later
  const found = [];
  for (const [entry, file] of entries) {
    if (entry?.isDirectory) await filesBelow(entry, found);
    else if (file !== null) found.push({ file, name: file.name });
  }
  return found;
}

async function filesBelow(folder, found) {
  const reader = folder.createReader();
  const part = () => new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
  for (let entries = await part(); entries.length > 0; entries = await part()) { // a browser gives 100 at once
    for (const entry of entries) {
      if (entry.isDirectory) await filesBelow(entry, found);
      else {
        const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
        if (isPicture(file)) found.push({ file, name: entry.fullPath.replace(/^\//, "") });
      }
    }
  }
}

/** A link that opens the bench with a latent, where the page comes from `saev view`. */
function tryLink(latent) {
  return element("a", { class: "step", href: `#live&latent=${latent}`, title: "See what it does on pictures of your own" }, "Try a picture");
}

document.getElementById("compare").after(element("main", { id: "live", hidden: "" }));
