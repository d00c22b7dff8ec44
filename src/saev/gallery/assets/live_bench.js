"use strict";
// The user's own pictures: what was sent to the server of `saev view`, what is expected of each, and the latent that
// they test. A tab remembers which pictures these are; the pictures themselves stay in the server's memory.

/** The server's JSON; its errors become errors with its text, `isGone` where it does not keep the picture any more. It
 * computes nothing for a request that was given up (options.signal). */
async function askServer(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: is `saev view` still running?");
  }
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(answer.error), { isGone: response.status === 410 });
  return answer;
}

const postJson = (path, value) => askServer(path, { method: "POST", body: JSON.stringify(value) });

const variantNames = {
  mirror: "mirrored", rotate_90: "turned 90\u00b0", rotate_180: "turned 180\u00b0", rotate_270: "turned 270\u00b0", grey: "grey",
  blur: "blurred", crop: "region enlarged", cut_out: "region cut out", keep_only: "region alone", paste: "region pasted",
};

/** A picture on the bench: what the server made of it, and where it came from. */
class BenchPicture {
  constructor(name, { file = null, recipe = null, expected = null } = {}) {
    Object.assign(this, { name, file, recipe, expected, variants: [] }); // expected to fire: true, false, or null: not known
    this.isLost = true; // until the server has it
  }

  /** Takes the server's answer. */
  fill({ id, sha256, width, height, codes, strongest, largest }) {
    const [latents, values] = [numbersOf(largest.latents, Uint32Array), numbersOf(largest.values, Float32Array)];
    this.largest = new Map([...latents].map((latent, i) => [latent, values[i]]));
    Object.assign(this, {
      id, sha256, isLost: false, path: `live/pictures/${id}.png`,
      codes: codes === null ? null : codesOf(codes),
      strongest: strongest.map(([latent, level]) => ({ latent, level, value: this.value(latent) })),
      picture: { id, name: this.name, label: null, width, height, isMissing: false, path: `live/pictures/${id}.png` },
    });
    return this;
  }

  /** The largest value of a latent on a patch, exactly. */
  value(latent) {
    return this.largest.get(latent) ?? 0;
  }

  /** Its heatmap, from all that fires; undefined where the SAE takes no patches. */
  heat(latent, p99 = 255) {
    if (latent === null || this.codes === null) return undefined;
    const levels = this.codes.patches.map((list) => list.find((fire) => fire.latent === latent)?.level ?? 0);
    return { at: (patch) => levels[patch], p99, isCut: this.codes.nCut > 0 };
  }
}

class Bench extends EventTarget {
  constructor(app) {
    super();
    this.app = app;
    this.key = `saev-bench:${app.data.saeId}`;
    [this.pictures, this.current, this.latent, this.threshold, this.expected] = [[], null, null, 0, null]; // current: the one that is looked at
    this.p99 = 255;
    this.most = 256;
  }

  /** Changes the latent, the threshold, or what is expected of pictures to come; "change" tells. */
  async set(changes) {
    Object.assign(this, changes);
    this.tell();
    if (!("latent" in changes)) return;
    const { latent, app: { data } } = this;
    const page = latent !== null && data.hasPage.has(latent) ? await data.latent(latent).catch(() => null) : null;
    if (this.latent !== latent || this.p99 === (page?.p99 ?? 255)) return;
    this.p99 = page?.p99 ?? 255;
    this.tell();
  }

  tell() {
    this.remember();
    this.dispatchEvent(new Event("change"));
  }

  /** Those that the server has. */
  get shown() {
    return this.pictures.filter(({ isLost }) => !isLost);
  }

  fires(picture) {
    return picture.value(this.latent) > this.threshold;
  }

  /** Values of pictures of which something is expected, as a curve; and the counts at the threshold. */
  get curve() {
    const known = this.shown.filter(({ expected }) => expected !== null);
    return new FireCurve(known.map((one) => one.value(this.latent)), known.map(({ expected }) => expected));
  }

  /** Sends a file; gives its picture, the earlier one if it is here already. */
  async send(file, name) {
    const made = new BenchPicture(name, { file, expected: this.expected });
    return this.add(made.fill(await askServer("live/pictures", { method: "POST", body: file })));
  }

