"use strict";
// Opens the gallery and shows the view that the URL's hash asks for, so that links, reload and the back button work:
// # the overview, #latent=17, #family=3 or all, #pictures, #picture=42, #compare=FOLDER; the latter two also with &latent=17. All may name an image
// set: &set=held_out. Where `saev view` serves
// the page, #live is the bench for the user's own pictures.

let app;

/** What only a page from `saev view` loads: it needs the ViT behind it. */
const liveParts = { scripts: ["live_pages.js", "live_bench.js", "live_latent.js", "live_export.js", "live_tray.js", "live_variants.js", "live_effects.js", "live_edits.js", "live.js", "occlusion.js", "text_search.js", "notes_run.js"], styles: ["live.css"] };

/** Loads the parts that talk to the server, in their order, where the page comes from one. */
async function loadLiveParts() {
  if (!document.querySelector('meta[name="saev-live"]').content) return;
  for (const href of liveParts.styles) document.head.append(element("link", { rel: "stylesheet", href: `assets/${href}` }));
  for (const name of liveParts.scripts) {
    await new Promise((resolve, reject) => {
      const script = element("script", { src: `assets/${name}` });
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => reject(new Error(`assets/${name} is missing.`)));
      document.head.append(script);
    });
  }
}

class Router {
  constructor(data) {
    this.data = data;
    this.places = new Places(`saev-places:${data.saeId}`);
    this.params = {};
    this.views = {};
    const live = typeof LiveView === "undefined" ? {} : { live: LiveView };
    for (const [name, View] of Object.entries({ overview: OverviewView, latent: LatentView, picture: PictureView, pictures: PicturesView, compare: CompareView, family: FamilyView, ...live })) {
      this.views[name] = new View(document.getElementById(name), app);
    }
    app.overview = this.views.overview;
    addEventListener("hashchange", () => this.route());
  }

  route() {
    const last = { name: this.name, params: this.params, latent: this.latent };
    this.places.leave();
    const isNew = history.state?.entry === undefined;
    const scroll = this.places.enter();
    if (app.sets.follow(isNew)) { this.places.reload(); return; }
    if (last.name === "overview") this.overviewScroll = scrollY;
    this.params = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    this.name = ["live", "compare", "family", "picture", "pictures", "latent"].find((name) => name in this.views && this.params[name] !== undefined) ?? "overview";
    const isStaying = this.name === last.name && this.params[this.name] === last.params[this.name];
    if (!isStaying && typeof leavePages !== "undefined") leavePages();
    for (const [name, view] of Object.entries(this.views)) view.container.hidden = name !== this.name;
    document.documentElement.dataset.view = this.name;
    const tab = { overview: "latents", latent: "latents", pictures: "pictures", picture: "pictures" }[this.name];
    for (const link of document.querySelectorAll(".tabs a")) link.toggleAttribute("data-current", link.dataset.tab === tab);
    document.querySelector("[data-tab=pictures]").href = this.name === "pictures" ? "#pictures" : this.views.pictures.hash; // as it was left
    document.title = [...this.titles(), ...(app.sets.isOne ? [] : [app.sets.shown.title]), this.data.title].join(" \u00b7 ");
    app.overview.scatter?.mark(null);
    const shown = this.views[this.name].show(this.params); // a promise if the view has to load what it shows
    if (this.name === "overview") this.arriveInOverview(scroll, last);
    else if (!isStaying) this.arrive(shown, scroll); // or else it is another latent in the same view
  }

  /** The latent that the hash names, or null. */
  get latent() {
    return /^\d{1,9}$/.test(this.params.latent ?? "") ? Number(this.params.latent) : null;
  }

  titles() {
    if (this.name === "compare") return [`Comparison with ${this.params.compare}`];
    if (this.name === "family") return [this.params.family === "all" ? "Families" : `Family ${this.params.family}`];
    const latent = this.params.latent === undefined ? [] : [`Latent ${this.params.latent}`];
    const picture = { picture: [`Picture ${this.params.picture}`], pictures: ["Pictures"], live: ["Your pictures"] }[this.name] ?? [];
    return [...picture, ...latent];
  }

  /** Starts a view at its top, or where it was left once what was there then is there again. */
  async arrive(shown, scroll = 0) {
    const { current } = this.places;
    this.views[this.name].container.querySelector("h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
    await shown;
    if (scroll > 0 && this.places.current === current) scrollTo(0, scroll);
  }

  /** The overview is always found as it was left, with the latent that was looked at in sight. */
  arriveInOverview(scroll, last) {
    if (last.name === "overview") return;
    scrollTo(0, scroll ?? this.overviewScroll ?? 0);
    if (last.latent !== null && last.name !== undefined) app.overview.cards.focus(last.latent);
  }
}

async function start() {
  const loading = document.getElementById("loading");
  try {
    const sets = await ImageSets.open();
    await loadLiveParts();
    const [data, trouble] = await sets.start();
    if (!sets.isOne) data.half = sets.half; // notes are of the SAE
    const notes = new Notes(typeof RunNotes === "undefined" ? new BrowserNotes(data.saeId) : await RunNotes.open(data));
    loading.hidden = true; // before the page scrolls to where it was left
    connectPage(data, sets, notes);
    document.getElementById("set-trouble").textContent = trouble;
  } catch (error) {
    loading.hidden = false;
    loading.textContent = `This gallery cannot be shown. ${error.message}`;
    console.error(error);
  }
}

function connectPage(data, sets, notes) {
  document.documentElement.style.setProperty("--aspect", `${data.columns} / ${data.rows}`);
  document.getElementById("bar-title").textContent = data.title;
  const stars = new PictureStars(notes.keeper);
  data.ownName = (latent) => notes.get(latent).name.trim();
  app = {
    data,
    sets,
    notes,
    stars,
    /** The latents with a page in the order of the list. */
    order: () => app.overview.list.filter((latent) => data.hasPage.has(latent)),
    /** The latent before (-1) or after (+1) the shown one in that order; undefined at the ends. */
    neighbour(step) {
      const order = app.order();
      const place = order.indexOf(app.router.latent);
      return place < 0 ? undefined : order[place + step];
    },
  };
  connectHeatControls(data);
  Fold.connect(data);
  Theme.connect(document.getElementById("theme"));
  const trouble = document.getElementById("notes-trouble");
  notes.addEventListener("trouble", ({ detail }) => { trouble.textContent = detail; });
  app.router = new Router(data);
  if (typeof TextSearch !== "undefined") app.textSearch = new TextSearch(app);
  app.notesMenu = new NotesMenu(app);
  app.keys = new Keys(app, {
    latent: () => (app.router.name === "overview" ? cardLatent(document.activeElement) : app.router.latent),
    isLeafing: () => app.router.name === "latent",
    places: app.router.places,
  });
  const bar = document.getElementById("bar");
  new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);
  sets.connect();
  foldHeatControls(bar, data.hasPage.size > 0);
  app.router.route();
  app.overview.address.isReload = false; // from now on addresses are new
}

start();
