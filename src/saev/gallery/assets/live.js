"use strict";
// The user's own picture: dropped, chosen or pasted, sent to the server of `saev view`, and shown as the pictures of the
// gallery are. Only the page from that server loads this.

/** The server's JSON; its errors become errors with its text. */
async function askServer(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer: is `saev view` still running?");
  }
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

class LiveView extends PictureView {
  static nRows = 10; // so that the changes below the list stay in sight

  constructor(container, app) {
    super(container, app);
    this.state = askServer("live/state").catch((error) => ({ reason: error.message }));
    this.message = element("p", { class: "warning", role: "alert" });
    this.file = element("input", { type: "file", accept: "image/*", hidden: "", "aria-label": "Picture to look at" });
    this.file.addEventListener("change", () => { this.take(this.file.files); this.file.value = ""; });
    document.getElementById("heat-controls").before(element("a", { class: "step live-link", href: "#live" }, "Your picture"));
    document.body.append(this.file, element("div", { class: "drop-veil", "aria-hidden": "true" }, element("p", {}, "Drop the picture to see its latents")));
    this.listen();
    this.sayReason();
  }

  /** Where nothing answers, the first view says so; nobody would look for a part that is not there. */
  async sayReason() {
    const { reason } = await this.state;
    if (reason !== null) document.getElementById("counts").after(element("p", { class: "warning", role: "status", id: "live-reason" }, LiveView.cannot(reason)));
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
    addEventListener("drop", (event) => {
      delete root.dataset.dropping;
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.take(event.dataTransfer.files);
    });
    addEventListener("paste", (event) => {
      if (event.clipboardData.files.length === 0) return; // text, for a field
      event.preventDefault();
      this.take(event.clipboardData.files);
    });
  }

  get address() {
    return "#live";
  }

  async show(params) {
    const { reason } = await this.state;
    const latent = /^\d{1,9}$/.test(params.latent) && params.latent < this.app.data.nLatents ? Number(params.latent) : null;
    if (this.id === null) this.showEmpty(reason);
    else this.showLatent(latent);
  }

  showEmpty(reason) {
    this.container.replaceChildren(element("h1", { tabindex: "-1" }, "Your picture"),
      reason === null
        ? element("div", { class: "empty drop-here" },
          element("p", {}, "Drop a picture anywhere on this page, paste one, or choose a file."), this.chooser("Choose a picture"),
          element("p", { class: "note" }, "It goes to ", element("code", {}, "saev view"), " on this machine alone and stays in its memory."))
        : element("p", { class: "empty" }, LiveView.cannot(reason)),
      this.message);
  }

  chooser(text) {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => this.file.click());
    return button;
  }

  /** Shows the first of some files. */
  async take([file]) {
    if (file === undefined) return;
    if (location.hash !== "#live") location.hash = "#live";
    const number = this.taken = (this.taken ?? 0) + 1;
    this.message.textContent = "";
    this.container.setAttribute("aria-busy", "true");
    try {
      const { reason, maxBytes, neighbours } = await this.state;
      if (reason !== null) throw new Error(LiveView.cannot(reason));
      if (file.size > maxBytes) throw new Error(`${file.name} has ${showNumber(file.size / 2 ** 20)} MiB; at most ${maxBytes / 2 ** 20} are taken.`);
      const found = await askServer("live/pictures", { method: "POST", body: file });
      if (number === this.taken) this.open(found, file.name, neighbours);
    } catch (error) {
      if (number === this.taken) this.message.textContent = error.message;
    } finally {
      if (number === this.taken) this.container.removeAttribute("aria-busy");
    }
  }

  open({ id, width, height, codes, strongest }, name, reason) {
    this.id = id;
    this.latent = null;
    this.picture = { id, name, label: null, width, height, isMissing: false, path: `live/pictures/${id}.png` };
    this.codes = null;
    if (codes !== null) this.setCodes(codesOf(codes));
    const { maxValue } = this.app.data;
    this.strongest = strongest.map(([latent, level]) => ({ latent, level, value: (level / 255) * maxValue[latent] }));
    const ask = (edit) => askServer("live/edits", { method: "POST", body: JSON.stringify(edit) });
    this.edits = new LiveEdits(this.app, id, ask, reason);
    this.layout();
    this.container.append(this.edits.element);
    this.container.querySelector("h1").before(this.message);
    this.showLatent(null);
    this.list();
    this.container.querySelector("h1").focus({ preventScroll: true });
  }

  layout() {
    super.layout();
    this.container.querySelector(".copy-link").remove(); // nobody else has this picture
    this.container.querySelector(".steps").prepend(this.chooser("Another picture"));
    if (this.codes !== null) return;
    this.order = "level";
    this.orders.remove();
    this.grid.element.remove(); // the SAE takes no patches: there is nothing to point at
    this.container.querySelector(".picture-side > .note").remove();
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

  /** All that fires is known of this picture. */
  async heatOf(latent) {
    return this.codes === null ? undefined : this.heatInPatches(latent, await this.pageOf(latent));
  }
}

document.getElementById("compare").after(element("main", { id: "live", hidden: "" }));
