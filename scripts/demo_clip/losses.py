"""What training lowers: the loss of CLIP, and how badly the factors can be read from patches and pictures.

Shape suffixes: n = pictures, t = tokens, p = patches, d = width, e = width of the common space, f = factors.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo_clip.batches import UNSURE
from saev.scenes.factors import FACTORS, OBJECT_FACTORS

READ_FROM = (-2, -1)
"""Blocks whose outputs tell the factors of each patch."""


class Readouts(nn.Module):
    """Linear maps that read the factors; thrown away after training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [len(values) + (name in OBJECT_FACTORS) for name, values in FACTORS.items()]
        self.patches = nn.ModuleList(nn.Linear(width, sum(self.sizes)) for _ in READ_FROM)
        self.picture = nn.Linear(width, sum(len(values) for values in FACTORS.values()))

    def patch_loss(self, outputs: Sequence[Tensor], targets_npf: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross entropy over factors and blocks, and accuracy (f,) at the last block, on objects alone.

        Patches with an object and those without weigh the same: most patches show the background.
        """
        targets_kf = targets_npf.flatten(0, 1)
        losses: list[Tensor] = []
        right: list[Tensor] = []
        for block, readout in zip(READ_FROM, self.patches, strict=True):
            logits = readout(outputs[block][:, 1:]).float().flatten(0, 1).split(self.sizes, dim=1)
            read = [_read(*one) for one in zip(logits, targets_kf.T, FACTORS.values(), strict=True)]
            losses += [loss for parts, _ in read for loss in parts]
            right = [share for _, share in read]
        return torch.stack(losses).mean(), torch.stack(right)

    def picture_loss(self, pooled_nd: Tensor, present: Tensor) -> Tensor:
        """Binary cross entropy of which values are in the picture, read from the pooled tokens, where that is known."""
        known = present >= 0
        return F.binary_cross_entropy_with_logits(self.picture(pooled_nd).float()[known], present[known].float())


def _read(logits: Tensor, target: Tensor, values: Sequence[str]) -> tuple[list[Tensor], Tensor]:
    """Losses where there is a value and where there is none, if that can be; and how often a value is right."""
    each = F.cross_entropy(logits, target, reduction="none", ignore_index=UNSURE)
    some = (target >= 0) & (target < len(values))
    losses = [each[some].mean()]
    if logits.shape[1] > len(values):
        losses.append(each[target == len(values)].mean())
    return losses, (logits[some].argmax(dim=1) == target[some]).float().mean()


def clip_loss(pictures_ne: Tensor, texts_ne: Tensor, scale: Tensor, true_nn: Tensor) -> tuple[Tensor, Tensor]:
    """The symmetric loss of CLIP, and how often a picture's own caption is the nearest one.

    Captions of other scenes that are true of a picture too are no negatives: they are left out.
    """
    own = torch.eye(len(true_nn), dtype=torch.bool)
    logits_nn = (scale * pictures_ne @ texts_ne.T).masked_fill(true_nn & ~own, -torch.inf)
    target = torch.arange(len(logits_nn))
    loss = (F.cross_entropy(logits_nn, target) + F.cross_entropy(logits_nn.T, target)) / 2
    return loss, (logits_nn.argmax(dim=1) == target).float().mean()
