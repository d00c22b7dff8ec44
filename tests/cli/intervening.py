"""`saev probe intervene` as tests call it."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from tests.probing.interventions.planted import D, draw, plant

QUICK = ("--curves=[]", "--n_maps=0", "--n_random=3")


def argv(root: Path, out: Path, latents: list[int], *more: str) -> list[str]:
    own = [f"--sae={root / 'sae'}", f"--images={root / 'pictures'}", "--weights=random", f"--latents={latents}"]
    return ["probe", "intervene", *own, "--num_workers=0", "--device=cpu", f"--out={out}", *more]


def planted_in(root: Path) -> Path:
    """Pictures, masks, a planted SAE and two heads: one that reads a direction, one that gives the embedding."""
    draw(root / "pictures", masks=root / "masks")
    (root / "classes.txt").write_text("left\n")
    plant(root / "pictures", root / "sae", root / "head.safetensors")
    save_file({"weight": torch.eye(D)}, root / "whole.safetensors")
    return root
