"""A study of pairs of pictures: a tiny ViT, and latents of which one fires on red.

Red pictures have a left half of reddish noise, plain ones are grey noise. Latent 0 fires on red, latent 1 on all,
latent 2 on what is not red.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.probing.interventions.planted import LAST, D, backbone

import saev
from saev.artifacts import Provenance, save_sae
from saev.cli.main import main
from saev.nn import ReLU
from saev.probing.hypotheses.file import Draft
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.verdicts.edit_effects import EditEffect
from saev.probing.verdicts.files import read_verdicts
from saev.probing.verdicts.result import Result
from saev.splicing.recorded_backbone import RecordedLayer

N = 60
RED = Hypothesis("red", AttributeName("label", "red"), Latents((0,), (), (0.4,)), text="red")
ALL = replace(RED, id="all", latents=Latents((1,), (), (0.4,)))
SILENT = replace(RED, id="silent", claim="does not fire on", latents=Latents((2,), (), (0.7,)), pooling="mean")
IN_WORDS = replace(RED, id="in-words", attribute=AttributeName("words", "a red half"))
Capture = pytest.CaptureFixture[str]
VIT = RecordedLayer(family="timm", ckpt="tiny_registers", layer=LAST)


@dataclass(frozen=True)
class Study:
    """Where all of it lies."""

    root: Path
    shards: Path

    def freeze(self, name: str, *hypotheses: Hypothesis) -> Path:
        path = self.root / f"{name}.json"
        content_id = saev.open_shards(self.shards).recording.content_id
        Draft(hypotheses).frozen(saev.load(self.root / "sae"), content_id, datetime.now(UTC)).write(path)
        return path

    def build(self, hypotheses: Path, out: Path, *more: str) -> int:
        own = [f"--hypotheses={hypotheses}", f"--sae={self.root / 'sae'}", f"--shards={self.shards}", f"--out={out}"]
        return main(["probe", "build", *own, "--device=cpu", *more])

    def test(self, hypotheses: Path, sets: Path, out: Path, *more: str) -> int:
        own = [f"--hypotheses={hypotheses}", f"--sae={self.root / 'sae'}", f"--shards={self.shards}", f"--out={out}"]
        given = [f"--sets={sets}", "--weights=random", "--n_permutations=999", "--no_controls", "--device=cpu"]
        return main(["probe", "test", *own, *given, *more])


def drawn_in(root: Path) -> Study:
    """Pictures, masks, pairs, shards and an SAE below a directory."""
    rng = np.random.default_rng(0)
    pictures: dict[str, list[Image.Image]] = {"red": [], "plain": []}
    for name, some in pictures.items():
        for number in range(N):
            some.append(draw(rng, name == "red"))
            save(root / "images" / name / f"{number}.png", some[-1])
            mask = np.zeros((32, 32), np.uint8)
            mask[:, :16] = 1
            mask[:8, 24:] = 2
            save(root / "masks" / name / f"{number}.png", Image.fromarray(mask))
    (root / "classes.txt").write_text("red\nother\n")
    for number in range(12):
        plain = draw(rng, red=False)
        save(root / "without" / f"{number}.png", plain)
        save(root / "with" / f"{number}.png", reddened(plain))
    [shards] = saev.record(root / "images", backbone(), [LAST], root / "shards")
    save_sae(plant(pictures["red"], pictures["plain"]), root / "sae", Provenance([VIT], tokens="content"))
    return Study(root, Path(shards))


def draw(rng: np.random.Generator, red: bool) -> Image.Image:
    plain = Image.fromarray(np.repeat(rng.integers(80, 160, (32, 32, 1), dtype=np.uint8), 3, axis=2))
    return reddened(plain) if red else plain


def reddened(plain: Image.Image) -> Image.Image:
    pixels = np.asarray(plain).astype(int)
    pixels[:, :16] += [60, -60, -60]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@torch.no_grad()
def plant(red: Sequence[Image.Image], plain: Sequence[Image.Image]) -> ReLU:
    vit = backbone()

    def mean(pictures: Sequence[Image.Image]) -> torch.Tensor:
        x = torch.stack([vit.preprocessing.tensor(one) for one in pictures])
        return vit(x, [LAST])[LAST][:, vit.n_registers :].mean((0, 1))

    torch.manual_seed(0)
    sae = ReLU(D, d_sae=D)
    sae.b_enc.fill_(-1e6)
    axis = mean(red) - mean([one.convert("L").convert("RGB") for one in red])
    axis /= axis.norm()
    rest = mean(plain) - (mean(plain) @ axis) * axis
    sae.W_enc.T[0], sae.b_enc[0] = axis, -0.9
    sae.W_enc.T[1], sae.b_enc[1] = rest / rest.norm(), 0.0
    # On patches that are not red; half of the patches of red pictures are such.
    sae.W_enc.T[2], sae.b_enc[2] = -axis, 0.9
    return sae


def results(study: Study, hypotheses: Path, sets: Path, out: Path, capsys: Capture, *more: str) -> list[Result]:
    capsys.readouterr()
    status = study.test(hypotheses, sets, out, *more)
    assert status == 0, capsys.readouterr().err
    return list(read_verdicts(out).results)


def by_name(result: Result) -> dict[str, EditEffect]:
    return {one.name: one for one in result.edits}
