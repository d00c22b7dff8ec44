"""Changes of tokens, against what the SAE itself decodes, and random latents to compare with."""

import numpy as np
import pytest
import torch
from tests.tiny_models import tiny_registers  # noqa: F401 - timm knows it

import saev
from saev.errors import InputError
from saev.nn import TopK
from saev.probing.interventions.changes import Batch, alone_on, along_others, code_change, switched_off
from saev.probing.interventions.matching import matched_latents
from saev.splicing.edits import Edit, edited_codes
from saev.vit.load import load_backbone


@torch.no_grad()
def test_changes_are_what_the_sae_decodes_of_changed_codes() -> None:
    torch.manual_seed(1)
    sae = TopK(64, d_sae=40, k=8).eval()
    sae.mean_d.copy_(torch.randn(64))
    sae.scale_d.fill_(1.7)
    vit = load_backbone("timm", "tiny_registers", "random", 32)
    x_btd = torch.randn(3, vit.n_registers + 4, 64)
    with saev.attach(vit, sae, 2) as inside:
        batch = Batch.of(inside, x_btd, [3, 7, 11, 30])
        f_bps = inside.encode(inside.taken(x_btd))
    mask = torch.rand(3, 4) < 0.5
    edit = Edit([7, 3], "set", 2.5)
    change_bpl = code_change(batch, [7, 3], edit, mask)
    expected = sae.decode(edited_codes(f_bps, [Edit([7, 3], "set", 2.5, tokens=mask)])) - sae.decode(f_bps)
    found = batch.added(change_bpl, [7, 3])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found[~mask].abs().max() == 0
    other = along_others(batch, change_bpl, [11, 30], found)
    torch.testing.assert_close(other.norm(dim=-1), found.norm(dim=-1))
    direction = other[mask][0] / other[mask][0].norm()
    own = 1.7 * change_bpl[mask][0] @ sae.W_dec[[11, 30]]
    torch.testing.assert_close(direction, own / own.norm(), rtol=1e-4, atol=1e-5)
    # Each image has latents of its own; an image without any stays as it is, or loses all.
    latents_b = [[3, 7], [11], []]
    off, alone = f_bps.clone(), torch.zeros_like(f_bps)
    for image, latents in enumerate(latents_b):
        off[image, :, latents] = 0
        alone[image, :, latents] = f_bps[image, :, latents]
    for found, codes in ((switched_off(batch, latents_b), off), (alone_on(batch, latents_b), alone)):
        torch.testing.assert_close(found, sae.decode(codes) - sae.decode(f_bps), rtol=1e-4, atol=1e-4)


def test_random_latents_fire_as_often_and_are_others() -> None:
    frequency_s = np.repeat([0.1, 0.9], [300, 300])
    drawn = matched_latents([5, 400, 401], frequency_s, 50, np.random.default_rng(0))
    assert drawn.shape == (50, 3)
    assert (frequency_s[drawn] == [0.1, 0.9, 0.9]).all()
    assert not np.isin(drawn, [5, 400, 401]).any()
    assert all(len(set(draw)) == 3 for draw in drawn.tolist())
    few = matched_latents([0, 1], frequency_s[:4], 20, np.random.default_rng(0))
    assert {tuple(sorted(draw)) for draw in few.tolist()} == {(2, 3)}
    with pytest.raises(InputError, match="3 of 4 latents are changed: the 1 others are too few"):
        matched_latents([0, 1, 2], frequency_s[:4], 1, np.random.default_rng(0))
