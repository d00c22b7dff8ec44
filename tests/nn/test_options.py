"""Before training: whether what is saved of an SAE will build it again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from tests.nn.small_saes import SMALL, build

import saev
from saev.errors import InputError
from saev.nn import ARCHITECTURES, ReLU
from saev.nn.one_layer import OneLayerAutoencoder
from saev.nn.options import check_options, check_rebuilds


@pytest.fixture(autouse=True)
def known_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ARCHITECTURES, "_classes", dict(ARCHITECTURES))


class _Own(OneLayerAutoencoder):
    """Gives whatever options it is told to."""

    told: Any = None
    activate = training_pass = None  # type: ignore[assignment] # not used here

    def __init__(self, d_in: int, d_sae: int = 8, shift: float = 0.5, sizes: Any = None, about: str = "") -> None:
        super().__init__(d_in, d_sae)
        if shift < 0:
            raise ValueError("the shift must be positive")
        self.shift = shift

    def options(self) -> dict[str, Any]:
        return {"d_sae": self.d_sae, "shift": self.shift} if self.told is None else self.told  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", sorted(SMALL))
def test_every_architecture_of_saev_passes(case: str) -> None:
    check_rebuilds(build(case))


def test_an_architecture_of_ones_own_passes_and_is_known_from_then_on() -> None:
    check_rebuilds(_Own(4, d_sae=6, shift=0.25))
    assert ARCHITECTURES["_Own"] is _Own


def test_an_sae_says_what_builds_it_and_what_it_takes() -> None:
    sae = saev.TopK(d_in=8, d_sae=16, k=2)
    assert repr(sae) == "TopK(d_in=8, d_sae=16, k=2)"
    with pytest.raises(InputError, match=r"takes tensors of activations \(\.\.\., 8\), not a tensor of shape \(3, 9\)"):
        sae(torch.zeros(3, 9))
    with pytest.raises(InputError, match=r"\(\.\.\., 8\), not ndarray"):
        sae.encode(np.zeros((3, 8)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"d_sae": 6}, "makes an SAE whose shift is 0.5, not 0.25"),
        ({"d_sae": 6, "shift": 0.75}, "makes an SAE whose shift is 0.75, not 0.25"),
        ({"d_sae": 7, "shift": 0.25}, "makes an SAE whose d_sae is 7, not 6"),
        ({"d_sae": 6, "shift": -1.0}, r"makes no SAE: the shift must be positive"),
        ({"d_sae": 6, "shift": "0.25"}, r"shift is '0.25', not a finite number"),
        ({"d_sae": 6, "shift": 0.25, "sizes": (1, 2)}, r"sizes is \(1, 2\), which JSON makes \[1, 2\] of: give that"),
        ({"d_sae": 6, "shift": 0.25, "sizes": {1: 2}}, r"sizes is \{1: 2\}, which JSON makes"),
        ({"d_sae": 6, "shift": 0.25, "sizes": {3}}, "cannot be saved as JSON"),
        ({"d_sae": 6, "shift": float("inf")}, "cannot be saved as JSON"),
        ({"d_sae": 6, "shift": 0.25, "about": "x"}, "about has a meaning of its own in config.json: rename"),
        ({"d_sae": 6, "shift": 0.25, "colour": "red"}, "_Own has no option 'colour'"),
        ([6], "it must give a dict"),
    ],
)
def test_options_that_do_not_build_it_again_are_refused(
    told: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sae = _Own(4, d_sae=6, shift=0.25)
    monkeypatch.setattr(_Own, "told", told)
    with pytest.raises(InputError, match=rf"^tests.*_Own\.options\(\).*{message}"):
        check_rebuilds(sae)


class _Annotated(ReLU):
    def __init__(
        self,
        d_in: int,
        sizes: Sequence[int] = (3,),
        pair: tuple[int, int] | None = None,
        table: Mapping[str, float] = MappingProxyType({}),
        other: dict[str, Any] | str = "",
        anything: Any = None,
    ) -> None:
        super().__init__(d_in, d_sae=8)
        self.told = {"sizes": list(sizes), "pair": pair and list(pair), "table": dict(table), "other": other}

    def options(self) -> dict[str, Any]:
        return self.told  # type: ignore[no-any-return]


def test_options_of_any_annotation_are_taken(tmp_path: Path) -> None:
    given: dict[str, Any] = {"sizes": [1, 2], "pair": [3, 4], "table": {"a": 0.5}, "other": {"b": [None]}}
    x = torch.randn(60, 4)
    sae = saev.train(x, _Annotated, **given, n_tokens=60, batch_size=30, val_share=0, progress=False)
    saev.save(sae, tmp_path)
    assert saev.load(tmp_path).options() == given
    with pytest.raises(InputError, match=r"here: d_in is \[4\], not a whole number"):
        check_options(_Annotated, {"d_in": [4]}, "here")


def test_types_that_only_type_checkers_know_are_no_error() -> None:
    class Hidden(ReLU):
        def __init__(self, d_in: int, width: "Unknown" = 8) -> None:  # type: ignore[name-defined] # noqa: F821
            super().__init__(d_in, width)

        def options(self) -> dict[str, Any]:
            return {"width": self.d_sae}

    x = torch.randn(60, 4)
    assert saev.train(x, Hidden, n_tokens=60, batch_size=30, val_share=0, progress=False, width=5).d_sae == 5


def test_arguments_without_a_type_and_of_any_name_are_taken() -> None:
    class Loose(_Own):
        def __init__(self, d_in, width=3, **more) -> None:  # type: ignore[no-untyped-def]
            super().__init__(d_in)

    check_options(Loose, {"d_in": 4, "width": [1], "other": 2}, "here")
