"""How often edits that do nothing seem to do what is claimed."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.sets.answers import Labelled
from saev.probing.sets.image_set import ImageSet
from saev.probing.sets.paired_set import EditedPair, Expected, PairedEdit
from saev.probing.sets.sampling import stratified_sample
from saev.probing.verdicts.edit_effects import EditEffect, PairValues, edit_effects
from saev.probing.verdicts.given_sets import GivenSet

CLAIM = Hypothesis("x", AttributeName("label", "red"), Latents((0,), (), (1.0,)), text="red")
GIVEN = GivenSet(CLAIM, 0, Path(), cast("ImageSet", None), None, cast("Labelled", None))
N_STUDIES = 200


def values(
    before: Any, after: Any, placebo: Any, expected: Expected = "removes", groups: Any = None, weights: Any = None
) -> PairValues:
    groups = range(len(before)) if groups is None else groups
    pairs = tuple(
        EditedPair(f"p{k:03d}", "", str(group), ("1" * 64,), None, "2" * 64, "3" * 64, "4" * 64, 9.0, 9.0)
        for k, group in enumerate(groups)
    )
    edit = PairedEdit("grey", expected, pairs)
    weight_q = np.ones(len(pairs)) if weights is None else weights
    return PairValues(edit, np.asarray(before), np.asarray(after), np.asarray(placebo), weight_q)


def effects(*some: PairValues, n_tested: int = 1) -> tuple[EditEffect, ...]:
    return edit_effects(some, GIVEN, alpha=0.05, n_tested=n_tested, n_flips=99, seed=0)


def studies(kind: str, rng: np.random.Generator) -> list[PairValues]:
    found = []
    for _ in range(N_STUDIES):
        value = rng.gamma(2, size=200)
        before, after, placebo = value + rng.normal(0, 2, (3, 200))
        if kind == "pictures were chosen for their values":
            top = np.argsort(-before)[:40]
            found.append(values(before[top], after[top], placebo[top]))
        elif kind == "the placebo alone moves, the other way":
            found.append(values(before[:40], after[:40], placebo[:40] + 1.5))
        elif kind == "edit and placebo weaken alike":
            found.append(values(before[:40], after[:40] / 2, placebo[:40] / 2))
    return found


@pytest.mark.parametrize(
    "kind",
    [
        "pictures were chosen for their values",
        "the placebo alone moves, the other way",
        "edit and placebo weaken alike",
    ],
)
def test_what_is_not_due_to_the_edit_is_seldom_found(kind: str) -> None:
    found = [effects(one)[0] for one in studies(kind, np.random.default_rng(0))]
    rate = np.mean([one.finding == "as claimed" for one in found])
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / N_STUDIES)
    if kind == "pictures were chosen for their values":
        # Without the placebo all of them would be finds.
        assert np.mean([one.after < 0.9 * one.before for one in found]) == 1


def test_what_was_sampled_by_value_stands_for_all_pictures() -> None:
    """An edit that swaps equal pictures: of many that were taken because they fire it would seem to weaken them."""
    rng, weighted, unweighted, covered = np.random.default_rng(1), [], [], []
    for seed in range(N_STUDIES):
        base = rng.gamma(4, 0.25, size=600)
        before, after = np.maximum(0, base + rng.choice([0.0, 3.0], (2, 600), p=[0.9, 0.1]) - 0.5)
        sample = stratified_sample(before, 2.0, 60, seed)
        k = sample.pictures_k
        [one] = effects(values(before[k], after[k], before[k], "keeps", weights=sample.weights_k))
        weighted.append(one.finding)
        covered.append(one.low <= (after - before).mean() <= one.high)
        [one] = effects(values(before[k], after[k], before[k], "keeps"))
        unweighted.append(one.finding)
    assert np.mean([one == "not as claimed" for one in unweighted]) > 0.25
    assert np.mean([one == "not as claimed" for one in weighted]) <= 0.05
    assert np.mean(covered) >= 0.85
    [heavy] = effects(values(np.ones(40), np.ones(40), np.ones(40), "keeps", weights=np.r_[np.ones(39), 99.0]))
    assert heavy.finding == "undecided"  # one picture stands for most


def test_the_smallest_change_that_matters_decides_what_a_sure_one_is_worth() -> None:
    before = np.random.default_rng(0).uniform(9, 11, 40)
    for factor, removes, keeps in (
        (0.5, "as claimed", "not as claimed"),
        (0.9, "not as claimed", "as claimed"),
        (1.5, "not as claimed", "not as claimed"),
    ):
        both = [values(before, factor * before, before, kind) for kind in ("removes", "keeps")]
        assert [one.finding for one in effects(*both)] == [removes, keeps]


def test_few_pairs_rule_nothing_out_and_many_hypotheses_need_a_smaller_p() -> None:
    before = np.linspace(9, 11, 6)
    [gone] = effects(values(before, 0 * before, before))
    assert (gone.p, gone.p_corrected, gone.finding) == (0.03125, 0.03125, "as claimed")
    [gone] = effects(values(before, 0 * before, before), n_tested=2)
    assert (gone.p_corrected, gone.finding) == (0.0625, "undecided")
    stays = [values(before, before, before, kind) for kind in ("removes", "keeps")]
    assert [one.finding for one in effects(*stays)] == ["undecided", "undecided"]
    # Sixty pairs of six groups are no more than six.
    many = np.repeat(before, 10)
    [found] = effects(values(many, 0 * many, many, groups=np.repeat(np.arange(6), 10)))
    assert found.p == 0.03125
    silent = [values(np.zeros(40), np.zeros(40), np.zeros(40), kind) for kind in ("removes", "keeps")]
    assert [one.finding for one in effects(*silent)] == ["undecided", "undecided"]
