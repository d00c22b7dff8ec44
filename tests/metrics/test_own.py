"""Metrics of one's own: in each evaluation, and tried before a training."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saev.errors import InputError
from saev.metrics import METRICS, SaeMetric, check_own_metrics, own_figures
from saev.nn import TopK
from saev.training.evaluation import TAKEN, evaluated


@pytest.fixture(autouse=True)
def known_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_classes", dict(METRICS))


class Tokens(SaeMetric):
    """How many tokens there were, and the shapes of a batch."""

    figures = ("n_tokens", "width")
    told: Any = None

    def __init__(self, d_in: int, d_sae: int) -> None:
        super().__init__(d_in, d_sae)
        self.add_state("n", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, x_bd: Tensor, x_hat_bd: Tensor, f_bs: Tensor) -> None:
        assert x_bd.shape == x_hat_bd.shape == (len(f_bs), self.d_in)
        assert f_bs.shape[1] == self.d_sae
        assert len(f_bs), "a batch of no tokens is none"
        self.n = self.n + len(x_bd)

    def compute(self) -> dict[str, Any]:
        return {"n_tokens": self.n, "width": self.d_in} if self.told is None else self.told


def test_a_registered_metric_is_measured_with_the_others() -> None:
    METRICS.add(Tokens)
    check_own_metrics(6, 8, TAKEN)
    found = evaluated(TopK(6, d_sae=8, k=2).eval(), [torch.randn(n, 6) for n in (5, 0, 4)])
    assert (found["n_tokens"], found["width"]) == (9.0, 6.0)
    assert "fvu" in found
    assert own_figures() == ["n_tokens", "width"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"told": {"n_tokens": 1}}, r"gives \['n_tokens'\], its figures are \['n_tokens', 'width'\]"),
        ({"told": 3}, r"gives 3, its figures are"),
        ({"told": {"n_tokens": "x", "width": 1}}, r"fails on two tokens of width 6 \(ValueError: could not convert"),
        ({"figures": ("n_tokens", "fvu")}, "there is a figure 'fvu' already"),
        ({"figures": ("n_tokens", "on_front")}, "there is a figure 'on_front' already"),
    ],
)
def test_what_would_fail_at_the_end_of_a_training_is_refused_before_it(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    METRICS.add(Tokens)
    for name, value in changes.items():
        monkeypatch.setattr(Tokens, name, value)
    with pytest.raises(InputError, match=rf"Tokens.*{message}"):
        check_own_metrics(6, 8, TAKEN)
