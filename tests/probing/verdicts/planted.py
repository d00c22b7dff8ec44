"""Studies on tiny recordings whose latents follow known rules."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from tests.probing.sets.small_sets import make_pictures, picture
from tests.shards.small_recordings import make_recording, record

from saev.artifacts import save_sae
from saev.nn import ReLU, SparseAutoencoder
from saev.probing.hypotheses.file import Draft, Frozen
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.pictures.units import Units
from saev.probing.sets.files import write_set
from saev.probing.sets.image_set import ImageSet
from saev.probing.sets.sampling import stratified_sample
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import TokenLayout
from saev.shards.reading.open import open_shards

D = 48
TRUE, UNRELATED, PROXY = 0, 1, 2
"""Latents: one fires on the trait, one on nothing, one on a class in which the trait is common."""
SEEN = {
    "crop_mode": "center", "crop_pct": 1.0, "input_size": [3, 32, 32], "interpolation": "bicubic",
    "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
}  # fmt: skip


@dataclass
class Study:
    """A recording of pictures with a trait, an SAE, and where a study of them is made.

    Args:
        root: The directory of all.
        shards: The recording.
        sae: The directory of the SAE, whose codes are the positive activations.
        records: The pictures.
        y_i: Whether each has the trait.
        values_il: The largest code of each latent.
    """

    root: Path
    shards: Path
    sae: Path
    records: list[ExampleRecord]
    y_i: np.ndarray
    values_il: np.ndarray

    def freeze(self, *latents: int, strata: str | None = None, **changes: object) -> Frozen:
        """Freeze a claim "fires on spots" of each latent."""
        claim = Hypothesis("x", AttributeName("words", "spots"), Latents((0,), (), (0.5,)), text="spots")
        made = tuple(
            replace(claim, id=f"latent-{latent}", latents=Latents((latent,), (), (0.5,)), **changes)  # type: ignore[arg-type]
            for latent in latents
        )
        return Draft(made, strata=strata).frozen(
            identity_sae(), open_shards(self.shards).recording.content_id, datetime.now(UTC)
        )

    @property
    def test_half(self) -> np.ndarray:
        """Numbers of the pictures of the test half."""
        return np.flatnonzero(Units.of(self.records).halves(0))

    def build(self, frozen: Frozen, n: int = 60, seed: int = 0) -> Path:
        """A blind set of n pictures for each hypothesis."""
        units, sets = Units.of(self.records), self.root / "sets"
        for one in frozen.hypotheses:
            values_i = one.latents.values(self.values_il[self.test_half][:, list(one.latents.all)])
            sample = stratified_sample(values_i, one.latents.threshold, n, seed)
            images = self.test_half[sample.pictures_k]
            pictures = tuple(
                picture(self.records, k, image, units.names[units.group_i[image]], stratum)
                for k, (image, stratum) in enumerate(zip(images.tolist(), sample.strata_k.tolist(), strict=True), 1)
            )
            made = ImageSet(
                pictures=pictures, strata=sample.strata, hypothesis=one.id, hypotheses=frozen.hash, sae=frozen.sae,
                shards=frozen.shards, text=one.text, recipe={"kind": "stratified"}, seed=seed,
            )  # fmt: skip
            write_set(sets / one.id, made, lambda one: self.root / "all" / one.path)
        return sets

    def answer(self, made: ImageSet, name: str, unsure: int = 0, left_out: int = 0) -> Path:
        """The answers of somebody who knows the trait, to all pictures but the last ones."""
        rows = ["picture,answer,seconds,set"]
        for place, one in enumerate(made.pictures[: len(made.pictures) - left_out]):
            assert one.image is not None
            answer = "unsure" if place < unsure else "yes" if self.y_i[one.image] else "no"
            rows.append(f"{one.id},{answer},1.5,{made.digest}")
        path = self.root / f"{name}.csv"
        path.write_text("\n".join(rows) + "\n")
        return path


def identity_sae() -> SparseAutoencoder:
    """An SAE whose codes are the positive activations."""
    sae = ReLU(D, d_sae=D, l1_coeff=1.0)
    with torch.no_grad():
        for tensor in (sae.W_enc, sae.W_dec):
            tensor.copy_(torch.eye(D))
    return sae.eval()


def make_study(root: Path, n: int = 240, seed: int = 0) -> Study:
    """A study of n pictures of two classes, of which the first has the trait more often."""
    rng = np.random.default_rng(seed)
    class_i = rng.random(n) < 0.5
    y_i = rng.random(n) < np.where(class_i, 0.8, 0.2)
    records = make_pictures(root / "all", [f"{'ab'[int(one)]}/{number:03d}.png" for number, one in enumerate(class_i)])
    records = [replace(one, label=one.path[0]) for one in records]
    fires_il = rng.random((n, D)) < 0.4
    fires_il[:, TRUE] = y_i ^ (rng.random(n) < 0.1)
    fires_il[:, PROXY] = class_i
    values_il = np.where(fires_il, rng.uniform(0.6, 3, (n, D)), 0).astype(np.float32)
    acts = np.full((n, 7, D), -1.0, dtype=np.float32)
    acts[np.arange(n), 1 + rng.integers(6, size=n)] = values_il
    recording = make_recording(n, TokenLayout(cls=True, n_registers=0, grid=(2, 3)), D, source=str(root / "all"))
    recording = replace(recording, preprocessing={"library": "timm", "config": SEEN})
    shards = record(root / "shards", recording, torch.from_numpy(acts), examples=records)
    save_sae(identity_sae(), root / "sae")
    return Study(root, shards, root / "sae", records, y_i, values_il)
