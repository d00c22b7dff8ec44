"""A recording of scenes by the demo's CLIP, and an SAE that knows them: a latent for each value of a factor.

Shape suffixes: n = patches of all scenes, p = those of one, d = width of the CLIP, v = values of factors.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

import saev
from saev.nn import ReLU
from saev.scenes.drawing import object_mask
from saev.scenes.factors import FACTORS, Scene
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.vit.backbone import Backbone
from saev.vit.images import DemoScenes

CKPT, LAYER = "saev-demo/scenes", 2
VALUES = [(factor, value) for factor, values in FACTORS.items() for value in values]
N_LEARNED, N_RECORDED = 200, 240


@dataclass(frozen=True)
class KnownScenes:
    """What was recorded, and the SAE.

    Args:
        root: Its directory.
        source: The scenes that are recorded. Latents were read off others.
        backbone: The CLIP's vision tower.
        shards: Layer 2 of it.
    """

    root: Path
    source: DemoScenes
    backbone: Backbone
    shards: Path

    @property
    def sae(self) -> Path:
        """Latent i fires on patches that show `VALUES[i]`; switched off, they are moved to the mean of all others."""
        return self.root / "sae"

    @property
    def codes(self) -> Path:
        return self.root / "codes"

    @cached_property
    def reader(self) -> ShardReader:
        return open_shards(self.shards)

    def having(self, factor: str, value: str) -> list[int]:
        """Numbers of scenes in which something has a value."""
        latent = VALUES.index((factor, value))
        return [index for index in range(len(self.source)) if shares(self.source.scene(index))[:, latent].any()]


def known_scenes(root: Path) -> KnownScenes:
    """Record scenes, and read latents off others."""
    backbone = saev.load_backbone("clip", CKPT)
    source, others = DemoScenes(N_RECORDED, seed=8), DemoScenes(N_LEARNED, seed=7)
    (shards,) = saev.record(source, backbone, LAYER, root / "shards", device="cpu")
    images = torch.stack([backbone.preprocessing.tensor(others.read(index)) for index in range(N_LEARNED)])
    with torch.inference_mode():
        x_nd = backbone(images, [LAYER])[LAYER][:, 1:].flatten(0, 1).double().numpy()
    saev.save(
        _read_off(x_nd, np.concatenate([shares(others.scene(index)) for index in range(N_LEARNED)])), root / "sae"
    )
    saev.encode(root / "sae", shards, root / "codes", device="cpu")
    return KnownScenes(root, source, backbone, shards)


def _read_off(x_nd: np.ndarray, share_nv: np.ndarray) -> ReLU:
    """Fisher's linear discriminant of each value, and what the patches with it have more than others."""
    sae = ReLU(x_nd.shape[1], len(VALUES))
    scatter_dd = np.cov(x_nd.T) + 0.01 * x_nd.var() * np.eye(x_nd.shape[1])
    for latent, share_n in enumerate(share_nv.T):
        has_d, lacks_d = x_nd[share_n > 0.3].mean(0), x_nd[share_n == 0].mean(0)
        step_d = has_d - lacks_d
        row_d, length = np.linalg.solve(scatter_dd, step_d), np.linalg.norm(step_d)
        row_d *= 2 * length / (row_d @ step_d)  # from -length to length
        with torch.no_grad():
            sae.W_enc[:, latent] = torch.from_numpy(row_d)
            sae.b_enc[latent] = -float(row_d @ (has_d + lacks_d)) / 2
            sae.W_dec[latent] = torch.from_numpy(step_d / length)
    return sae


def shares(scene: Scene) -> np.ndarray:
    """(p, v) how much of each patch of 8 x 8 pixels shows each value."""
    mask = object_mask(scene).reshape(8, 8, 8, 8)
    found_pv = np.zeros((64, len(VALUES)))
    for number, thing in enumerate(scene.objects):
        own = [getattr(thing, factor, None) == value for factor, value in VALUES]
        found_pv[:, own] += (mask == number + 1).mean(axis=(1, 3)).reshape(64, 1)
    found_pv[:, VALUES.index(("background", scene.background))] = 1
    return found_pv
