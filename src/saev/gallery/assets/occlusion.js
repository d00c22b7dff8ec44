"use strict";
// Which parts of a picture a latent rests on, on demand: the server fills one square of patches after the other with the
// picture's mean colour, and says how its value falls where it was largest. Only the page from `saev view` loads this.

class Occlusion {
  static blocks = [[2, "squares of 2 \u00d7 2 patches"], [1, "single patches"]];

  constructor() {
    this.block = 2; // stays the same from picture to picture
    this.sent = new Map(); // id of a recorded picture -> promise of the id under which the server keeps it
    this.found = new Map(); // what was computed
    this.pace = null; // seconds that a part took
    this.running = null; // {isShown(), stop()} of what is computed
    addEventListener("hashchange", () => setTimeout(() => this.leave())); // when the router has followed
  }

  /** Gives up what is computed for a picture or a latent that is not looked at any more. */
  leave() {
    if (this.running?.isShown() === false) this.running.stop();
  }

  /** What stands below a picture that shows a latent: a button, and then the result in the place of the heatmap. */
  controls(view) {
    this.leave();
    const { latent, picture } = view;
    const isShown = () => view.latent === latent && view.picture === picture && !view.container.hidden;
    const status = element("p", { class: "note", role: "status" });
    const choice = element("select", { "aria-label": "What is filled at a time" },
      ...Occlusion.blocks.map(([block, text]) => element("option", { value: block }, text)));
    choice.value = this.block;
    choice.addEventListener("input", () => { this.block = Number(choice.value); });
    const name = "What does it rest on?";
    const button = element("button", { type: "button", title: "Fills one part of the picture after the other with its mean colour" }, name);
    const own = { isShown, stop: () => own.given.abort() };
    button.addEventListener("click", async () => {
      if (this.running === own) { own.stop(); return; }
      this.running?.stop();
      [this.running, own.given] = [own, new AbortController()];
      button.textContent = "Stop";
      status.textContent = `The ViT looks at the picture with one part after the other filled.${this.estimate()}`;
      try {
        const found = await this.ask(picture, latent, this.block, own.given.signal);
        this.pace = found.seconds / found.values.length;
        if (isShown()) this.draw(view, found, status);
      } catch (error) {
        status.textContent = error.name === "AbortError" ? "" : error.message;
      }
      if (this.running === own) this.running = null;
      button.textContent = name;
    });
    return element("div", { class: "occlusion" }, element("div", { class: "occlusion-ask" }, button, choice), status);
  }

  /** How long it will take, once that is known. */
  estimate() {
    const n = Math.ceil(app.data.rows / this.block) * Math.ceil(app.data.columns / this.block);
    return this.pace === null ? ` ${showCount(n, "part")}.` : ` ${showCount(n, "part")}, about ${Math.ceil(n * this.pace)} s.`;
  }

  /** The server's answer; the same one is not asked for twice. */
  async ask(picture, latent, block, signal) {
    const key = `${picture.id}/${latent}/${block}`;
    if (!this.found.has(key)) {
      try {
        const body = JSON.stringify({ picture: await this.keptId(picture), latent, block });
        this.found.set(key, await askServer("live/occlusion", { method: "POST", body, signal }));
      } catch (error) {
        if (error.isGone) this.sent.delete(picture.id);
        throw error;
      }
    }
    return this.found.get(key);
  }

  /** The id of a picture on the server: it has the user's own ones, and gets recorded ones as the gallery has them. */
  keptId(picture) {
    if (picture.path !== undefined) return Promise.resolve(picture.id);
    if (!this.sent.has(picture.id)) {
      const sent = fetch(app.data.imagePath(picture.id)).then((response) => response.blob())
        .then((body) => askServer("live/pictures", { method: "POST", body })).then(({ id }) => id);
      sent.catch(() => this.sent.delete(picture.id));
      this.sent.set(picture.id, sent);
    }
    return this.sent.get(picture.id);
  }

  draw(view, { value, patch, rows, columns, values, seconds }, status) {
    const time = ` ${showCount(values.length, "part")} in ${showNumber(seconds)} s.`;
    if (value <= 0) {
      status.textContent = `It does not fire on ${view.picture.path === undefined ? "the gallery's copy of " : ""}this picture, so that nothing can fall.${time}`;
      return;
    }
    const falls = values.map((one) => (value - one) / value);
    const most = falls.indexOf(Math.max(...falls));
    const least = Math.min(...falls);
    const level = (i) => Math.round(255 * Math.max(0, Math.min(1, falls[i])));
    view.frame.querySelector("canvas.heat")?.remove();
    view.frame.firstChild.append(levelCanvas(app.data, columns, rows, { at: level, p99: 255 }, "heat"));
    const where = patch === null ? "" : ` in ${patchText(app.data, patch)}`;
    status.textContent = `Brightest where its value ${showValue(value)}${where} falls most: to ${showValue(values[most])} `
      + `(\u2212${Math.round(100 * falls[most])}\u202f%) with row ${Math.floor(most / columns) + 1}, column ${(most % columns) + 1} of ${rows} \u00d7 ${columns} filled. `
      + (least < -0.05 ? `Elsewhere it rises by up to ${Math.round(-100 * least)}\u202f%. ` : "")
      + (view.picture.path === undefined ? "Computed from the gallery's copy of the picture." : "") + time;
  }
}

const occlusions = new Occlusion();
