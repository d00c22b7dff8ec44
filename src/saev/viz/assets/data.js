"use strict";
// The numbers of all latents, and the examples of one latent when they are wanted.

const Data = (() => {
  const raw = self.saevOverview;

  const bytes = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

  function floats(base64) {
    const view = new DataView(bytes(base64).buffer);
    return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  const frequency = floats(raw.frequency);
  const alive = [];
  frequency.forEach((share, index) => { if (share > 0) alive.push(index); });

  const loading = new Map();

  /** A promise of the examples of a latent that has a page; its script is added on first use. */
  function examples(index) {
    if (!loading.has(index)) loading.set(index, load(index));
    return loading.get(index);
  }

  function load(index) {
    return new Promise((resolve, reject) => {
      const path = `data/latents/${String(index).padStart(6, "0")}.js`;
      const script = element("script", { src: path });
      script.onload = () => { script.remove(); resolve(self.saevLatents[index]); };
      script.onerror = () => {
        script.remove();
        loading.delete(index);
        reject(new Error(`${path} is missing from this gallery's folder.`));
      };
      document.head.append(script);
    });
  }

  return {
    title: raw.title,
    facts: raw.facts,
    grid: raw.grid,
    pages: raw.pages,
    hasPage: new Set(raw.pages),
    nLatents: frequency.length,
    alive,
    frequency,
    meanValue: floats(raw.meanValue),
    maxValue: floats(raw.maxValue),
    colours: bytes(raw.colours),
    bytes,
    examples,
  };
})();
