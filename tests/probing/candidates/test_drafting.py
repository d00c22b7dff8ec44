"""Which latents are joined in a draft."""

import numpy as np
import pytest
from scipy.sparse import csc_array

from saev.probing.candidates.drafting import drafted
from saev.probing.candidates.scoring import Scored
from saev.probing.pictures.attributes import Attribute, Attributes

N = 400


def scored(names: list[str]) -> Scored:
    """Two latents that each fire on half of an attribute, one that fires on pictures without it, and noise."""
    rng = np.random.default_rng(0)
    y, side = np.arange(N) < 120, rng.random(N) < 0.5
    dense = rng.random((N, 40)) * (rng.random((N, 40)) < 0.05)
    dense[y & side, 0], dense[y & ~side, 1] = 3, 3
    y_ij = np.repeat(y[:, None], len(names), axis=1).astype(np.int8)
    attributes = Attributes([Attribute("metadata", "x", name) for name in names], y_ij, [], np.empty((N, 0)))
    return Scored.of(csc_array(dense.astype(np.float32)), attributes, np.arange(N))


def draft(found: Scored) -> dict[str, set[int]]:
    hypotheses = drafted(
        found, tokens="content", pooling="max", count_above=0, smallest_effect=0.2
    )  # fmt: skip
    return {one.id: set(one.latents.all) for one in hypotheses}


def test_those_that_are_looked_at_are_the_ones_that_go_best_with_the_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = draft(scored(["striped"]))
    assert expected["metadata-striped-joined"] == {0, 1}
    monkeypatch.setattr("saev.probing.candidates.drafting.JOINED_FROM", 200)  # as many as the two have, and a few more
    assert draft(scored(["striped"])) == expected
    monkeypatch.setattr("saev.probing.candidates.drafting.JOINED_FROM", 0)
    assert set(draft(scored(["striped"]))) == {"metadata-striped"}


def test_each_hypothesis_has_an_id_of_its_own() -> None:
    names = ["a/b", "a b", "A b", "\u65e5\u672c", "\u65e5", "x" * 100, "x" * 99]
    ids = list(draft(scored(names)))
    assert len({one.casefold() for one in ids}) == 2 * len(names)
    assert ids[:4] == ["metadata-a-b", "metadata-a-b-joined", "metadata-a-b-2", "metadata-a-b-2-joined"]
    assert max(map(len, ids)) == 80
