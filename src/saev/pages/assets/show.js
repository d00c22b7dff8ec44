"use strict";
// How numbers and texts become visible. Texts enter the page here alone, and only as text nodes and attributes.

/** An element with attributes and children; strings become text nodes, null children are left out. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Three significant digits without trailing zeros: 0.00123, 4.5, 1230. */
function showNumber(x) {
  if (x === 0) return "0";
  if (Math.abs(x) < 1e-4) return x.toExponential(1);
  return String(Number(x.toPrecision(3)));
}

/** Two significant digits: 0.0012, 4.5. */
function showShort(x) {
  return String(Number(x.toPrecision(2)));
}

/** Three significant digits with their zeros, so that values in a column compare: 22.0, 0.500, 1230. */
function showValue(x) {
  return x === 0 || Math.abs(x) < 1e-4 || Math.abs(x) >= 100 ? showNumber(x) : x.toPrecision(3);
}

/** A share as per cent: 12.3 %. */
function showShare(x) {
  return `${showNumber(x * 100)}\u202f%`;
}

/** A q value: 0.032, 0.9, <0.001. */
function showQ(q) {
  return q < 0.001 ? "<0.001" : String(Number(q.toPrecision(q < 0.1 ? 2 : 1)));
}

/** A count with separators of thousands and its noun: "1 latent", "32,768 latents". */
function showCount(n, noun, nouns = `${noun}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? noun : nouns}`;
}

/** A text of the user's: its direction of writing stays its own. */
function userText(text) {
  return element("bdi", {}, text);
}
