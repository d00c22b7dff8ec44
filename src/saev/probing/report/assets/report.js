"use strict";
// The report stands without scripts: these make a key, show some verdicts alone, and open what is folded for the paper.

addEventListener("keydown", (event) => {
  if (event.key !== "h" || event.altKey || event.ctrlKey || event.metaKey) return;
  document.getElementById("heat-on").click();
});

const verdictFilter = document.getElementById("filter-verdict"); // null where all verdicts are alike

function showVerdict(name) {
  verdictFilter.value = name;
  for (const shown of document.querySelectorAll("[data-standing]")) shown.hidden = name !== "" && shown.dataset.standing !== name;
}

/** A link may lead to a hypothesis that the filter leaves out. */
function showLinked() {
  const linked = document.getElementById(location.hash.slice(1));
  if (linked === null || !linked.hidden) return;
  showVerdict("");
  linked.scrollIntoView();
}

if (verdictFilter !== null) {
  verdictFilter.hidden = false;
  verdictFilter.addEventListener("input", () => showVerdict(verdictFilter.value));
  addEventListener("hashchange", showLinked);
  showVerdict(verdictFilter.value); // a browser may keep the choice over a reload
  showLinked();
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
