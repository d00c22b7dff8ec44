"""`saev predict` on good input: models, dtypes, layers, directories, and what is said."""

import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
from open_clip.constants import INCEPTION_MEAN, INCEPTION_STD
from PIL import Image
from safetensors.torch import save_file
from tests.cli.recording import (
    activations,
    folder,
    metadata,
    options,
    recorded,
    refused,
    write_pictures,
)
from tests.cli.zygote import finish, start_interpreter
from tests.tiny_models import hooked, tiny_open_clip
from tests.writable import writable
from timm.data import create_transform, resolve_data_config
from torch import Tensor

from saev.cli.main import main

__all__ = ["hooked", "tiny_open_clip"]

Capture = pytest.CaptureFixture[str]
Transform = Callable[[Image.Image], Tensor]


def plain_timm(name: str, **options: Any) -> tuple[Any, Any, Transform]:
    model = timm.create_model(name, num_classes=0, **options)
    size = {"input_size": (3, *model.patch_embed.img_size)}
    return model, model.blocks, create_transform(**resolve_data_config(size, model=model))


def plain_clip(quick_gelu: bool) -> tuple[Any, Any, Transform]:
    model, _, transform = open_clip.create_model_and_transforms("tiny-ViT", force_quick_gelu=quick_gelu)
    return model.visual, model.visual.transformer.resblocks, transform


def plain_siglip() -> tuple[Any, Any, Transform]:
    model = open_clip.create_model("tiny-SigLIP")
    transform = open_clip.image_transform(
        32, is_train=False, mean=INCEPTION_MEAN, std=INCEPTION_STD, resize_mode="squash", interpolation="bicubic"
    )
    return model.visual, model.visual.trunk.blocks, transform


MODELS: dict[str, tuple[str, str, Callable[[], tuple[Any, Any, Transform]], list[str]]] = {
    "timm": ("timm", "test_vit", lambda: plain_timm("test_vit"), []),
    "dinov2 with registers": (
        "dinov2",
        "vit_small_patch14_reg4_dinov2",
        lambda: plain_timm("vit_small_patch14_reg4_dinov2", img_size=42),
        ["--model.image_size=42", "--model.d_vit=384", "--model.n_patches_per_img=9"],
    ),
    "clip with quick GELU": ("clip", "tiny-ViT/openai", lambda: plain_clip(quick_gelu=True), []),
    "clip": ("clip", "tiny-ViT/laion", lambda: plain_clip(quick_gelu=False), []),
    "siglip": ("siglip", "tiny-SigLIP/webli", plain_siglip, []),
}


@pytest.mark.parametrize("name", MODELS)
def test_float32_shards_equal_a_plain_hooked_forward_pass_bit_for_bit(
    name: str, pictures: Path, tmp_path: Path, capsys: Capture, hooked: Callable[..., list[Tensor]]
):
    family, ckpt, plain, more = MODELS[name]
    torch.manual_seed(3)
    model, blocks, transform = plain()
    file = tmp_path / "weights.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, file)
    more = [
        f"--model.family={family}",
        f"--model.ckpt={ckpt}",
        f"--model.weights={file}",
        "--model.layers=[0,-2]",
        *more,
    ]
    first, second = recorded(options(tmp_path / "out", folder(pictures), *more), capsys)

    inputs = torch.stack([transform(Image.open(path).convert("RGB")) for path in sorted(pictures.rglob("*.png"))])
    batches = [hooked(model, blocks, batch) for batch in inputs.split(2)]
    for directory, layer in ((first, 0), (second, len(blocks) - 2)):
        assert metadata(directory)["layers"] == [layer]
        assert torch.equal(activations(directory), torch.cat([outputs[layer] for outputs in batches]))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_dtypes_are_the_float32_activations_rounded(
    dtype: str, float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture
):
    (directory,) = recorded(options(tmp_path, folder(pictures), f"--writer.dtype={dtype}"), capsys)
    assert metadata(directory)["dtype"] == dtype
    assert torch.equal(activations(directory), float32.to(getattr(torch, dtype)))


def test_a_bfloat16_pass_is_another_recording_and_comes_near(
    float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture
):
    argv = options(tmp_path, folder(pictures), "--model.precision=bfloat16")
    (directory,) = recorded(argv, capsys)
    (plain,) = recorded(options(tmp_path, folder(pictures)), capsys)
    assert directory != plain
    acts = activations(directory)
    assert torch.equal(acts, acts.bfloat16().float())
    assert 0 < (acts - float32).norm() / float32.norm() < 0.02


def test_negative_and_positive_numbers_and_repetitions_name_the_same_directories(
    pictures: Path, tmp_path: Path, capsys: Capture
):
    first = recorded(options(tmp_path, folder(pictures), "--model.layers=[-2,1]"), capsys)
    again = recorded(options(tmp_path, folder(pictures), "--model.layers=[4,1,-5,-2]"), capsys)
    assert first == again
    assert [metadata(directory)["layers"] for directory in first] == [[1], [4]]
    assert len(list(tmp_path.iterdir())) == 2


def state(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in [root, *root.rglob("*")]}


def test_a_second_run_says_so_and_touches_nothing(pictures: Path, tmp_path: Path, capsys: Capture):
    argv = options(tmp_path, folder(pictures))
    (directory,) = recorded(argv, capsys)
    before = state(tmp_path)
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert out == f"{directory}\n"
    assert f"recorded already: {directory}" in err
    assert "will be written" not in err
    assert state(tmp_path) == before


