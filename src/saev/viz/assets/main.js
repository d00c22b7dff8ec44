"use strict";
// Which view is shown: the URL's hash says it, so that links, reload and the back button work.

const overview = document.getElementById("overview");
const latentMain = document.getElementById("latent");
const latentView = new LatentView(latentMain);
let overviewScroll = 0;

function describe() {
  document.getElementById("title").textContent = Data.title;
  document.getElementById("bar-title").textContent = Data.title;
  document.getElementById("facts").append(...Data.facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  const dead = Data.nLatents - Data.alive.length;
  document.getElementById("counts").textContent = `${showCount(Data.nLatents, "latent")}: `
    + `${Data.alive.length.toLocaleString("en")} alive, ${dead.toLocaleString("en")} dead (never fired). `
    + `${Data.pages.length.toLocaleString("en")} with pictures, drawn strongly; click a point to open it.`;
}

function drawScatter() {
  const container = document.getElementById("scatter");
  if (Data.alive.length > 0) return new Scatter(container, (index) => { location.hash = `latent=${index}`; });
  container.replaceWith(element("p", { class: "empty" }, "No latent fired, so there is nothing to plot."));
  return null;
}

function drawCards(scatter) {
  const list = document.getElementById("cards");
  const cards = new Cards(list, (index) => scatter?.mark(index));
  if (Data.pages.length === 0) {
    list.replaceWith(element("p", { class: "empty" }, "No latent was rendered with pictures."));
    document.querySelector(".sort").remove();
    document.getElementById("heat-controls").hidden = true;
  }
  return cards;
}

document.getElementById("loading").remove();
overview.hidden = false;
describe();
document.documentElement.style.setProperty("--aspect", `${Data.grid[1]} / ${Data.grid[0]}`);
connectHeatControls();
const scatter = drawScatter();
const cards = drawCards(scatter);

/** The latent before (-1) or after (+1) the shown one in the list's order; undefined at the ends. */
function neighbour(step) {
  const place = cards.order.indexOf(latentView.index);
  return place < 0 ? undefined : cards.order[place + step];
}

function route() {
  const match = /^#latent=(\d{1,9})$/.exec(location.hash);
  const wasOverview = !overview.hidden;
  if (wasOverview) overviewScroll = scrollY;
  scatter?.mark(null);
  const last = latentView.index;
  latentView.index = match ? Number(match[1]) : null;
  overview.hidden = match !== null;
  latentMain.hidden = match === null;
  document.documentElement.dataset.view = match ? "latent" : "overview";
  document.title = match ? `Latent ${latentView.index} \u00b7 ${Data.title}` : Data.title;
  if (match) {
    latentView.show(latentView.index, neighbour(-1), neighbour(1));
    scrollTo(0, 0);
  } else if (!wasOverview) {
    cards.focus(last);
    scrollTo(0, overviewScroll);
  }
}

addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  const isTaken = event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select");
  if (latentView.index === null || isTaken) return;
  const index = { ArrowLeft: neighbour(-1), ArrowRight: neighbour(1) }[event.key];
  // Replaces, so that one step back leaves the latents however many were leafed through.
  if (index !== undefined) location.replace(`#latent=${index}`);
  if (event.key === "Escape") location.hash = "";
});
history.scrollRestoration = "manual";
route();
