"""A CLIP in training: what one step does, and all that the next one depends on."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from demo_clip.batches import Batch
from demo_clip.losses import Readouts, clip_loss
from demo_clip.towers import block_outputs, make_clip, pooled
from saev.errors import InputError
from saev.scenes.factors import FACTORS

LARGEST_SCALE = 100.0
"""Of the similarities between pictures and texts, as in CLIP."""


@dataclass(frozen=True)
class Recipe:
    """What a run is: its result depends on this alone, on one machine with as many threads."""

    alone: int
    """Steps of the first phase, without captions."""
    together: int
    """Steps with captions."""
    batch: int
    lr: float
    seed: int
    warmup: int = 300

    @property
    def steps(self) -> int:
        return self.alone + self.together

    def rate(self, step: int) -> float:
        """Learning rate: up in the warm-up, constant, and down to 0 over the last third."""
        return self.lr * min(1, (step + 1) / self.warmup, 3 * (self.steps - step) / self.steps)


class Training:
    """A CLIP, its readouts and its optimizer at some step."""

    def __init__(self, recipe: Recipe, config: dict[str, Any]) -> None:
        self.recipe, self.config, self.step = recipe, config, 0
        self.clip: Any = make_clip(config, recipe.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.readouts = Readouts(config["vision_cfg"]["width"])
        named = [*self.clip.named_parameters(), *self.readouts.named_parameters()]
        self._weights = [weight for _, weight in named]
        decays = {True: 0.05, False: 0.0}
        groups = [
            {"params": [w for name, w in named if _decays(name, w) == decayed], "weight_decay": decay}
            for decayed, decay in decays.items()
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98), fused=True)

    def update(self, batch: Batch) -> dict[str, float]:
        """One step; returns what is logged."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        with torch.autocast("cpu", torch.bfloat16):
            loss, told = self._loss(batch)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=torch.tensor(LARGEST_SCALE).log())
        self.step += 1
        return {name: value.item() for name, value in told.items()}

    def state(self) -> dict[str, Any]:
        """What `load` takes; tensors and plain values."""
        return {
            "recipe": asdict(self.recipe),
            "clip": self.clip.state_dict(),
            "readouts": self.readouts.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where another process was.

        Raises:
            InputError: That was another run.
        """
        if state["recipe"] != asdict(self.recipe):
            raise InputError(f"the checkpoint is of another run, {state['recipe']}: give its options, or a new --run")
        self.clip.load_state_dict(state["clip"])
        self.readouts.load_state_dict(state["readouts"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def _loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        outputs = block_outputs(self.clip.visual, batch.pictures)
        patches, right = self.readouts.patch_loss(outputs, batch.targets_npf)
        pooled_nd = pooled(self.clip.visual, outputs[-1])
        picture = self.readouts.picture_loss(pooled_nd, batch.present)
        told = {"patch": patches, "picture": picture, **dict(zip(FACTORS, right, strict=True))}
        loss = patches + picture
        if batch.tokens_nt is not None and batch.true_nn is not None:
            with torch.autocast("cpu", enabled=False):  # whose attention is slow in bfloat16
                texts_ne = self.clip.encode_text(batch.tokens_nt, normalize=True)
            pictures_ne = normalize((pooled_nd @ self.clip.visual.proj).float(), dim=1)
            scale = self.clip.logit_scale.exp()
            contrast, found = clip_loss(pictures_ne, texts_ne, scale, batch.true_nn)
            loss = loss + contrast
            told |= {"clip": contrast, "found": found, "scale": scale}
        return loss, {name: value.detach() for name, value in told.items()}


def _decays(name: str, weight: Tensor) -> bool:
    return weight.ndim >= 2 and "embedding" not in name
