"""Blocks that are computed once for many passes of one batch."""

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

import saev
from saev.splicing.replay import computed_once, last_tokens
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone

LAYER = 3


class Counting(nn.Module):
    """A block that counts its passes."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.n = block, 0

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.n += 1
        found: Tensor = self.block(x)
        return found


@pytest.fixture
def backbone() -> Backbone:
    made = load_backbone("timm", "test_vit", "random", 64)
    blocks = made.tower.blocks
    assert isinstance(blocks, nn.Sequential)
    made.tower.blocks = nn.Sequential(*map(Counting, blocks))
    return made


@torch.no_grad()
def test_later_passes_run_the_later_blocks_alone_and_give_the_same(backbone: Backbone) -> None:
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain = backbone.embed(images)
    sae = saev.ReLU(backbone.d_model, d_sae=48).eval()
    with saev.attach(backbone, sae, LAYER) as inside, last_tokens(backbone) as last:
        expected = inside.edited(images, saev.Edit(3, "add", 4.0))
        before = [block.n for block in backbone.tower.blocks]  # type: ignore[union-attr]
        with computed_once(backbone, LAYER):
            assert torch.equal(backbone.embed(images), plain)
            assert torch.equal(inside.edited(images, saev.Edit(3, "add", 4.0)), expected)
            assert torch.equal(inside.edited(images, []), plain)
    n_new = [block.n - n for block, n in zip(backbone.tower.blocks, before, strict=True)]  # type: ignore[arg-type]
    assert n_new == [1] * (LAYER + 1) + [3] * (backbone.n_layers - LAYER - 1)
    assert len(last) == 4
    assert torch.equal(last[1], last[3])
    assert not torch.equal(last[1], last[2])
    other = torch.randn(2, 3, 64, 64)
    assert torch.equal(backbone.embed(other), load_backbone("timm", "test_vit", "random", 64).embed(other))
    assert all("forward" not in vars(block) for block in backbone.tower.blocks)  # type: ignore[union-attr]
