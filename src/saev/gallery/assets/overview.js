"use strict";
// The overview: what the SAE is, the plots of all latents, and the list of those that pass the filters.

class OverviewView {
  constructor(container, app) {
    Object.assign(this, { container, app });
    const { data, notes } = app;
    this.filters = new Filters(data, notes);
    this.address = new FilterAddress(this.filters, () => !this.container.hidden);
    this.list = this.filters.list();
    this.controls = new FilterControls(this.filters);
    this.describe();
    this.drawPlots();
    this.foldPlots();
    this.cards = new Cards(document.getElementById("cards"), app, (latent) => this.scatter?.mark(latent));
    this.filters.addEventListener("change", () => this.update());
    addEventListener("foldchange", () => this.update());
    // Notes may come by the thousand from a file.
    notes.addEventListener("change", () => { this.updating ??= requestAnimationFrame(() => this.update()); });
    const search = document.getElementById("filter-search");
    search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      event.preventDefault();
      const number = search.value.trim();
      if (event.key === "Enter" && /^\d{1,9}$/.test(number) && Number(number) < data.nLatents) location.hash = `latent=${Number(number)}`;
      else this.cards.focusFirst();
    });
  }

  show(params) {
    this.address.read(params);
    if (this.filters.hasRanges) document.getElementById("survey").open = true; // it shows what is selected
    this.update();
  }

  describe() {
    const { data } = this.app;
    document.getElementById("title").textContent = data.title;
    document.getElementById("facts").append(...data.facts.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value))));
    const dead = data.nLatents - data.alive.length;
    document.getElementById("counts").textContent = `${showCount(data.nLatents, "latent")}: `
      + `${data.alive.length.toLocaleString("en")} alive, ${dead.toLocaleString("en")} dead (on no token looked at), `
      + `${data.hasPage.size.toLocaleString("en")} with pictures${data.small.size > 0 ? `, ${data.small.size.toLocaleString("en")} of these with nine at most` : ""}.`;
    document.getElementById("table").href = `${data.root}latents.csv`;
    const missing = [...data.pictures.values()].filter((picture) => picture.isMissing && !picture.isLeftOut).length;
    const warning = document.getElementById("missing-pictures");
    warning.hidden = missing === 0;
    warning.textContent = `${missing.toLocaleString("en")} of ${showCount(data.pictures.size, "picture")} ${missing === 1 ? "is" : "are"} missing: `
      + "moved, deleted or changed since the activations were recorded. Grey tiles stand in for them.";
    const compare = document.getElementById("comparisons");
    compare.hidden = data.others.length === 0;
    compare.append(...data.others.map(({ folder, title }) =>
      element("a", { class: "step", href: compareHash(folder) }, userText(title))));
  }

  drawPlots() {
    const { app, filters } = this;
    if (app.data.alive.length === 0) {
      document.getElementById("plots").replaceChildren(element("p", { class: "empty" }, "No latent fired, so there is nothing to plot."));
      return;
    }
    const act = {
      onPick: (latent) => { location.hash = `latent=${latent}`; },
      onBrush: (ranges) => filters.set(ranges),
      onClear: () => filters.clearRanges(),
    };
    this.scatter = new Scatter(document.getElementById("scatter"), app.data, act);
    this.offerMap(act);
    this.histogram = new FrequencyHistogram(document.getElementById("histogram"), app.data, {
      onRange: (frequency) => filters.set({ frequency }),
      onDead: () => filters.set({ kind: "dead", frequency: [null, null], meanValue: [null, null] }),
    });
  }

  /** The map stands in the place of the scatter plot when it is wanted; `scatter` is what is shown. */
  offerMap(act) {
    const choice = document.getElementById("plot-switch");
    choice.hidden = !(this.app.data.families?.members.size > 0);
    if (choice.hidden) return;
    const radio = (value, text) => element("label", {}, element("input", { type: "radio", name: "plot", value }), element("span", {}, text));
    choice.append(element("fieldset", { class: "switch" }, element("legend", { class: "hidden" }, "Which plot"),
      radio("scatter", "Frequency and value"), radio("map", "Map")), element("a", { href: "#family=all" }, "Families"));
    choice.querySelector("input").checked = true;
    const plots = { scatter: this.scatter, map: new LatentMap(document.getElementById("map"), this.app.data, act) };
    choice.addEventListener("input", ({ target }) => {
      this.scatter.mark(null);
      this.scatter = plots[target.value];
      for (const [name, { container }] of Object.entries(plots)) container.hidden = name !== target.value;
      this.update();
    });
  }

  /** Where the plots stand above the list they are folded at first, so that the list is in sight. */
  foldPlots() {
    const survey = document.getElementById("survey");
    const isBeside = matchMedia("(min-width: 1100px)"); // as in overview.css
    const fold = () => { survey.open = isBeside.matches; };
    isBeside.addEventListener("change", fold);
    fold();
  }

  /** Filters anew and shows the result. While another view is shown the list stays as it was left. */
  update() {
    this.updating = undefined;
    if (this.container.hidden) return;
    this.address.write();
    const { data } = this.app;
    this.list = this.filters.list();
    const shown = new Uint8Array(data.nLatents);
    for (const latent of this.list) shown[latent] = 1;
    this.scatter?.show(shown, this.filters.state);
    this.histogram?.show(shown);
    this.controls.show();
    document.getElementById("list-count").textContent = `${this.list.length.toLocaleString("en")} of ${showCount(data.nLatents, "latent")}`;
    document.getElementById("search-trouble").textContent = this.filters.terms.length > 0 ? this.filters.searchTrouble : "";
    if (this.labels !== data.topLabels || this.fold !== Fold.by) this.cards.renew();
    [this.labels, this.fold] = [data.topLabels, Fold.by];
    this.cards.show(this.list);
    this.sayNothingFound();
  }

  sayNothingFound() {
    const nothing = document.getElementById("nothing");
    nothing.hidden = this.list.length > 0;
    const { state } = this.filters;
    if (this.list.length > 0) return;
    const button = element("button", { type: "button" }, state.kind === "pictures" ? "Look among all latents" : "Reset the filters");
    button.addEventListener("click", () => (state.kind === "pictures" ? this.filters.set({ kind: "all" }) : this.filters.reset()));
    nothing.replaceChildren(element("p", {}, state.kind === "pictures"
      ? "No latent with pictures passes the filters." : "No latent passes the filters."), button);
  }
}
