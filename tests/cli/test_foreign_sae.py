"""An SAE of which nothing is known, as `saev.save` writes it in a notebook: tested, rendered, viewed and spliced."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.fitting import fit_options, only, refusal
from tests.cli.recording import folder, options, write_pictures

import saev
from saev.artifacts import Provenance, RecordedLayer
from saev.cli.main import main
from saev.serving.live_gallery import LiveGallery
from saev.serving.server import GalleryServer

Capture = pytest.CaptureFixture[str]
VIT = ["--model.family=timm", "--model.ckpt=test_vit", "--model.layer=4"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, a run on it, and its SAE without provenance and metrics."""
    root = tmp_path_factory.mktemp("foreign")
    assert main(options(root / "shards", folder(write_pictures(root / "pictures", 6)), "--model.image_size=32")) == 0
    argv = fit_options(shards_of(root), root / "run", "--data.n_tokens=640", "--data.batch_size=16")
    assert main([*argv, "--data.val_share=0", "--visualizer.n_latents=0"]) == 0
    sae = saev.load(only(root, "run/saes/*"))
    sae.metrics = {}
    saev.save(sae, root / "mine", Provenance())
    return root


def shards_of(root: Path) -> Path:
    return only(root, "shards/*-layer04-*")


def run(argv: list[str], capsys: Capture) -> tuple[str, str]:
    capsys.readouterr()
    status = main(argv)
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return printed


def evaluating(command: str, root: Path, out: Path, *more: str) -> list[str]:
    return [command, f"--sae={root / 'mine'}", f"--data.shards={shards_of(root)}", f"--out={out}",
            "--trainer.accelerator=cpu", "--visualizer.n_latents=2", *more]  # fmt: skip


def splicing(root: Path, out: Path, *more: str) -> list[str]:
    return ["downstream", f"--sae={root / 'mine'}", f"--images={root / 'pictures'}", "--weights=random", "--k=2",
            "--num_workers=0", "--device=cpu", f"--out={out / 'o.json'}", *more]  # fmt: skip


def test_it_is_tested_on_all_images_and_its_figures_are_those_of_the_run(
    root: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, err = run(evaluating("test", root, tmp_path / "out"), capsys)
    assert out == f"{tmp_path / 'out'}\n"
    assert "does not say family, ckpt, weights_digest, layer, preprocessing, tokens (content): taken from" in err
    assert "does not say which images trained it: none is left out" in err
    own = saev.load(only(root, "run/saes/*"))
    saev.save(own, tmp_path / "own", Provenance(own.provenance.layers, own.provenance.tokens))  # type: ignore[attr-defined]
    argv = [f"--sae={tmp_path / 'own'}" if one.startswith("--sae") else one for one in
            evaluating("test", root, tmp_path / "own_out")]  # fmt: skip
    err = run(argv, capsys)[1]
    assert "taken from" not in err
    figures = [json.loads(only(tmp_path, f"{name}/metrics.json").read_text())["test"] for name in
               ("out/saes/mine", "own_out/saes/own")]  # fmt: skip
    assert figures[0] == figures[1]
    assert only(tmp_path, "out/features/mine/index.html").is_file()
    assert sorted(path.name for path in (root / "mine").iterdir()) == ["config.json", "sae.safetensors"]


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, picture: Path) -> Iterator[dict[str, Any]]:
    """What a server answers with, by gallery: its state and what it sees in a picture, or why it has nothing."""
    found: dict[str, Any] = {}

    def serve(server: GalleryServer) -> None:
        for name, live in server.live.items():
            is_live = isinstance(live, LiveGallery)
            found[name] = {**live.state(), **live.look(picture.read_bytes())} if is_live else live

    monkeypatch.setattr(GalleryServer, "serve_forever", serve)
    yield found


