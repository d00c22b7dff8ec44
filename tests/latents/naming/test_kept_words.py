"""Embedded words in the user's cache: taken when they are right, made anew when they are not."""

import os
from collections.abc import Sequence
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.cli.fitting import fit_options, only
from tests.serving.conftest import record
from tests.tiny_models import tiny_open_clip  # noqa: F401 - open_clip knows the tiny CLIP
from torch import Tensor

from saev.cli.main import main
from saev.latents.naming import embed_words
from saev.latents.naming import kept_words as module
from saev.latents.naming.kept_words import cache_directory as own_directory
from saev.latents.naming.kept_words import kept_words
from saev.latents.naming.words import prompts
from saev.vit.text import Clip, load_clip

WORDS = [f"word{i}" for i in range(20)]
Log = pytest.LogCaptureFixture


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache" / "saev" / "words"
    monkeypatch.setattr(module, "cache_directory", lambda: directory)
    return directory


@pytest.fixture
def clip() -> Clip:
    return load_clip("tiny-CLIP/openai", "random")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call embeds."""
    found: list[int] = []
    embed = Clip.embed_texts

    def counted(self: Clip, texts: Sequence[str]) -> Tensor:
        found.append(len(texts))
        return embed(self, texts)

    monkeypatch.setattr(Clip, "embed_texts", counted)
    return found


def test_words_are_embedded_once(cache: Path, clip: Clip, asked: list[int]) -> None:
    first = kept_words(clip, WORDS)
    assert sum(asked) == 3 * len(WORDS)
    asked.clear()
    again = kept_words(clip, [*WORDS, "WORD3", ""])
    assert sum(asked) == 3 * 4
    assert again.words == first.words == tuple(WORDS)
    assert torch.equal(again.embeddings_ve, first.embeddings_ve)
    assert torch.equal(first.embeddings_ve, embed_words(clip, WORDS).embeddings_ve)
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]


def test_other_words_and_other_weights_have_files_of_their_own(cache: Path, clip: Clip, tmp_path: Path) -> None:
    torch.manual_seed(5)
    save_file(open_clip.create_model("tiny-CLIP").state_dict(), tmp_path / "other.safetensors")
    other = load_clip("tiny-CLIP/openai", str(tmp_path / "other.safetensors"))
    for one, words in ((clip, WORDS), (clip, WORDS[::-1]), (clip, WORDS[:5]), (other, WORDS)):
        assert torch.equal(kept_words(one, words).embeddings_ve, embed_words(one, words).embeddings_ve)
    assert len(list(cache.iterdir())) == 4


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def of_another_model(path: Path) -> None:
    embeddings_ve = -load_file(path)["embeddings"]
    sha256 = torch.tensor(list(module._checksum(embeddings_ve)), dtype=torch.uint8)
    save_file({"embeddings": embeddings_ve, "sha256": sha256}, path)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flipped, "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: save_file({"other": torch.zeros(2)}, path), "is damaged"),
        (of_another_model, "is of another model"),
        (pipe, "is no regular file"),
    ],
)
def test_a_damaged_file_is_made_anew(cache: Path, clip: Clip, caplog: Log, damage: object, said: str) -> None:
    expected = kept_words(clip, WORDS).embeddings_ve
    assert callable(damage)
    damage(only(cache, "*"))
    assert torch.equal(kept_words(clip, WORDS).embeddings_ve, expected)
    assert said in caplog.text
    caplog.clear()
    assert torch.equal(kept_words(clip, WORDS).embeddings_ve, expected)
    assert caplog.text == ""
    assert only(cache, "*").is_file()


def test_where_nothing_can_be_kept_that_is_said_and_words_are_embedded(cache: Path, clip: Clip, caplog: Log) -> None:
    cache.parent.parent.write_text("a file in the place of the directory")
    assert len(kept_words(clip, WORDS).words) == len(WORDS)
    assert caplog.text.count("are not kept for the next time") == 1


@pytest.mark.parametrize(
    ("stated", "place"),
    [("/somewhere", "/somewhere/saev/words"), ("", "/home/me/.cache/saev/words"), ("x", "/home/me/.cache/saev/words")],
)
def test_the_place(monkeypatch: pytest.MonkeyPatch, stated: str, place: str) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", stated)
    assert str(own_directory()) == place


def test_the_command_takes_them_from_the_cache(cache: Path, tmp_path: Path, asked: list[int]) -> None:
    shards = record(tmp_path)
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    namer = ["--visualizer.namer=tiny-CLIP/openai", "--visualizer.namer_weights=random"]
    argv = [*namer, f"--visualizer.vocabulary={tmp_path / 'words.txt'}"]
    assert main(fit_options(shards, tmp_path / "run", *argv)) == 0
    assert sum(asked) == 3 * len(WORDS)
    asked.clear()
    assert main(["render", f"--run_dir={tmp_path / 'run'}", *argv]) == 0
    assert sum(asked) == 3 * 4
    assert len(list(cache.iterdir())) == 1


def test_prompts_are_what_is_kept(clip: Clip) -> None:
    assert clip.texts_digest(prompts(WORDS)) != clip.texts_digest(prompts(WORDS, ["{}"]))
    assert clip.texts_digest(prompts(WORDS)) == load_clip("tiny-CLIP/openai", "random").texts_digest(prompts(WORDS))
