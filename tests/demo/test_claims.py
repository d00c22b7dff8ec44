"""Claims are chosen by rules from what latents do, and are true or false as they say."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.demo.claims import SMALLEST_EFFECT, choose, latents_of
from saev.demo.known_scenes import NAMES, SUMMER, KnownScenes
from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.statistics.scores import mcc
from saev.vit.images import DemoScenes

KNOWN = KnownScenes(DemoScenes(n_scenes=600))
N = len(KNOWN.scenes)
STANDS_FOR = ("red", "yellow", "striped", "disc", SUMMER, "green")
"""By the number of the latent."""


def pooled(noise: float = 0.1) -> NDArray[np.float64]:
    """(i, l) latents that stand for a value each, but for a share of the scenes, and four that fire at random."""
    rng = np.random.default_rng(1)
    fires_il = np.stack([KNOWN.truth(name) == 1 for name in STANDS_FOR], axis=1)
    fires_il ^= rng.random(fires_il.shape) < noise * np.arange(1, 1 + len(STANDS_FOR)) / len(STANDS_FOR)
    values_il = np.concatenate([fires_il, rng.random((N, 4)) < 0.2], axis=1) * (1 + rng.random((N, 10)))
    return np.asarray(values_il)


def drafted(name: str, *latents: int) -> Hypothesis:
    """A hypothesis as `propose` drafts it."""
    own_id = f"metadata-{name.replace('=', '-')}{'-joined' if len(latents) > 1 else ''}"
    return Hypothesis(own_id, AttributeName("metadata", name), Latents(latents, (), (0.5,) * len(latents)), text=name)


DRAFT = [
    *(drafted(name, latent) for latent, name in enumerate(STANDS_FOR) if name != SUMMER),
    drafted(f"background={SUMMER}", 4),
    drafted("summer", 4),
    drafted("warm", 1),
    drafted("warm", 0, 1),
]


def test_claims_are_what_they_say() -> None:
    x_il = pooled()
    found = choose(DRAFT, csc_array(x_il), KNOWN.y_ij, KNOWN.summer_i)
    assert [one.is_true for one in found.all] == [True, True, True, False, False]
    assert found.colour.truth == "red"  # the one with the least noise
    assert found.several[0].truth == "striped"
    assert found.several[1].hypothesis.latents.any == (0, 1)
    for one in found.all:
        its = one.hypothesis.latents
        agreement = mcc(its.values(x_il[:, list(its.all)]) > its.threshold, KNOWN.truth(one.truth))
        assert (agreement > SMALLEST_EFFECT) == (one.is_true or one.truth == "summer")
        assert one.hypothesis.smallest_effect == SMALLEST_EFFECT
    misread = found.several[2]
    own = misread.hypothesis.latents.any[0]
    assert own < len(STANDS_FOR)
    assert misread.truth != STANDS_FOR[own]
    assert len({one.truth for one in found.all}) == 5  # a second test of the same thing decides nothing
    strongest = np.argsort(-x_il[:, own], kind="stable")[:9]
    assert f"{KNOWN.truth(misread.truth)[strongest].sum()} of its 9 strongest scenes" in misread.why


def test_a_summer_latent_knows_the_background_alone() -> None:
    fires_i = pooled()[:, 4] > 0
    is_tied_i = KNOWN.truth(SUMMER) == 1
    assert mcc(fires_i, KNOWN.summer_i) > 0.4
    for part_i in (is_tied_i, ~is_tied_i):
        assert abs(mcc(fires_i[part_i], KNOWN.summer_i[part_i])) < 0.15
    assert 0.8 < KNOWN.summer_i[is_tied_i].mean() < 1
    assert 0 < KNOWN.summer_i[~is_tied_i].mean() < 0.2


@pytest.mark.parametrize("drafted_warm", [[], [replace(drafted("warm", 2, 3), claim="does not fire on")]])
def test_where_no_latents_are_joined_for_warm_those_of_the_colours_stand_together(
    drafted_warm: list[Hypothesis],
) -> None:
    found = choose(
        [*drafted_warm, *(one for one in DRAFT if one.attribute.name != "warm")],
        csc_array(pooled()),
        KNOWN.y_ij,
        KNOWN.summer_i,
    )
    assert found.several[1].hypothesis.latents.any == (0, 1)
    assert found.several[1].hypothesis.id == "metadata-warm-joined"


def test_latents_of_a_value_go_with_nothing_else_more() -> None:
    x_il = pooled()
    x_il[:, 9] = x_il[:, 0] * (np.random.default_rng(2).random(N) < 0.7)
    assert latents_of("red", csc_array(x_il), KNOWN.y_ij) == [0, 9]
    assert latents_of("cyan", csc_array(x_il), KNOWN.y_ij) == []


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([drafted("striped", 2)], "no latent goes with a colour"),
        ([drafted("red", 0)], "no latent goes with a shape or a texture"),
        ([drafted("red", 0), drafted("disc", 3)], "no latents go with warm colours"),
    ],
)
def test_an_sae_that_has_learned_too_little(kept: list[Hypothesis], said: str) -> None:
    x_il = pooled()
    x_il[:, 1] = 0  # nothing stands for yellow
    x_il[:, 0] *= 1 + KNOWN.y_ij[:, NAMES.index("yellow")]
    with pytest.raises(InputError, match=f"{said}: the SAE has learned too little"):
        choose(kept, csc_array(x_il), KNOWN.y_ij, KNOWN.summer_i)


def test_the_table_says_what_is_in_each_scene() -> None:
    head, first, *_ = KNOWN.table().splitlines()
    cells = dict(zip(head.split(","), first.split(","), strict=True))
    scene = KNOWN.scenes[0]
    assert cells.pop("path") == "scene-000000.png"
    assert cells.pop("background") == scene.background
    assert {name for name, cell in cells.items() if cell == "yes" and name in NAMES} == {
        getattr(thing, factor)
        for thing in scene.objects
        for factor in ("shape", "colour", "texture", "size", "position")
    }
    is_warm = any(thing.colour in ("red", "yellow") for thing in scene.objects)
    assert cells["warm"] == ("yes" if is_warm else "no")
    assert len(cells) == 23
