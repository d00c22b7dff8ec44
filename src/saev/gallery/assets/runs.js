"use strict";
// Sets of numbers as texts for the address: "3-7.12" are 3 to 7, and 12.

function runsOfNumbers(numbers) {
  const runs = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(".");
}

/** The numbers, all below `end`, of such a text; none of any other text. */
function numbersOfRuns(text, end) {
  const runs = text.split(".").map((run) => /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(run));
  if (runs.includes(null)) return [];
  const ends = runs.map(([, first, last]) => [Number(first), Number(last ?? first)]);
  if (ends.some(([first, last]) => first > last || last >= end)) return [];
  return ends.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}
