"""What passes leave behind."""

import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch
from torch import Tensor

import saev
from saev.probing.interventions.changes import Batch
from saev.probing.interventions.effects import Figure
from saev.probing.interventions.files import _table
from saev.probing.interventions.outcome import COSINE, EDITED, RANDOM, UNTOUCHED, Reading
from saev.probing.interventions.passes import Place, measure
from saev.probing.interventions.pictures import Chosen
from saev.splicing.attach import token_layout
from saev.vit.images import ImageSource
from saev.vit.load import load_backbone


@torch.no_grad()
def test_an_embedding_does_not_keep_all_tokens_in_memory() -> None:
    vit = load_backbone("timm", "test_vit", "random", 64)
    with saev.attach(vit, saev.ReLU(64, d_sae=8), 3) as inside:
        place = Place(inside, vit, 3, token_layout(vit).positions("content"))
        embedded_be, tokens_bqd = place.run(torch.randn(2, 3, 64, 64), lambda x_btd: x_btd)
    assert embedded_be.untyped_storage().nbytes() == embedded_be.nbytes
    assert tokens_bqd.shape == (2, 16, 64)


@torch.no_grad()
def test_no_change_outlives_the_next_one_and_numbers_are_all_that_stays() -> None:
    vit = load_backbone("timm", "test_vit", "random", 64)
    made, done = list[weakref.ref[Tensor]](), list[int]()

    def arms(batch: Batch, item: object, start: int) -> Iterator[tuple[str, Tensor]]:
        for name in (EDITED, *[RANDOM] * 3, "off 1"):
            change = torch.full_like(batch.x_bpd, 0.1 * len(made))
            made.append(weakref.ref(change))
            yield name, change
            del change
            assert not [one for one in made[:-1] if one() is not None]

    items = [{"image": torch.randn(2, 3, 64, 64)} for _ in range(3)]
    with saev.attach(vit, saev.ReLU(64, d_sae=8), 3) as inside:
        place = Place(inside, vit, 3, token_layout(vit).positions("content"))
        outcome = measure(place, items, [0], arms, Reading([], None, None), [None] * 6, (done.append, done.append))
    assert len(made) == 15
    assert done == [2] * (3 + 15)
    assert {name: list(columns) for name, columns in outcome.kept.items()} == {
        UNTOUCHED: [COSINE],
        EDITED: [COSINE],
        RANDOM: [COSINE],
    }
    assert outcome.values(RANDOM, COSINE).shape == outcome.norm_i.shape == (6,)
    assert outcome.moved[COSINE].shape == (3,)


def test_the_name_of_a_picture_is_no_formula_to_a_spreadsheet() -> None:
    source = SimpleNamespace(record=lambda number: SimpleNamespace(path="=1+1.png"))
    chosen = Chosen(cast("ImageSource", source), "here", [0], ["a"], ["0" * 64], np.array([True]))
    figure = Figure(COSINE, np.array([0]), *np.ones((3, 1)), draws_r=np.zeros(2))
    assert _table([figure], chosen).splitlines()[1] == f"{COSINE},'=1+1.png,a,1.0,1.0,1.0"
