"use strict";
// What was found out about latents: verdicts of tests, what the ViT does with them, and in how many other seeds they are.

// In the order of clearness; as in the reports.
const standings = { confirmed: "\u2713", rejected: "\u2715", undecided: "?", exploratory: "\u25cc" };

/** A verdict as a badge, a link where there is a report; it differs by word, sign and border as well as by colour. */
function verdictBadge({ standing, claim, reason, link, circular }, attributes = {}) {
  const sign = element("span", { "aria-hidden": "true" }, standings[standing]);
  const said = circular ? `${standing} \u21bb` : standing; // the word stands beside the claim
  const all = { class: `verdict ${standing}${circular ? " circular" : ""}`, title: `${claim}: ${standing}. ${reason}`, ...attributes };
  return link === null ? element("span", all, sign, ` ${said}`) : element("a", { ...all, href: link }, sign, ` ${said}`);
}

/** The clearest verdict on a latent, for a corner of its card, and how many more there are; null if there is none. */
function cardVerdict(data, latent) {
  const verdicts = data.verdicts.get(latent) ?? [];
  if (verdicts.length === 0) return null;
  return element("div", { class: "card-verdict" },
    verdictBadge(verdicts[0], { tabindex: "-1" }), verdicts.length > 1 ? element("span", { class: "soft" }, ` +${verdicts.length - 1}`) : null);
}

/** In how many seeds a latent is found again, in a few letters; null if there are no others. */
function seedsBadge(data, latent) {
  if (data.seeds === null || data.frequency[latent] === 0) return null;
  return element("span", { class: "seeds", title: seedsNote(data, latent) }, `${data.seeds.found[latent]}/${data.seeds.n} seeds`);
}

function seedsNote({ seeds }, latent) {
  return `Found again in ${seeds.found[latent]} of ${showCount(seeds.n, "other seed")}: matched one to one by decoder direction, with a cosine of at least ${seeds.least}`;
}

/** The verdicts on a latent with their numbers. */
function verdictList(verdicts) {
  return element("ul", { class: "verdicts" }, ...verdicts.map((one) => element("li", {},
    element("p", {}, verdictBadge(one), " ", element("strong", {}, userText(one.claim)), circularText(one)),
    element("p", { class: "soft" }, `${latentsText(one)}MCC ${one.effect.toFixed(2)} (${one.interval.map((end) => end.toFixed(2)).join(" to ")}), `
      + `p ${showQ(one.p)} corrected, ${showCount(one.n, "picture")}`),
    element("p", {}, userText(one.reason)),
    one.link === null ? element("p", { class: "soft" }, "Its report has no page.") : element("a", { href: one.link }, "Report"))));
}

/** What stands after a claim whose labels came from a model that gave the name, or that the SAE looks into. */
function circularText({ circular }) {
  return circular ? " (circular)" : "";
}

/** The latents of a verdict, if there are several. */
function latentsText({ any, unless }) {
  if (any.length + unless.length === 1) return "";
  return `Latent ${any.join(" or ")}${unless.length > 0 ? `, unless ${unless.join(" or ")}` : ""}: `;
}

/** Edits of latents inside the ViT, and what each does to its output. */
function interventionList(edits) {
  return element("ul", { class: "verdicts" }, ...edits.map((one) => element("li", {},
    element("p", {}, element("strong", {}, `Latent${one.latents.length > 1 ? "s" : ""} ${one.latents.join(", ")} ${one.what}`),
      one.target === null ? null : element("span", { class: "soft" }, " target ", userText(one.target))),
    element("table", { class: "labels" },
      element("thead", {}, element("tr", {}, ...["Figure", "As it is", "Change", "Specific"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...one.effects.map(effectRow))),
    one.n_more > 0 ? element("p", { class: "soft" }, `${one.n_more} more in the page of the intervention.`) : null,
    one.link === null ? null : element("a", { href: one.link }, "All effects, curves and maps"))));
}

function effectRow({ figure, untouched, mean, interval, n, specific }) {
  const range = interval === null ? "" : `, ${interval.map((end) => showChange(end)).join(" to ")}`;
  return element("tr", specific ? { class: "significant" } : {},
    element("th", { scope: "row" }, userText(figure)),
    element("td", {}, untouched.toFixed(3)),
    element("td", { title: `Mean over ${showCount(n, "picture")}${range}` }, showChange(mean)),
    element("td", { title: "Whether as large changes along random latents do less" }, specific ? "\u2713 yes" : "no"));
}

function showChange(value) {
  return `${value < 0 ? "\u2212" : "+"}${Number(Math.abs(value).toPrecision(2))}`;
}
