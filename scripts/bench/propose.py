"""Seconds and memory of `saev probe propose` as a whole, from saved codes.

    python scripts/bench/propose.py FOLDER

The first run writes a recording of width 768, an SAE and its codes to FOLDER (5.3 GB for 10,000 pictures): 256 patches,
32 latents a patch, drawn with lognormal frequencies, so that most fire somewhere on a fourth of all pictures, as those
of real SAEs do. Each class has a latent that is larger on most of its pictures, so that every class has a hypothesis,
which is what takes longest. The command runs in a process of its own.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import saev
from saev.latents.code_files import CODES_FILE, file_name, write_codes, write_description
from saev.latents.codes import origin_of
from saev.latents.sparse import SparseCodes
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.recording import Recording
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection
from saev.shards.writing.partial import PartialRecording
from saev.shards.writing.writer import ShardWriter

TOKENS = TokenLayout(False, 0, (16, 16))
D_IN, K, PER_FILE = 768, 32, 960


def write_recording(root: Path, n: int, n_classes: int) -> Path:
    """Random activations with labels."""
    recording = Recording(
        name="bench",
        model={"family": "timm", "ckpt": "bench", "weights_digest": "0" * 64, "precision": "float32"},
        layer=0,
        preprocessing={},
        image_set={"sha256": "0" * 64, "n_examples": n},
        layout=ShardLayout.balanced(n, TOKENS, D_IN, "float16", 1000 * TOKENS.n_tokens),
        source={"class": "ImageFolder", "args": {"root": "nowhere"}},
        class_names=[],
        dataset="nowhere",
    )
    place = PartialRecording(root, recording, with_labels=False)
    place.claim()
    try:
        writer = ShardWriter(place, place.missing())
        x_btd = torch.randn(100, TOKENS.n_tokens, D_IN, generator=torch.Generator().manual_seed(0))
        for start in range(0, n, 100):
            images = range(start, min(start + 100, n))
            records = [ExampleRecord(f"{i}.png", f"class {i % n_classes}", 8, 8, 9, f"{i:064x}") for i in images]
            writer.append(start, x_btd[: len(images)].roll(start, 1), records, None)
        writer.finish()
        return place.publish()
    finally:
        place.leave()


def write_all_codes(out: Path, origin: Any, n_classes: int, rng: np.random.Generator) -> None:
    out.mkdir()
    n_tokens, d_sae = TOKENS.n_content, origin.d_sae
    share = np.exp(2 * rng.standard_normal(d_sae)).cumsum()
    files = []
    for number, first in enumerate(range(0, origin.n_images, PER_FILE)):
        n = min(PER_FILE, origin.n_images - first)
        places = np.searchsorted(share / share[-1], rng.random((n * n_tokens, K), dtype=np.float32))
        draws = places.clip(0, d_sae - 1).astype(np.int32)
        class_i = np.arange(first, first + n) % n_classes
        own_i = np.flatnonzero(rng.random(n) < 0.6)
        draws[own_i * n_tokens, 0] = class_i[own_i]
        draws.sort(1)
        kept = np.ones(draws.shape, dtype=np.bool_)
        kept[:, 1:] = draws[:, 1:] != draws[:, :-1]
        values = rng.random(draws.shape, dtype=np.float32) + np.float32(0.01)
        values[draws == np.repeat(class_i, n_tokens)[:, None]] += 0.5
        starts = np.concatenate([[0], kept.sum(1).cumsum()]).astype(np.int64)
        files.append(
            write_codes(out / file_name(number), SparseCodes(n, n_tokens, d_sae, starts, draws[kept], values[kept]))
        )
    write_description(out / CODES_FILE, origin, PER_FILE, files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--latents", type=int, default=16_384)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("more", nargs="*", help="options of saev probe propose, after --")
    options = parser.parse_args()
    folder: Path = options.folder
    if not (folder / "codes" / CODES_FILE).exists():
        folder.mkdir(parents=True)
        shards = write_recording(folder / "shards", options.pictures, options.classes)
        saev.save(saev.TopK(D_IN, options.latents, k=K), folder / "sae")
        reader = open_shards(shards)
        tokens = TokenSelection.of([reader], np.arange(reader.n_examples), "content")
        origin = origin_of(saev.load(folder / "sae"), tokens)
        write_all_codes(folder / "codes", origin, options.classes, np.random.default_rng(0))
    (shards,) = (folder / "shards").iterdir()
    shutil.rmtree(folder / "out", ignore_errors=True)
    given = {"sae": folder / "sae", "shards": shards, "codes": folder / "codes", "out": folder / "out", "device": "cpu"}
    start = time.perf_counter()
    argv = [sys.executable, "-m", "saev", "probe", "propose", *(f"--{name}={value}" for name, value in given.items())]
    subprocess.run([*argv, *options.more], check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    n = len(json.loads((folder / "out" / "hypotheses.json").read_bytes())["hypotheses"])
    print(
        f"{options.latents} latents x {options.classes} classes x {options.pictures} pictures: "
        f"{time.perf_counter() - start:.0f} s, {used.ru_utime + used.ru_stime:.0f} s on a processor, "
        f"{used.ru_maxrss / 1e6:.1f} GB at the peak, {n} hypotheses drafted"
    )


if __name__ == "__main__":
    main()
