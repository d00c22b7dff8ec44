"""A small study whose truth is known: pictures, a table, a recording, an SAE and frozen hypotheses.

Latent 0 fires on striped pictures. Latent 1, whose decoder vector is near to that of latent 0, fires on some pictures
that are not striped (dotted). Some others (lookalikes) have the activations of striped ones but for latent 0.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tests.shards.small_recordings import TOKENS, make_recording, record

import saev
from saev.nn import ReLU
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader

N, D, LOOK = 240, 12, 10
SEEN = {
    "crop_mode": "center", "crop_pct": 1.0, "input_size": [3, 32, 32], "interpolation": "bicubic",
    "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
}  # fmt: skip
STRIPED = Hypothesis("striped", AttributeName("metadata", "striped"), Latents((0,), (), (0.5,)), text="stripes")
IN_WORDS = replace(STRIPED, id="in-words", attribute=AttributeName("words", "stripes"))


@dataclass(frozen=True)
class Study:
    """Where all of it lies.

    Args:
        root: Its directory.
        is_striped_i: (i,) whether pictures are striped.
        is_dotted_i: (i,) whether they are dotted.
        is_lookalike_i: (i,) whether they only look striped.
        copies: Numbers of pictures that are near-duplicates of others, each with that other one.
    """

    root: Path
    is_striped_i: np.ndarray
    is_dotted_i: np.ndarray
    is_lookalike_i: np.ndarray
    copies: dict[int, int]

    @property
    def shards(self) -> Path:
        (found,) = (path for path in (self.root / "shards").iterdir() if path.is_dir())
        return found

    @property
    def sae(self) -> Path:
        return self.root / "sae"

    @property
    def table(self) -> Path:
        return self.root / "table.csv"

    @cached_property
    def reader(self) -> ShardReader:
        return open_shards(self.shards)

    def freeze(self, path: Path, hypotheses: Sequence[Hypothesis], columns: Sequence[str] = (), seed: int = 0) -> Path:
        """Freeze hypotheses into a file, and give its path."""
        draft = Draft(tuple(hypotheses), halves=Halves(seed, tuple(columns)))
        draft.frozen(saev.load(self.sae), self.reader.recording.content_id, datetime.now(UTC)).write(path)
        return path

    def command(self, hypotheses: Path, out: Path, *more: str) -> list[str]:
        """The command that builds sets."""
        options = {"hypotheses": hypotheses, "sae": self.sae, "shards": self.shards, "out": out, "device": "cpu"}
        return ["probe", "build", *(f"--{name}={value}" for name, value in options.items()), *more]


def make_study(root: Path, seed: int = 0, *, is_red: bool = False, vit: str = "ab" * 32) -> Study:
    """A study of 240 pictures in classes a, b and c: stripes are on 40 % of a and b, and on none of c.

    Args:
        root: Where it is made.
        seed: Of all chance.
        is_red: Whether striped pictures can be told from others by the eye: they are red, not striped.
        vit: Digest of the weights of the ViT.
    """
    rng = np.random.default_rng(seed)
    class_i = np.arange(N) % 3
    is_striped_i = (rng.random(N) < 0.4) & (class_i < 2)
    other_i = rng.random(N)
    is_dotted_i, is_lookalike_i = ~is_striped_i & (other_i < 0.1), ~is_striped_i & (other_i > 0.9)
    copies = {number: number - 120 for number in (200, 203, 206, 209, 212, 215)}
    acts = rng.random((N, TOKENS.n_tokens, D)) * (rng.random((N, TOKENS.n_tokens, D)) < 0.3)
    acts[:, :, 0] = is_striped_i[:, None] * rng.uniform(0.8, 2, (N, 1)) + rng.uniform(0, 0.2, (N, 1))
    acts[:, :, 1] = is_dotted_i[:, None] * rng.uniform(1, 2, (N, 1))
    acts[:, :, LOOK] = (is_striped_i | is_lookalike_i)[:, None] * 10.0
    pixels = rng.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    if is_red:
        pixels[is_striped_i, ..., 0] = 255
        pixels[is_striped_i, ..., 1:] //= 3
    for one, other in copies.items():
        acts[one] = acts[other] * 1.01
        pixels[one] = pixels[other] // 2 + 60
        class_i[one] = class_i[other]
        for own in (is_striped_i, is_dotted_i, is_lookalike_i):
            own[one] = own[other]
    records = [_picture(root / "pictures", f"{'abc'[class_i[i]]}/{i:03d}.png", pixels[i]) for i in range(N)]
    recording = make_recording(N, d_model=D, budget=400, source=str(root / "pictures"))
    seen = {"library": "timm", "config": SEEN}
    recording = replace(recording, image_set={"class": "ImageFolder", "sha256": f"{seed:064x}"}, preprocessing=seen)
    recording = replace(recording, model={**recording.model, "weights_digest": vit})
    record(root / "shards", recording, torch.from_numpy(acts).float(), examples=records)
    sae = ReLU(D, D)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(D))
        sae.W_dec.copy_(torch.eye(D))
        sae.W_dec[1, :2] = torch.tensor([0.9, 0.19**0.5])
    saev.save(sae, root / "sae")
    rows = [f"{one.path},{'yes' if is_striped_i[i] else 'no'},site{i % 40}" for i, one in enumerate(records)]
    (root / "table.csv").write_text("\n".join(["path,striped,site", *rows]))
    return Study(root, is_striped_i, is_dotted_i, is_lookalike_i, copies)


def _picture(root: Path, name: str, pixels: np.ndarray) -> ExampleRecord:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(path)
    data = path.read_bytes()
    return ExampleRecord(name, name[0], 64, 64, len(data), hashlib.sha256(data).hexdigest())
