"use strict";
// What is on the bench as files: JSON for programs, and one HTML file that opens alone.

/** Offers a text as a file. */
function offerFile(text, type, name) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the download may begin late
}

/** What the pictures are and what was found on them. */
function benchFacts({ data }, bench) {
  const named = (one) => ({ name: one.name, sha256: one.sha256 });
  const { tp, fp, fn, tn } = bench.curve.above(bench.threshold);
  return {
    format: "saev-bench", version: 1, sae: data.saeId, title: data.title,
    latent: bench.latent, threshold: bench.threshold, largest_recorded: data.maxValue[bench.latent],
    pictures: bench.shown.map((one) => ({
      ...named(one), value: one.value(bench.latent), expected: one.expected, found: bench.fires(one),
      variant: one.recipe === null ? null : {
        kind: one.recipe.kind, of: named(one.recipe.of), patches: one.recipe.patches, onto: one.recipe.onto === null ? null : named(one.recipe.onto),
      },
    })),
    counts: { tp, fp, fn, tn },
  };
}

function benchJson(app, bench) {
  return `${JSON.stringify(benchFacts(app, bench), null, 1)}\n`;
}

/** The picture under its heat as the page shows it, as a data URL. */
async function drawnPicture({ data }, bench, one) {
  const image = new Image();
  image.src = one.path;
  await image.decode().catch(() => { throw Object.assign(new Error(`${one.name} is not kept any more.`), { isGone: true }); });
  const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const heat = one.heat(bench.latent, bench.p99);
  if (heat !== undefined && document.documentElement.dataset.heat !== "off") {
    context.globalAlpha = Number(document.documentElement.style.getPropertyValue("--heat-opacity") || 0.6);
    context.imageSmoothingEnabled = document.documentElement.dataset.smooth === "on";
    context.drawImage(levelCanvas(data, data.columns, data.rows, heat, "heat"), 0, 0, canvas.width, canvas.height);
  }
  return canvas.toDataURL("image/jpeg", 0.9);
}

const benchStyle = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 1200px; margin: 0 auto; padding: 24px; }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 20px 16px; padding: 0; list-style: none; }
img { display: block; width: 100%; border-radius: 6px; }
.wrong img { outline: 3px solid #d1541f; }
.name { overflow-wrap: anywhere; white-space: pre-wrap; font-size: .88rem; }
table { border-collapse: collapse; } th, td { padding: 3px 14px 3px 0; text-align: right; } th:first-child { text-align: left; }
dl { display: flex; flex-wrap: wrap; gap: 8px 28px; } dd { margin: 0; font-size: 1.2rem; }`;

/** A page of all pictures with their values, and of the table. Texts become text nodes, so that none is markup. */
async function benchPage(app, bench) {
  const facts = benchFacts(app, bench);
  const caption = latentCaption(app.data, bench.latent);
  const [items, drawn] = [[], []];
  for (const [i, one] of bench.shown.entries()) {
    const { value, expected, found } = facts.pictures[i];
    const text = `${showValue(value)}, ${found ? "fires" : "silent"}${expected === null ? "" : `; expected ${expected ? "to fire" : "to be silent"}`}`;
    drawn.push(await bench.having([one], () => drawnPicture(app, bench, one)));
    items.push(element("li", { class: expected !== null && expected !== found ? "wrong" : "" },
      element("img", { alt: one.name }), element("div", {}, text), element("div", { class: "name" }, userText(one.name))));
  }
  const made = document.implementation.createHTMLDocument(`Latent ${bench.latent} on ${showCount(items.length, "picture")}`);
  made.head.prepend(element("meta", { charset: "utf-8" }),
    element("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; img-src data:; style-src 'unsafe-inline'" }));
  made.head.append(element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }));
  made.body.append(element("h1", {}, `Latent ${bench.latent}`, ...(caption === undefined ? [] : [": ", userText(caption)])),
    element("p", {}, userText(app.data.title), ` \u00b7 fires above ${showNumber(bench.threshold)} \u00b7 largest recorded value ${showValue(app.data.maxValue[bench.latent])} \u00b7 SAE ${app.data.saeId}`),
    ...confusion(bench).filter((part) => !part.classList.contains("note")), element("ul", {}, ...items));
  made.querySelectorAll("img").forEach((image, i) => { image.setAttribute("src", drawn[i]); }); // this page's own policy forbids it
  const text = made.documentElement.outerHTML.replace("</head>", () => `<style>${benchStyle}</style></head>`); // nor styles that stand in a page
  return `<!doctype html>\n${text}\n`;
}
