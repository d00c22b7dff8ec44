"""A recording of latents whose rules are known, and an SAE whose codes are the activations."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tests.shards.small_recordings import make_recording, record

import saev
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import TokenLayout

N, PATCHES, D = 240, 4, 12
ZEBRA, EITHER, OTHER, SKY, PROXY, ADULT, WING, SITE = range(8)
"""Latents: fires on zebras; on half of what is striped, and on the other half; on patches of sky; on cows, most of
which graze; where a picture is not juvenile; as much as wings are long; on every second site. The rest is noise.
"""
CLASSES = ("cow", "horse", "zebra")


@dataclass(frozen=True)
class Planted:
    """Where it all lies, and what is known of the pictures."""

    shards: Path
    sae: Path
    table: Path
    names: list[str]
    codes_itl: np.ndarray
    sky_it: np.ndarray


def digest(name: str) -> str:
    """That of a picture, whose bytes are its name."""
    return hashlib.sha256(name.encode()).hexdigest()


def plant(root: Path, seed: int = 0) -> Planted:
    """Write a recording of 240 pictures of 4 patches, an SAE of 12 latents, and a table."""
    rng = np.random.default_rng(seed)
    class_i, side = rng.integers(0, 3, N), rng.random(N) < 0.5
    striped, juvenile = rng.random(N) < 0.4, rng.random(N) < 0.5
    grazing = np.where(class_i == 0, rng.random(N) < 0.9, rng.random(N) < 0.1)
    wing, site = rng.normal(5, 1, N), np.repeat(np.arange(N // 4), 4)
    sky = (rng.random((N, PATCHES)) < 0.5) & (rng.random(N) < 0.7)[:, None]
    codes = np.where(rng.random((N, PATCHES, D)) < 0.1, rng.random((N, PATCHES, D)), 0)
    for latent, fires in (
        (ZEBRA, class_i == 2), (EITHER, striped & side), (OTHER, striped & ~side), (PROXY, class_i == 0),
        (ADULT, ~juvenile), (SITE, site % 2 == 0),
    ):  # fmt: skip
        codes[fires & (rng.random(N) < 0.95), 0, latent] = 2
    codes[..., SKY] = np.where(sky, 1.5, 0)
    codes[:, 1, WING] = wing
    names = [f"{CLASSES[one]}/{number:03}.png" for number, one in enumerate(class_i)]
    examples = [ExampleRecord(name, name.split("/")[0], 8, 8, 100, digest(name)) for name in names]
    acts = torch.from_numpy(codes).float()
    recording = make_recording(N, TokenLayout(False, 0, (2, 2)), D, "float32", 200)
    shards = record(root / "shards", recording, acts, labels=torch.from_numpy(sky.astype(np.uint8)), examples=examples)
    sae = saev.ReLU(D, D)
    for name, value in (("W_enc", torch.eye(D)), ("W_dec", torch.eye(D)), ("b_enc", torch.zeros(D))):
        getattr(sae, name).data.copy_(value)
    saev.save(sae, root / "sae")
    rows = zip(names, striped, juvenile, grazing, wing, site, strict=True)
    lines = [f"{name},{a},{b},{c},{d:.3f},s{e}" for name, a, b, c, d, e in rows]
    table = root / "birds.csv"
    table.write_text("\n".join(["path,striped,juvenile,grazing,wing,site", *lines]) + "\n")
    return Planted(shards, root / "sae", table, names, codes, sky)
