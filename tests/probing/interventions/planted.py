"""A tiny ViT whose embedding is the mean of its last patches, and SAEs in it with latents of known effect."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.tiny_models import tiny_registers  # noqa: F401 - timm knows it
from torch import Tensor

import saev
from saev.artifacts import Provenance, RecordedLayer, save_sae
from saev.nn import ReLU
from saev.vit.backbone import Backbone
from saev.vit.dataset import ImageDataset
from saev.vit.load import load_backbone

D, D_SAE, LAST = 64, 96, 3
CAUSAL, CORRELATED, SILENT = 0, 1, 2
VIT = RecordedLayer(family="timm", ckpt="tiny_registers", layer=LAST)


def draw(root: Path, n_each: int = 24, masks: Path | None = None) -> Path:
    """Dark and bright noise; in the mask the left half is of the class 1, the right half background."""
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 130)):
        for number in range(n_each):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(low, low + 120, (32, 32, 3), dtype=np.uint8)).save(path)
            if masks is not None:
                mask = np.zeros((32, 32), dtype=np.uint8)
                mask[:, :16] = 1
                (masks / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(masks / name / f"{number}.png")
    return root


def backbone() -> Backbone:
    return load_backbone("timm", "tiny_registers", "random", 32)


def images_of(root: Path, vit: Backbone) -> tuple[list[str], Tensor]:
    """Paths of the pictures, and the pictures (n, 3, 32, 32)."""
    source = saev.ImageFolder(root)
    items = ImageDataset(source, vit.preprocessing, vit.grid)
    names = [source.record(number).path for number in range(len(source))]
    return names, torch.stack([torch.as_tensor(items[number]["image"]) for number in range(len(source))])


@torch.no_grad()
def plant(root: Path, sae_dir: Path, head: Path) -> ReLU:
    """An SAE at the last block: two latents fire alike, and a head reads the direction of the first alone.

    A third one never fires. The others fire on half of the tokens, and their directions are random.
    """
    vit = backbone()
    names, images = images_of(root, vit)
    x_btd = vit(images, [LAST])[LAST][:, vit.n_registers :]
    bright_b = torch.tensor([name.startswith("bright") for name in names])
    torch.manual_seed(0)
    sae = ReLU(D, d_sae=D_SAE)
    axis_d = x_btd[bright_b].mean((0, 1)) - x_btd[~bright_b].mean((0, 1))
    axis_d /= axis_d.norm()
    middle = x_btd.mean((0, 1)) @ axis_d
    sae.b_enc.copy_(-(sae.W_enc.T @ x_btd.mean((0, 1))))
    sae.W_enc.T[[CAUSAL, CORRELATED]] = axis_d
    sae.b_enc[[CAUSAL, CORRELATED]] = -middle
    sae.b_enc[SILENT] = -1e6
    directions = torch.linalg.qr(torch.randn(D, 2)).Q.T
    sae.W_dec[[CAUSAL, CORRELATED]] = directions
    save_sae(sae, sae_dir, Provenance([VIT], tokens="content"))
    save_file({"weight": directions[:1].contiguous(), "bias": torch.zeros(1)}, head)
    return sae
