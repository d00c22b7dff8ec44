"""Codes of all images of a recording: saved, opened, read by image and by latent."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.conftest import MakeShards

import saev
from saev.errors import InputError
from saev.latents import encode as encoding_module
from saev.latents import encode_plan
from saev.latents.codes import Codes, open_codes
from saev.latents.encoding import sae_digest
from saev.nn import TopK
from saev.shards.reading.open import open_shards

Patch = pytest.MonkeyPatch
N, GRID, D_SAE = 23, (2, 3), 24


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(N, grid=GRID)[0]


@pytest.fixture
def sae() -> TopK:
    torch.manual_seed(1)
    return TopK(8, D_SAE, k=3)


@pytest.fixture
def dense(shards: Path, sae: TopK) -> np.ndarray:
    """All codes of the patches (n, t, s)."""
    return sae.encode(open_shards(shards).read(0, N)[:, 1:]).detach().numpy()


@pytest.fixture
def saved(shards: Path, sae: TopK, tmp_path: Path) -> Codes:
    """Codes in files of five images."""
    return saev.encode(sae, shards, tmp_path / "codes", file_bytes=1)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: Patch) -> None:
    """Five images at a time."""
    monkeypatch.setattr("saev.nn.functional.CODES_BYTES", 4 * D_SAE * 6 * 5)


def tree(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_rows_and_columns_equal_a_look_at_all_codes(saved: Codes, shards: Path, sae: TopK, dense: np.ndarray) -> None:
    held = saev.encode(sae, shards)
    assert len(saved.parts) == 5
    for codes in (saved, held):
        assert (codes.n_images, codes.n_positions, codes.d_sae, codes.grid) == (N, 6, D_SAE, GRID)
        for images in ([0], [3, 4, 5, 22], [22, 0, 7, 7], list(range(N)), []):
            np.testing.assert_allclose(codes.of_images(images).dense(), dense[images], rtol=1e-5, atol=1e-6)
        for latents in ([5], [23, 0, 11, 11], list(range(D_SAE)), []):
            found = codes.of_latents(latents).toarray().reshape(N, 6, len(latents))
            np.testing.assert_allclose(found, dense[:, :, latents], rtol=1e-5, atol=1e-6)
    assert (saved.of_images(range(N)).values_n == held.of_images(range(N)).values_n).all()


def test_files_are_what_the_docs_say(saved: Codes, sae: TopK, shards: Path, tmp_path: Path) -> None:
    description = json.loads((tmp_path / "codes" / "codes.json").read_bytes())
    assert description["sae"] == {"digest": sae_digest(sae), "d_in": 8, "d_sae": D_SAE}
    assert description["shards"]["content_id"] == open_shards(shards).manifest.content_id
    assert (description["tokens"], description["n_images"]) == ("content", N)
    tensors = load_file(tmp_path / "codes" / "codes000001.safetensors")
    own = saved.of_images(range(5, 10))
    assert np.array_equal(tensors["token_starts"], own.starts_r)
    assert np.array_equal(tensors["latents"], own.latents_n)
    assert np.array_equal(tensors["values"], own.values_n)
    columns = own.matrix.tocsc()
    assert np.array_equal(tensors["latent_starts"], columns.indptr)
    assert np.array_equal(tensors["tokens"], columns.indices)
    assert np.array_equal(tensors["values_by_latent"], columns.data)
    assert {path.name for path in (tmp_path / "codes").iterdir()} == {
        "codes.json",
        *(f"codes{number:06d}.safetensors" for number in range(5)),
    }
    assert [path.name for path in tmp_path.iterdir()] == ["codes"]


def test_no_such_images_or_latents(saved: Codes) -> None:
    with pytest.raises(InputError, match=r"images \[23\]: there are images 0 to 22"):
        saved.of_images([0, 23])
    with pytest.raises(InputError, match=r"latents \[-1\]: there are latents 0 to 23"):
        saved.of_latents([-1])


@pytest.mark.parametrize("numbers", [[True, False], [1.7], 3, [[1, 2]], np.ones(2), ["1"]])
def test_what_is_no_list_of_whole_numbers_is_refused(saved: Codes, numbers: Any) -> None:
    for what, read in (("images", saved.of_images), ("latents", saved.of_latents)):
        with pytest.raises(InputError, match=rf"{what} .*: give a list of whole numbers, such as \[0, 2[23]\]"):
            read(numbers)


@pytest.mark.parametrize("n_files", [0, 1, 3])
def test_a_killed_run_goes_on(shards: Path, sae: TopK, saved: Codes, tmp_path: Path, n_files: int) -> None:
    written = 0
    real = encode_plan.write_codes

    def dying(*args: object) -> object:
        nonlocal written
        if written == n_files:
            os.kill(os.getpid(), signal.SIGKILL)
        written += 1
        return real(*args)  # type: ignore[arg-type]

    child = os.fork()
    if not child:
        encode_plan.write_codes = dying  # type: ignore[assignment]
        saev.encode(sae, shards, tmp_path / "again", file_bytes=1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    partial = tmp_path / ".again.partial"
    kept = {path.name: path.stat().st_ino for path in partial.glob("*.safetensors")}
    assert len(kept) == n_files
    if n_files:
        with pytest.raises(InputError, match=r"holds unfinished codes of the SAE .*, not of [0-9a-f]{64}: finish"):
            saev.encode(TopK(8, D_SAE, k=3), shards, tmp_path / "again")
    saev.encode(sae, shards, tmp_path / "again", file_bytes=1)
    assert tree(tmp_path / "again") == tree(tmp_path / "codes")
    assert kept.items() <= {path.name: path.stat().st_ino for path in (tmp_path / "again").iterdir()}.items()
    assert not partial.exists()


def test_finished_codes_of_another_sae_are_not_published(shards: Path, saved: Codes, tmp_path: Path) -> None:
    (tmp_path / "codes").rename(tmp_path / ".other.partial")  # as a kill leaves them just before they get their name
    with pytest.raises(
        InputError, match=r"\.other\.partial holds unfinished codes of the SAE .*: finish those, remove"
    ):
        saev.encode(TopK(8, D_SAE, k=3), shards, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_sae_is_afterwards_as_before(shards: Path, sae: TopK, tmp_path: Path, monkeypatch: Patch) -> None:
    moves: list[torch.device] = []
    monkeypatch.setattr(TopK, "to", lambda self, device: (moves.append(device), self)[1])
    monkeypatch.setattr(encoding_module, "chosen_device", lambda _: torch.device("cpu", 0))
    sae.train().add_module("part", torch.nn.Identity().eval())
    for call in (saev.encode, saev.survey, lambda sae, shards: saev.render({"a": sae}, shards, tmp_path, n_latents=1)):
        call(sae, shards)
        assert (sae.training, sae.part.training) == (True, False)
        assert moves == [torch.device("cpu", 0), torch.device("cpu")]
        moves.clear()


def test_two_processes_write_the_same(shards: Path, sae: TopK, saved: Codes, tmp_path: Path) -> None:
    saev.encode(sae, shards, tmp_path / "again", file_bytes=1, processes=2)
    assert tree(tmp_path / "again") == tree(tmp_path / "codes")


def test_a_fault_in_another_process_is_said(shards: Path, sae: TopK, tmp_path: Path) -> None:
    copy = tmp_path / shards.name
    shutil.copytree(shards, copy)
    first = copy / "acts000000.bin"
    first.chmod(0o644)
    data = bytearray(first.read_bytes())
    data[4 * 7 * 8 * 4 + 100] ^= 1  # a patch of image 4, which is not among those that the first process looks at
    first.write_bytes(data)
    with pytest.raises(InputError, match=r"acts000000\.bin: .* damaged"):
        saev.encode(sae, copy, tmp_path / "codes", file_bytes=1, processes=2)
    assert not (tmp_path / "codes").exists()


def test_what_is_there_is_kept(
    shards: Path, sae: TopK, saved: Codes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(tmp_path / "codes")
    assert saev.encode(sae, shards, tmp_path / "codes").origin == saved.origin
    assert "encoded already" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"holds the codes of the SAE with the digest .*: name another directory"):
        saev.encode(TopK(8, D_SAE, k=3), shards, tmp_path / "codes")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="is there already and holds no codes"):
        saev.encode(sae, shards, tmp_path / "other")
    assert tree(tmp_path / "codes") == before


@pytest.mark.parametrize("number", range(5))
def test_a_damaged_byte_is_found_when_it_is_read(saved: Codes, tmp_path: Path, number: int) -> None:
    path = tmp_path / "codes" / f"codes{number:06d}.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    codes = open_codes(tmp_path / "codes")
    with pytest.raises(InputError, match=rf"{path.name}: block 0 is damaged: .* encode again"):
        codes.of_latents([D_SAE - 1])
    with pytest.raises(InputError, match=rf"{path.name}: block 0 is damaged"):
        codes.of_images([min(5 * number, N - 1)])
    path.write_bytes(data[:-1])
    with pytest.raises(InputError, match=rf"{path.name}: \d+ bytes instead of \d+: copy or encode again"):
        open_codes(tmp_path / "codes")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", 2, "no codes of schema 1"),
        ("images_per_file", 0, "'images_per_file' must be an integer of at least 1"),
        ("tokens", "patches", "'tokens' must be one of content"),
        ("tokens", "registers", "have no registers tokens"),
        ("n_images", 90, "5 files for 90 images"),
        ("files", [], "0 files for 23 images"),
        ("more", 1, r"unknown keys \['more'\]"),
    ],
)
def test_an_edited_description_is_refused(saved: Codes, tmp_path: Path, key: str, value: object, message: str) -> None:
    path = tmp_path / "codes" / "codes.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {key: value}), encoding="ascii")
    with pytest.raises(InputError, match=message):
        open_codes(tmp_path / "codes")


def test_what_does_not_fit_is_refused(
    shards: Path, sae: TopK, make_shards: MakeShards, tmp_path: Path, monkeypatch: Patch
) -> None:
    wide = make_shards(3, d_model=6, images="7" * 64)[0]
    with pytest.raises(InputError, match=r"the SAE takes activations of width 8, .* has 6: give shards of"):
        saev.encode(sae, wide)
    with pytest.raises(InputError, match="processes=0"):
        saev.encode(sae, shards, processes=0)
    monkeypatch.setattr(encoding_module, "free_bytes", lambda _: 100)
    with pytest.raises(InputError, match=r"codes: about .* will be written, 100 bytes are free: make room"):
        saev.encode(sae, shards, tmp_path / "codes")
    monkeypatch.setattr("saev.free_memory.known_free_memory", lambda: (100, "this machine"))
    with pytest.raises(InputError, match="of memory, 100 bytes are free on this machine: save them with out"):
        saev.encode(sae, shards)
    assert not (tmp_path / "codes").exists()
    shutil.rmtree(tmp_path / ".codes.partial")