def test_it_is_rendered_and_viewed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    run(evaluating("render", root, tmp_path / "out"), capsys)
    argv = ["view", f"--run_dir={tmp_path / 'out'}", "--port=0", "--device=cpu", "--weights=random"]
    own = f"--sae={root / 'mine'}"
    picture = next((root / "pictures" / "cat").iterdir())
    for more, neighbours in (([f"--shards={shards_of(root)}"], 6), ([*VIT, "--n_images=0"], 0)):
        with served(monkeypatch, picture) as live:
            run([*argv, own, *more], capsys)
        assert live["mine"]["strongest"], live
        assert live["mine"]["nRecorded"] == neighbours
    said = refusal([*argv, own], capsys)
    assert "does not say which ViT it was trained on (family, ckpt): give a recording of it with --shards, or" in said
    with served(monkeypatch, picture) as live:
        run(argv, capsys)
    assert "where it lies elsewhere, give --sae DIR" in live["mine"]


def test_it_is_spliced_with_what_shards_or_options_say(root: Path, tmp_path: Path, capsys: Capture) -> None:
    reports = []
    for more in ([f"--shards={shards_of(root)}"], [f"--shards={shards_of(root)}", *VIT, "--tokens=content"]):
        _, err = run(splicing(root, tmp_path, *more), capsys)
        reports.append(json.loads((tmp_path / "o.json").read_text()))
        assert "the SAE does not say" in err
    assert reports[0] == reports[1]
    assert (reports[0]["layer"], reports[0]["tokens"]) == (4, "content")
    _, err = run(splicing(root, tmp_path, *VIT), capsys)
    assert "which tokens it takes: content, the patches, are taken (--tokens)" in err
    assert json.loads((tmp_path / "o.json").read_text())["layer"] == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "(family, ckpt): give a recording of it with --shards, or --model.family, --model.ckpt and --model.layer"),
        (VIT[1:], "(family): give"),
        (VIT[:2], "does not say which layer of test_vit it takes: give a recording"),
        (["--model.family=timmy", *VIT[1:]], "the family of the SAE's ViT names the backbone 'timmy', known are clip"),
        ([*VIT[:2], "--model.layer=99"], "layer 99 does not exist"),
        ([*VIT, "--tokens=patches"], "tokens"),
        (["--shards=/nowhere"], "/nowhere"),
    ],
)
def test_a_missing_or_wrong_fact_is_named(
    more: list[str], said: str, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert said in refusal(splicing(root, tmp_path, *more), capsys)


def test_what_an_sae_says_cannot_be_said_otherwise(root: Path, tmp_path: Path, capsys: Capture) -> None:
    known = Provenance([RecordedLayer(family="timm", ckpt="test_vit", layer=5)], "cls")
    saev.save(saev.load(root / "mine"), tmp_path / "mine", known)
    argv = [*splicing(root, tmp_path), f"--sae={tmp_path / 'mine'}"]
    for more, said in (
        ("--model.layer=4", "--model.layer 4: the SAE was trained on 5"),
        ("--model.family=clip", "--model.family clip: the SAE was trained on timm"),
        ("--tokens=all", "--tokens all: the SAE was trained on cls tokens"),
        (f"--shards={shards_of(root)}", "trained on layer 5,"),
    ):
        assert said in refusal([*argv, more], capsys)
    argv = [*evaluating("test", root, tmp_path / "out"), f"--sae={tmp_path / 'mine'}"]
    assert "holds layer 4, not layer 5" in refusal(argv, capsys)


def test_a_command_line_names_one_kind_of_saes_and_a_place(root: Path, tmp_path: Path, capsys: Capture) -> None:
    sae, out = f"--sae={root / 'mine'}", f"--out={tmp_path}"
    for argv, said in (
        (["test"], "--run_dir RUN, or that of an SAE: --sae DIR"),
        (["test", sae], "--out DIR"),
        (["render", sae, out, f"--run_dir={root / 'run'}"], "give one of them"),
        (["validate", sae, out], "saev validate takes the SAEs of a run"),
        (["test", sae, out], "--data.shards"),
        (["test", f"--sae={root}", out, f"--data.shards={shards_of(root)}"], "give the directory of an SAE"),
        ([*evaluating("test", root, tmp_path), "--data.tokens=registers"], "no registers tokens"),
    ):
        assert said in refusal(argv, capsys), argv