def test_only_the_missing_layers_are_recorded(pictures: Path, tmp_path: Path, capsys: Capture):
    (old,) = recorded(options(tmp_path, folder(pictures)), capsys)
    before = state(old)
    directories = recorded(options(tmp_path, folder(pictures), "--model.layers=[0,-2,5]"), capsys)
    assert directories[1] == old
    assert state(old) == before
    (alone,) = recorded(options(tmp_path / "alone", folder(pictures), "--model.layers=[5]"), capsys)
    assert alone.name == directories[2].name
    assert torch.equal(activations(alone), activations(directories[2]))


def test_the_name_depends_neither_on_the_machines_paths_nor_on_the_workers(tmp_path: Path, capsys: Capture):
    pictures = [write_pictures(tmp_path / name) for name in ("here", "some/where/else")]
    found = [
        recorded(options(tmp_path / f"out{n}", folder(root), f"--data.num_workers={workers}"), capsys)[0]
        for n, (root, workers) in enumerate([(pictures[0], 0), (pictures[1], 2)])
    ]
    assert found[0].name == found[1].name
    for file in ("acts000000.bin", "examples.jsonl", "shards.json"):
        assert (found[0] / file).read_bytes() == (found[1] / file).read_bytes()


def test_activations_go_on_in_the_next_shard(float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture):
    n_tokens = float32.shape[1]
    more = f"--writer.n_patches_per_shard={2 * n_tokens + 1}"
    (directory,) = recorded(options(tmp_path, folder(pictures), more), capsys)
    assert len(list(directory.glob("acts*.bin"))) == 3
    assert torch.equal(activations(directory), float32)


def test_what_is_said_before_and_on_the_way(pictures: Path, tmp_path: Path, capsys: Capture):
    assert main(options(tmp_path, folder(pictures), "--model.layers=[0,1]")) == 0
    out, err = capsys.readouterr()
    n_bytes = sum(path.stat().st_size for path in tmp_path.rglob("acts*.bin"))
    assert len(out.splitlines()) == 2
    assert f"recording layers [0, 1] of 5 images: {n_bytes / 1000:.3g} kB will be written, " in err
    assert " are free\n" in err
    assert "images/s" in err
    assert "100%" in err


def test_a_dry_run_prints_the_plan_and_touches_nothing(pictures: Path, tmp_path: Path, capsys: Capture):
    out = tmp_path / "out"
    argv = options(out, folder(pictures), "--model.layers=[1,2]", "--writer.n_patches_per_shard=202")
    assert main([*argv, "--writer.dry_run=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not out.exists()
    directories = recorded(argv, capsys)
    shard = f"3 shards of {(directories[0] / 'acts000000.bin').stat().st_size / 1000:.3g} kB"
    assert lines[0] == "a dry run: nothing is recorded"
    assert lines[1].startswith("recording layers [1, 2] of 5 images: ")
    assert lines[2:4] == [f"layer {layer}: {path}: {shard}" for layer, path in zip((1, 2), directories, strict=True)]
    assert re.fullmatch(
        r"about \d:\d\d:\d\d \(h:mm:ss\): [\d.e+]+ images a second, .*; the disk must take .*B a second", lines[4]
    )
    assert main([*argv, "--writer.dry_run=true"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"recorded already: {path}" for path in directories]


def test_what_a_recording_that_goes_on_says(
    pictures: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    argv = options(tmp_path, folder(pictures), "--writer.n_patches_per_shard=202")
    (directory,) = recorded(argv, capsys)
    shard = writable(directory) / "acts000001.bin"
    n_bytes = shard.stat().st_size
    shard.write_bytes(bytes(n_bytes))
    assert main(["shards", "repair", str(directory)]) == 0
    capsys.readouterr()
    assert main([*argv, "--writer.dry_run=true"]) == 0
    assert f"layer 4: {directory}: 3 shards of {n_bytes / 1000:.3g} kB, 1 missing" in capsys.readouterr().out
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(argv) == 0
    err = capsys.readouterr().err
    assert f" of 5 images: {n_bytes / 1000:.3g} kB will be written, " in err
    assert " are free beside the space that is reserved already\n" in err
    assert "| 3/5 [" in err  # its first two pictures and the last one are there


def test_a_limit_on_file_sizes_that_data_workers_would_meet(pictures: Path, tmp_path: Path, capsys: Capture):
    shared = set(Path("/dev/shm").glob("torch_*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, limits[1]))
    try:
        more = ["--data.num_workers=1", "--writer.n_patches_per_shard=101"]
        said = r"hand over 614 kB a batch, files may have 262 kB here: raise the limit \(ulimit -f\)"
        refused(options(tmp_path / "out", folder(pictures), *more), capsys, said, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(Path("/dev/shm").glob("torch_*")) == shared


@pytest.mark.slow
def test_a_real_process_under_the_other_name_with_workers(pictures: Path, tmp_path: Path):
    argv = options(tmp_path / "out", folder(pictures), "--data.num_workers=2")
    status, out, err = finish(start_interpreter(["activations", *argv[1:]], cwd=tmp_path))
    assert status == 0, err
    assert [Path(line).parent for line in out.splitlines()] == [tmp_path / "out"]
    assert "Warning" not in err
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
