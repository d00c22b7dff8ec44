"use strict";
// Logarithmic axes: a range of values, its ticks, and the place of a value in pixels.

// Left and right of the plots above each other, so that their axes of frequency agree.
const plotSides = { left: 58, right: 16 };

/** The axis of frequencies of a plot that is `width` pixels wide. */
function frequencyAxis(data, width) {
  return logAxis(data.alive.map((latent) => data.frequency[latent]), plotSides.left, width - plotSides.right);
}

/** An axis over `values` (all above 0) with a margin, from pixel `start` to pixel `stop`. */
function logAxis(values, start, stop) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  [low, high] = [Math.log10(low), Math.log10(high)];
  const margin = Math.max(0.05 * (high - low), 0.1);
  [low, high] = [low - margin, high + margin];
  return {
    low,
    high,
    ticks: logTicks(low, high),
    place: (value) => start + ((Math.log10(value) - low) / (high - low)) * (stop - start),
    value: (place) => 10 ** (low + ((place - start) / (stop - start)) * (high - low)),
  };
}

/** Powers of ten between 10^low and 10^high, with 2 and 5 between them if they would be few. */
function logTicks(low, high) {
  const decades = high - low;
  const steps = decades < 1 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 3 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / 8));
  const ticks = [];
  for (let power = Math.floor(low); power <= high; power += 1) {
    if (power % every !== 0) continue;
    for (const step of steps) {
      const exponent = power + Math.log10(step);
      if (exponent >= low && exponent <= high) ticks.push(Number(`${step}e${power}`));
    }
  }
  return ticks;
}

/** Makes `canvas` as sharp as the screen; gives its context, in CSS pixels. */
function fitCanvas(canvas, width, height) {
  [canvas.width, canvas.height] = [width * devicePixelRatio, height * devicePixelRatio];
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  return context;
}

/** What `var(--name)` is in an element now: a canvas knows no variables, and one may stand for two colours. */
function colourOf(container, name) {
  container.style.color = `var(--${name})`;
  const { color } = getComputedStyle(container);
  container.style.color = "";
  return color;
}
