"use strict";
// Which view is shown: the URL's hash says it.

GalleryData.open().then((data) => {
  const app = {
    data, notes: new Notes(), order: () => data.pages,
    neighbour: (step) => (data.pages.includes(app.shown) ? data.pages[data.pages.indexOf(app.shown) + step] : undefined),
  };
  document.getElementById("loading").remove();
  document.documentElement.style.setProperty("--aspect", `${data.columns} / ${data.rows}`);
  connectHeatControls(data);
  const views = { compare: CompareView, picture: PictureView, latent: LatentView };
  for (const name of Object.keys(views)) views[name] = new views[name](document.getElementById(name), app);
  const route = () => {
    const params = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const shown = Object.keys(views).find((name) => name in params);
    app.shown = Number(params.latent);
    document.getElementById("overview").hidden = shown !== undefined;
    for (const name of Object.keys(views)) document.getElementById(name).hidden = name !== shown;
    views[shown]?.show(params);
    if (params[shown] !== app.params?.[shown]) scrollTo(0, 0);
    app.params = params;
  };
  addEventListener("hashchange", route);
  route();
});
