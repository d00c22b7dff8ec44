"use strict";
// What fires in a place of a picture (a patch, a region, all of it), measured in several ways.

/** By what the latents of a place are sorted: in words, of a fire as `PictureFires.of` gives it, and how it is written. */
const fireOrders = {
  level: { title: "share of its maximum", note: "The largest value here, as a share of the latent's largest value in all pictures.", of: ({ level }) => level },
  value: { title: "value", note: "The largest value here.", of: ({ value }) => value, show: showValue },
  sum: { title: "sum", note: "The sum of its values over the patches here.", of: ({ sum }) => sum, show: showValue },
  share: {
    title: "share of the reconstruction", of: ({ share }) => share, show: showShare,
    note: "The sum of its values here times the length of its decoder direction, as a share of the same over all latents listed here.",
  },
  specificity: {
    title: "specificity", of: ({ specificity }) => specificity, show: (x) => (x === Infinity ? "\u221e" : `\u00d7${showNumber(x)}`),
    note: "The mean of its values here over their mean on all tokens of all pictures; where it is silent counts as 0 in both.",
  },
  region: {
    title: "region against the rest", of: ({ difference }) => difference,
    note: "Mean in the region : in the rest of the picture, sorted by the difference as a share of the latent's largest value; the bar is the share of its sum that lies in the region.",
  },
};

class PictureFires {
  /** `patches` as in the script of a picture. */
  constructor(data, patches) {
    Object.assign(this, { data, patches, all: tallyOf(patches) });
  }

  /**
   * What fires on the patches of these numbers, or with null in the whole picture: [{latent, level: the largest there,
   * value: the same as a value, sum, share, specificity}]; of a part of the picture also {mean: of the values there,
   * rest: of those elsewhere, inside: the share of its sum that is there, difference}.
   */
  of(places) {
    const { data, patches, all } = this;
    const part = places === null ? all : tallyOf(places.map((place) => patches[place]));
    const n = places?.length ?? patches.length;
    const nRest = patches.length - n;
    const fires = [...part].map(([latent, { level, sum: levels }]) => {
      const scale = data.scale[latent] / 255;
      const [sum, outside] = [levels * scale, (all.get(latent).sum - levels) * scale];
      return {
        latent, level, value: level * scale, sum, weight: sum * data.decoderNorm(latent),
        specificity: sum / n / (data.frequency[latent] * data.meanValue[latent]) || 0,
        ...(nRest === 0 ? {} : {
          mean: sum / n, rest: outside / nRest, inside: sum / (sum + outside) || 0,
          difference: (levels / n - (all.get(latent).sum - levels) / nRest) / 255,
        }),
      };
    });
    const total = fires.reduce((before, { weight }) => before + weight, 0);
    for (const fire of fires) fire.share = fire.weight / total || 0;
    return fires;
  }
}

/** Of each latent the largest level and the sum of its levels in the lists of some patches. */
function tallyOf(patches) {
  const found = new Map();
  for (const list of patches) {
    for (const { latent, level } of list) {
      const one = found.get(latent);
      if (one === undefined) found.set(latent, { level, sum: level });
      else {
        one.level = Math.max(one.level, level);
        one.sum += level;
      }
    }
  }
  return found;
}

/** Fires, those first that have most of what `order` names. */
function sortFires(fires, order) {
  const { of } = fireOrders[order];
  return fires.toSorted((a, b) => of(b) - of(a) || a.latent - b.latent);
}
