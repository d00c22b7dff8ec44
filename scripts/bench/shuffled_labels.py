"""Searches on labels that know nothing: how often is something confirmed, and what do intervals cover?

A search looks at all latents and attributes on one half, freezes those that agree best, each with its threshold, and a
coalition for one attribute, and tests all of them on the other half, with Holm's correction. It is used by
`probing_real.py` and by a test.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.hypotheses.coalitions import joined
from saev.probing.hypotheses.hypothesis import Latents
from saev.probing.statistics.all_latents import latent_scores
from saev.probing.statistics.arrays import Bools, Integers
from saev.probing.statistics.bootstrap import interval
from saev.probing.statistics.correction import holm
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.permutation import permutation_test
from saev.probing.statistics.scores import Counts
from saev.probing.statistics.verdict import Evidence, judge

AT_ONCE = 20  # Searches whose latents are scored together.


class Search(NamedTuple):
    """What a search found on the test half.

    Args:
        n: Hypotheses that were tested.
        significant: Those of a corrected p of at most .05.
        confirmed: Those that are confirmed, whatever random latents of their frequency would say.
        covered: Intervals that hold 0.
        largest: The largest MCC on the proposal half, where it was searched for.
    """

    n: int
    significant: int
    confirmed: int
    covered: int
    largest: float


@dataclass(frozen=True)
class Pictures:
    """Pictures and what latents do on them.

    Args:
        pooled_il: Pooled values of all latents.
        is_test_i: The half that judges.
        group_i: What belongs together; None where each picture stands alone.
        stratum_i: Within which labels change places; None for all.
    """

    pooled_il: csc_array
    is_test_i: Bools
    group_i: Integers | None = None
    stratum_i: Integers | None = None


def shuffled(pictures: Pictures, y_ij: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.int8]:
    """Labels in another order: among all pictures, or within strata; groups of pictures get those of one picture."""
    n = len(y_ij)
    if pictures.group_i is not None:
        return y_ij[rng.permutation(n)][pictures.group_i]
    stratum_i = np.zeros(n, np.int64) if pictures.stratum_i is None else pictures.stratum_i
    order = np.argsort(stratum_i, kind="stable")
    found = np.empty_like(y_ij)
    found[order] = y_ij[np.argsort(stratum_i + rng.random(n))]
    return found


def searches(
    pictures: Pictures,
    labels: Sequence[NDArray[np.int8]],
    rng: np.random.Generator,
    n_frozen: int = 5,
    n_permutations: int = 499,
    n_draws: int = 400,
) -> Iterator[Search]:
    """Choose on one half, test on the other, for each of several sets of labels (i, j)."""
    for start in range(0, len(labels), AT_ONCE):
        some = np.stack(labels[start : start + AT_ONCE])
        y_ij = some.transpose(1, 0, 2).reshape(some.shape[1], -1)
        found = latent_scores(pictures.pooled_il[~pictures.is_test_i], y_ij[~pictures.is_test_i])
        best_bj, largest_bj = (one.reshape(len(some), -1) for one in (found.mcc.argmax(0), found.mcc.max(0)))
        threshold = np.take_along_axis(found.threshold, found.mcc.argmax(0)[None], axis=0).reshape(best_bj.shape)
        for own_ij, best_j, threshold_j, largest_j in zip(some, best_bj, threshold, largest_bj, strict=True):
            chosen = np.argsort(-largest_j)[:n_frozen].tolist()
            frozen = [(j, Latents((int(best_j[j]),), (), (float(threshold_j[j]),))) for j in chosen]
            with suppress(InputError):  # a rare label that no latent agrees with has no coalition
                frozen.append(
                    (0, joined(pictures.pooled_il[~pictures.is_test_i], own_ij[~pictures.is_test_i, chosen[0]]).latents)
                )
            yield _tested(pictures, own_ij, frozen, float(largest_j.max()), rng, n_permutations, n_draws)


def _tested(
    pictures: Pictures,
    y_ij: NDArray[np.int8],
    frozen: Sequence[tuple[int, Latents]],
    largest: float,
    rng: np.random.Generator,
    n_permutations: int,
    n_draws: int,
) -> Search:
    tests = pictures.is_test_i
    group_i = None if pictures.group_i is None else pictures.group_i[tests]
    stratum_i = (np.zeros(len(tests), np.int64) if pictures.stratum_i is None else pictures.stratum_i)[tests]
    p, intervals = [], []
    for j, latents in frozen:
        y_i = y_ij[tests, j]
        fires_i = latents.values(pictures.pooled_il[:, list(latents.all)][tests]) > latents.threshold
        with suppress(InputError):  # no label of this half can change places
            p.append(permutation_test(fires_i, Exchange.of(y_i, group_i, stratum_i), n_permutations, rng).p)
            intervals.append(
                interval(Counts.mcc_within, fires_i, y_i, n_draws, rng, group_i=group_i, confounder_i=stratum_i)
            )
    corrected = holm(p)
    verdicts = [
        judge(Evidence(*one, p_corrected=float(own), n=int(tests.sum()), n_tested=len(p)))
        for one, own in zip(intervals, corrected, strict=True)
    ]
    return Search(
        n=len(p),
        significant=int((corrected <= 0.05).sum()),
        confirmed=sum(verdict.verdict == "confirmed" for verdict in verdicts),
        covered=sum(one.low <= 0 <= one.high for one in intervals),
        largest=largest,
    )
