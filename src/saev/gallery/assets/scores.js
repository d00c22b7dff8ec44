"use strict";
// How well what fires agrees with a label: scores as saev.probing.statistics.scores defines them. A FireCurve counts at
// all thresholds, FireCounts are the scores at one.

/** A quotient, 0 where the divisor is 0. */
function ratio(above, below) {
  return below === 0 ? 0 : above / below;
}

/** How many fire with the label (tp), without it (fp), are silent with it (fn) and without it (tn). */
class FireCounts {
  constructor(tp, fp, fn, tn) {
    Object.assign(this, { tp, fp, fn, tn });
  }

  /** Of what fires, the share with the label; 0 where nothing fires. */
  get precision() {
    return ratio(this.tp, this.tp + this.fp);
  }

  /** Of what has the label, the share that fires; 0 where nothing has it. */
  get recall() {
    return ratio(this.tp, this.tp + this.fn);
  }

  get f1() {
    return ratio(2 * this.tp, 2 * this.tp + this.fp + this.fn);
  }

  /** Precision over the label's share of all. */
  get lift() {
    return ratio(this.precision, ratio(this.tp + this.fn, this.tp + this.fp + this.fn + this.tn));
  }

  /** The correlation of firing and label, -1 to 1; 0 where all or nothing fires, or has the label. */
  get mcc() {
    const { tp, fp, fn, tn } = this;
    const margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn);
    return Math.max(-1, Math.min(1, ratio(tp * tn - fp * fn, Math.sqrt(margins))));
  }
}

/** Values against a label, at all thresholds. */
class FireCurve {
  /**
   * `values` (any list of numbers) and whether each of them has the label, `labels`; and of those whose value lies below
   * all of these, the silent ones, how many have the label and how many have not.
   */
  constructor(values, labels, silentWith = 0, silentWithout = 0) {
    const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[b] - values[a]);
    this.steps = []; // for each distinct value, from the largest: {value, tp, fp} where all down to it fire
    let [tp, fp] = [0, 0];
    order.forEach((one, i) => {
      if (labels[one]) tp += 1;
      else fp += 1;
      if (i + 1 === order.length || values[order[i + 1]] !== values[one]) this.steps.push({ value: values[one], tp, fp });
    });
    [this.nWith, this.nWithout] = [tp + silentWith, fp + silentWithout];
  }

  /** The counts where all values above the threshold fire, not those at it. */
  above(threshold) {
    let [low, high] = [0, this.steps.length]; // steps before `low` are above it, those from `high` on are not
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle].value > threshold) low = middle + 1;
      else high = middle;
    }
    const { tp, fp } = low === 0 ? { tp: 0, fp: 0 } : this.steps[low - 1];
    return new FireCounts(tp, fp, this.nWith - tp, this.nWithout - fp);
  }

  /** The sum over distinct values, from the largest, of (recall - recall before) x precision; NaN where no label is. */
  get averagePrecision() {
    if (this.nWith === 0) return NaN;
    let [sum, before] = [0, 0];
    for (const { tp, fp } of [...this.steps, { tp: this.nWith, fp: this.nWithout }]) {
      sum += ((tp - before) / this.nWith) * ratio(tp, tp + fp);
      before = tp;
    }
    return sum;
  }
}
