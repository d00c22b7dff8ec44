"""What else tells the pictures apart, beside the best latent of each attribute, on the half that one may look at.

Shape suffixes: i = pictures of the proposal half, l = latents, j = attributes, r = rows of the table.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from saev.nn import SparseAutoencoder
from saev.probing.candidates.scoring import Scored
from saev.probing.candidates.table import Rows
from saev.probing.controls.control import ControlOptions
from saev.probing.controls.crossed import crossed
from saev.probing.controls.judging import CENTRE, COMPONENT, DIRECTION, LATENT, LINEAR, MEANS, NEURON, RANDOM_SAE
from saev.probing.controls.measuring import control_values
from saev.probing.statistics.arrays import Floats, Integers
from saev.probing.statistics.scores import ratio
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

MOST_PICTURES: Final = 2000
LEAST_PICTURES: Final = 500
MOST_PRODUCTS: Final = 2**41
"""Of activations with weights of SAEs that encode for this; fewer pictures are taken where they would be more."""
N_MATCHED: Final = 100
MATCHED_SHARE: Final = 0.95
COLUMNS: Final = {
    LATENT: "left_out_mcc",
    NEURON: "neuron_mcc",
    DIRECTION: "direction_mcc",
    COMPONENT: "component_mcc",
    CENTRE: "centre_mcc",
    RANDOM_SAE: "random_sae_mcc",
    MEANS: "means_mcc",
    LINEAR: "linear_mcc",
}
SEEDS: Final = "seeds_mcc"
MATCHED: Final = "matched_mcc"
PASSED: Final = {NEURON: "above_neuron", LINEAR: "above_linear"}
CONTROLS: Final = (*COLUMNS.values(), SEEDS, MATCHED, *PASSED.values())
"""Columns of the table."""


def control_columns(
    reader: ShardReader,
    images: Integers,
    scored: Scored,
    rows: Rows,
    sae: SparseAutoencoder,
    seeds: Mapping[str, SparseAutoencoder],
    *,
    tokens: TokenKind,
    seed: int,
    device: str | None = None,
) -> tuple[dict[str, Floats], int]:
    """MCC of the best latent of each binary attribute, and of controls, on pictures that did not choose them (r,).

    In the claim's direction, with the sign of the row's MCC; NaN elsewhere. `matched_mcc` is other: what 95 % of the
    latents that fire about as often stay under, at their best thresholds, on the pictures of the row's own MCC;
    `above_neuron` and `above_linear` are the shares of draws in which the best latent does better. Beside the columns
    stands on how many pictures controls were measured.

    Args:
        images: (i,) the pictures of `scored`, as numbers in the recording.
        rows: Of the table.
        seeds: Others of the same activations, by name.
        tokens: Which tokens.
        seed: Of the choice of pictures, of folds and of what is random.

    Raises:
        InputError: If a file is damaged.
    """
    n_binary, best = len(scored.attributes.binary), scored.best()
    sign_j = np.sign(scored.effect_lj[best, np.arange(len(best))])[:n_binary]
    y_ij = scored.attributes.y_ij
    y_ij = np.where((sign_j < 0) & (y_ij >= 0), 1 - y_ij, y_ij)
    some, weights = sample(y_ij, _n_pictures(reader, tokens, sae, 1 + len(seeds)), np.random.default_rng(seed))
    values = control_values(
        reader, images[some], tokens=tokens, sae=sae, others=seeds, seed=seed, device=device,
        options=ControlOptions(own_latents=False, sparse_ks=(), compared_ks=()),
    )  # fmt: skip
    held = {LATENT: scored.pooled_il[some], **{name: one.values_is for name, one in values.items()}}
    made = crossed(held, NEURON, y_ij[some], weights, scored.group_i[some], seed)
    found = {COLUMNS[name]: mcc_j for name, mcc_j in made.mcc.items() if name in COLUMNS}
    if others := [mcc_j for name, mcc_j in made.mcc.items() if name not in COLUMNS]:
        found[SEEDS] = np.mean(others, axis=0)
    found[MATCHED] = _matched(scored, best[:n_binary])
    found = {name: mcc_j * sign_j for name, mcc_j in found.items()}
    found |= {column: made.passed[name] for name, column in PASSED.items()}
    kept_r = rows.best_of_attribute_r & (rows.attribute_r < n_binary)
    place_r = np.where(kept_r, rows.attribute_r, 0)
    return {name: np.where(kept_r, value_j[place_r], np.nan) for name, value_j in found.items()}, len(some)


def _n_pictures(reader: ShardReader, tokens: TokenKind, sae: SparseAutoencoder, n_saes: int) -> int:
    n_tokens = len(TokenSelection.of([reader], np.arange(1), tokens).positions)
    affordable = MOST_PRODUCTS // (n_tokens * sae.d_in * sae.d_sae * n_saes)
    return min(MOST_PICTURES, max(LEAST_PICTURES, affordable))


def sample(y_ij: Any, most: int, rng: np.random.Generator) -> tuple[Integers, Floats]:
    """At most so many pictures n (ascending), of each attribute as many as can be; all if they are no more.

    Each attribute in turn gives a picture that has it; those of which the same attributes are known give together as
    many that lack one. So rare attributes are whole, and common ones give what is left. A picture of a rare attribute
    is drawn more often than others, whatever else it has, and weighs less: by one over its chance to be drawn.

    Args:
        y_ij: int8: 1 yes, 0 no, -1 unknown.
        most: How many.

    Returns:
        The pictures (n,), and for how many each stands (n, j), of each attribute: those with it for all with it, those
        without it for all without.
    """
    known_i = (y_ij >= 0).any(1)
    if known_i.sum() <= most:
        some = np.flatnonzero(known_i)
        return some, np.ones((len(some), y_ij.shape[1]))
    turn_i, gives = np.full(len(y_ij), np.inf), []
    _, pattern_j, size_p = np.unique(y_ij >= 0, axis=1, return_inverse=True, return_counts=True)
    for j, pattern in enumerate(pattern_j.ravel()):
        for value, step in ((1, 1), (0, size_p[pattern])):
            own = np.flatnonzero(y_ij[:, j] == value)
            turn_i[own] = np.minimum(turn_i[own], rng.permutation(len(own)) * step)
            gives.append((own, step))
    some = np.sort(np.lexsort((rng.random(len(y_ij)), turn_i))[:most])
    last, missed_i = turn_i[some].max(), np.ones(len(y_ij))
    for own, step in gives:
        missed_i[own] *= 1 - min(1.0, (last // step + 1) / max(1, len(own)))
    weight_n, weights_nj = 1 / (1 - missed_i[some]), np.ones((len(some), y_ij.shape[1]))
    for value in (0, 1):
        own_nj = y_ij[some] == value
        each_j = ratio((y_ij == value).sum(0), weight_n @ own_nj)
        weights_nj = np.where(own_nj, weight_n[:, None] * each_j, weights_nj)
    return some, weights_nj


def _matched(scored: Scored, best_j: Integers) -> Floats:
    """(j,) what 95 % of the latents whose frequency is nearest to that of the best one reach, by size."""
    frequency_l = np.diff(scored.pooled_il.indptr)
    found = np.empty(len(best_j))
    for j, latent in enumerate(best_j.tolist()):
        far_l = np.abs(frequency_l - frequency_l[latent]).astype(np.float64)
        far_l[[latent, *np.flatnonzero(frequency_l == 0)]] = np.inf
        near = np.argsort(far_l, kind="stable")[: min(N_MATCHED, np.count_nonzero(np.isfinite(far_l)))]
        effect_l = scored.scores.mcc[:, j] if scored.effect_lj[latent, j] > 0 else -scored.scores.lowest_mcc[:, j]
        found[j] = np.quantile(effect_l[near], MATCHED_SHARE) if len(near) else np.nan
    return found