  /** A variant of a picture; it is not on the bench before it is kept. */
  async vary(of, kind, patches, onto) {
    const recipe = { of, kind, patches, onto };
    const name = `${of.name} (${variantNames[kind]}${onto === null ? "" : ` onto ${onto.name}`})`;
    return new BenchPicture(name, { recipe, expected: of.expected }).fill(await this.make(recipe));
  }

  make({ of, kind, patches, onto }) {
    return this.having(onto === null ? [of] : [of, onto], () => postJson("live/variants", { picture: of.id, kind, patches, onto: onto?.id ?? null }));
  }

  /** Asks the server; pictures that it has forgotten are sent again first. */
  async having(pictures, ask) {
    try {
      return await ask();
    } catch (error) {
      if (!error.isGone) throw error;
      for (const one of pictures) await this.revive(one);
      return ask();
    }
  }

  /** Sends a picture again, or makes a variant anew. */
  async revive(picture) {
    if (picture.file !== null) picture.fill(await askServer("live/pictures", { method: "POST", body: picture.file }));
    else if (picture.recipe !== null) picture.fill(await this.make(picture.recipe));
    else throw new Error(`saev view does not keep ${picture.name} any more: drop it again.`);
  }

  /** Puts a picture on the bench; one with the same content takes its place. */
  add(picture) {
    const same = this.pictures.find(({ sha256 }) => sha256 === picture.sha256);
    if (same === undefined) {
      if (this.pictures.length >= this.most) throw new Error(`${this.most} pictures are on the bench: remove some to add others.`);
      this.pictures.push(picture);
    } else if (same !== picture) {
      const { expected, variants } = same;
      Object.assign(same, picture, { expected: expected ?? picture.expected, variants });
    }
    this.tell();
    return same ?? picture;
  }

  remove(pictures) {
    this.pictures = this.pictures.filter((one) => !pictures.includes(one));
    this.tell();
  }

  expect(picture, expected) {
    picture.expected = expected;
    this.tell();
  }

  /** The address of the bench with its latent. */
  get address() {
    return `#live${this.latent === null ? "" : `&latent=${this.latent}`}`;
  }

  remember() {
    const place = (picture) => this.pictures.indexOf(picture);
    const recipeOf = ({ of, kind, patches, onto }) => ({ of: place(of), kind, patches, onto: onto === null ? null : place(onto) });
    const { latent, threshold, expected } = this;
    keep("sessionStorage", this.key, JSON.stringify({
      latent, threshold, expected, current: place(this.current),
      pictures: this.pictures.map(({ id, name, sha256, expected: own, recipe }) =>
        ({ id, name, sha256, expected: own, recipe: recipe === null ? null : recipeOf(recipe) })),
    }));
  }

  /** Takes back what the tab had before a reload, as far as the server still has it. */
  async restore() {
    const kept = recallValue("sessionStorage", this.key);
    if (!Array.isArray(kept?.pictures)) return;
    const isLatent = Number.isInteger(kept.latent) && kept.latent < this.app.data.nLatents;
    const pictures = kept.pictures.map(({ id, name, sha256, expected }) => Object.assign(new BenchPicture(name, { expected }), { id, sha256 }));
    kept.pictures.forEach(({ recipe }, i) => { // a variant of what is not on the bench cannot be made anew
      const [of, onto] = recipe === null ? [] : [pictures[recipe.of], recipe.onto === null ? null : pictures[recipe.onto]];
      if (of !== undefined && onto !== undefined) pictures[i].recipe = { ...recipe, of, onto };
    });
    await Promise.all(pictures.map((one) => askServer(`live/pictures/${one.id}.json`).then((found) => one.fill(found), () => null)));
    this.pictures = [...pictures, ...this.pictures];
    this.current = pictures[kept.current] ?? null;
    await this.set({ threshold: Number(kept.threshold) || 0, expected: kept.expected ?? null, ...(isLatent && this.latent === null ? { latent: kept.latent } : {}) });
  }
}
