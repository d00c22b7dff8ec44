"""Sets of small pictures."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from saev.probing.sets.answers import Labelled
from saev.probing.sets.files import write_set
from saev.probing.sets.image_set import ImageSet, Role, SetPicture
from saev.probing.sets.sampling import stratified_sample
from saev.shards.format.examples import ExampleRecord


def make_pictures(directory: Path, names: Sequence[str]) -> list[ExampleRecord]:
    """Plain pictures, each of another colour, as a recording knows them."""
    records = []
    for number, name in enumerate(names):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 32), (number * 37 % 256, number * 91 % 256, number % 256)).save(path)
        data = path.read_bytes()
        records.append(ExampleRecord(name, None, 48, 32, len(data), hashlib.sha256(data).hexdigest()))
    return records


def picture(
    records: Sequence[ExampleRecord],
    number: int,
    image: int,
    group: str,
    stratum: int | None,
    roles: Sequence[Role] = ("sample",),
    label: bool | None = None,
) -> SetPicture:
    """A recorded picture, as one of a set."""
    own = records[image].path, records[image].digest
    return SetPicture.of(number, 9, *own, image=image, group=group, stratum=stratum, roles=tuple(roles), label=label)


def make_set(records: Sequence[ExampleRecord], n: int, text: str = "stripes", seed: int = 0) -> ImageSet:
    """A set of n of these pictures, sampled by random values."""
    rng = np.random.default_rng(1)
    values_i = rng.gamma(2, size=len(records)) * (rng.random(len(records)) < 0.6)
    sample = stratified_sample(values_i, 1.5, n, seed)
    places = enumerate(zip(sample.pictures_k.tolist(), sample.strata_k.tolist(), strict=True), 1)
    return ImageSet(
        hypothesis="latent-17",
        hypotheses="1" * 64,
        sae="2" * 64,
        shards="3" * 64,
        text=text,
        recipe={"kind": "stratified", "n": n},
        seed=seed,
        strata=sample.strata,
        pictures=tuple(picture(records, k, image, f"site={image}", stratum) for k, (image, stratum) in places),
    )


def weights_of(made: ImageSet) -> np.ndarray:
    """For how many pictures each of a set stands, where all have been looked at."""
    return Labelled(made.labels_k, np.ones(len(made.pictures), np.bool_)).weights_k(made)


def write_small_set(directory: Path, n: int = 60, text: str = "stripes", suffix: str = ".png") -> tuple[Path, ImageSet]:
    """The directory of a set of n pictures, linked, whose own names are below `directory`, and the set."""
    records = make_pictures(directory / "all", [f"zebra/{number:03d}{suffix}" for number in range(2 * n)])
    made = make_set(records, n, text)
    write_set(directory / "a set #1" / "latent-17", made, lambda one: directory / "all" / one.path)
    return directory / "a set #1" / "latent-17", made
