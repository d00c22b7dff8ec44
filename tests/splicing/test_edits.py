"""Changes of codes, without a model."""

from typing import Any

import numpy as np
import pytest
import torch

from saev.splicing.edits import Edit, edited_codes


@pytest.mark.parametrize("latents", [np.int64(3), torch.tensor(3), [3], torch.tensor([3])])
def test_latents_come_as_numbers_of_any_kind(latents: Any) -> None:
    f_bps = torch.ones(1, 2, 5)
    assert edited_codes(f_bps, [Edit(latents, "zero")])[0, 0].tolist() == [1, 1, 1, 0, 1]


def test_edits_follow_each_other_and_leave_what_they_got() -> None:
    f_bps = torch.arange(12.0).reshape(2, 2, 3)
    found = edited_codes(f_bps, [Edit(0, "set", 2.0), Edit([0, 1], "scale", -1.0), Edit(2, "zero", tokens=[1])])
    assert found.tolist() == [[[-2, -1, 2], [-2, -4, 0]], [[-2, -7, 8], [-2, -10, 0]]]
    assert torch.equal(f_bps, torch.arange(12.0).reshape(2, 2, 3))
