"""Words for decoder directions, on the last layer of the CLIP that names."""

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tests.cli.fitting import only
from tests.scene_folder import write_scenes
from tests.tiny_models import tiny_open_clip  # noqa: F401 - open_clip knows the tiny CLIP

from saev.cli.main import main
from saev.latents.naming.namer import Namer
from saev.nn import TopK
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection

CKPT = "tiny-CLIP/openai"
WORDS = [f"word{i}" for i in range(60)]


def weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    save_file(open_clip.create_model("tiny-CLIP", force_quick_gelu=True).state_dict(), path)
    return path


def recorded(root: Path, file: Path, layer: int) -> TokenSelection:
    write_scenes(root / "pictures", 4)
    model = ["--model.family=clip", f"--model.ckpt={CKPT}", f"--model.weights={file}", f"--model.layers=[{layer}]"]
    data = ["--data.images=ImageFolder", f"--data.images.root={root / 'pictures'}", "--data.num_workers=0"]
    assert main(["predict", *model, *data, f"--writer.dump_to={root / 'shards'}"]) == 0
    reader = open_shards(only(root, "shards/*"))
    return TokenSelection.of([reader], torch.arange(4).numpy(), "content")


def namer_of(root: Path, file: Path) -> Namer:
    (root / "words.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return Namer.load(CKPT, str(file), root / "words.txt")


def pointing(namer: Namer, word: int) -> TopK:
    """An SAE whose latent 5 points to a word, all others anywhere."""
    torch.manual_seed(3)
    ln_weight_d, projection_de = namer.clip.visual_projection()
    words_ve = namer.words.embeddings_ve - namer.words.embeddings_ve.mean(0)
    sae = TopK(len(ln_weight_d), 40, k=2)
    with torch.no_grad():
        sae.W_dec[5] = (torch.linalg.pinv(projection_de).T @ words_ve[word]) / ln_weight_d
    return sae


def test_a_direction_is_named_by_the_word_it_points_to(tmp_path: Path) -> None:
    file = weights(tmp_path / "a.safetensors", 1)
    namer, tokens = namer_of(tmp_path, file), recorded(tmp_path, file, -1)
    found = namer.by_directions(pointing(namer, 17), range(40), tokens, seed=0)
    assert found[5].name == "word17"
    assert len(found) < 10


@pytest.mark.parametrize(("other", "layer"), [(True, -1), (False, -2)])
def test_another_clip_or_layer_has_no_directions(tmp_path: Path, other: bool, layer: int) -> None:
    file = weights(tmp_path / "a.safetensors", 1)
    namer = namer_of(tmp_path, weights(tmp_path / "b.safetensors", 2) if other else file)
    tokens = recorded(tmp_path, file, layer)
    assert namer.by_directions(pointing(namer, 17), range(40), tokens, seed=0) == {}
