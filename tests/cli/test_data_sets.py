"""`saev fit`, `test` and `validate` on several data sets, pairs of layers and choices of images."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.fitting import (
    SAVE_OFTEN,
    TWO,
    assert_close,
    fit_options,
    metrics,
    numpy_fvu,
    only,
    refusal,
    sparse_acts,
    weights,
)
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards
from torch import Tensor

import saev
from saev.cli.main import main
from saev.shards.tokens import random_subset

Capture = pytest.CaptureFixture[str]
GRID = (3, 4)
LABELS = torch.arange(40 * 12).remainder(5).to(torch.uint8).reshape(40, 12)


def recorded(make_shards: MakeShards, n: int, **options: Any) -> tuple[Path, Tensor]:
    acts = sparse_acts(n, 13, seed=options.get("layer", 3))
    return make_shards(n, **{"d_model": 16, "grid": GRID, "acts": acts, **options})


@pytest.fixture(scope="module")
def first(make_shards: MakeShards) -> tuple[Path, Tensor]:
    return recorded(make_shards, 40, labels=LABELS)


@pytest.fixture(scope="module")
def second(make_shards: MakeShards) -> tuple[Path, Tensor]:
    return recorded(make_shards, 20, name="second")


@pytest.fixture(scope="module")
def deeper(make_shards: MakeShards) -> tuple[Path, Tensor]:
    return recorded(make_shards, 40, layer=5, labels=LABELS)


def patches(acts: Tensor, images: Any) -> Tensor:
    return acts[torch.as_tensor(images), 1:].flatten(0, 1)


def fvu(run_dir: Path, x: Tensor) -> float:
    return numpy_fvu(saev.load(only(run_dir, "saes/*")), x, k=4)


def about(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((only(run_dir, "saes/*") / "config.json").read_text())["about"]
    return found


def edit_about(run_dir: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = only(run_dir, "saes/*") / "config.json"
    config = json.loads(path.read_text())
    edit(config["about"])
    path.write_text(json.dumps(config))


@pytest.fixture(scope="module")
def mixed(first: tuple[Path, Tensor], second: tuple[Path, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on both data sets, with twice as many tokens of the first; paths given as relative ones."""
    root = tmp_path_factory.mktemp("runs")
    for name, (path, _) in (("A", first), ("B", second)):
        shutil.copytree(path, root / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        options = fit_options(root, Path("run"), "--data.val_share=0.25")
        assert main([*options, "--data.shards=[A,B]", "--data.weights=[2,1]"]) == 0
    return root / "run"


def test_a_mixture_is_validated_on_both(mixed: Path, first: tuple[Path, Tensor], second: tuple[Path, Tensor]) -> None:
    parts = [patches(first[1], random_subset(40, 10, 0)), patches(second[1], random_subset(20, 5, 0))]
    expected = fvu(mixed, torch.cat(parts))
    assert metrics(mixed)["val"]["fvu"] == pytest.approx(expected, rel=1e-4)
    assert [one["held_out"] for one in about(mixed)["data"]] == [{"n": 10, "seed": 0}, {"n": 5, "seed": 0}]
    assert "paired_with" not in about(mixed)


def test_a_mixture_is_tested_on_what_was_held_out(
    mixed: Path, first: tuple[Path, Tensor], second: tuple[Path, Tensor], make_shards: MakeShards, capsys: Capture
) -> None:
    before = metrics(mixed)
    assert main(["test", f"--run_dir={mixed}"]) == 0
    said = capsys.readouterr().err
    assert said.count("trained the SAE: testing on the images that were held out") == 2
    assert f"the gallery shows the first of 2 data sets: {mixed.parent / 'A'}" in said
    assert metrics(mixed)["test"] == before["val"]
    assert main(["validate", f"--run_dir={mixed}"]) == 0
    assert metrics(mixed)["val"] == before["val"]
    # One of them alone, and beside others.
    assert main(["test", f"--run_dir={mixed}", f"--data.shards={second[0]}"]) == 0
    expected = fvu(mixed, patches(second[1], random_subset(20, 5, 0)))
    assert metrics(mixed)["test"]["fvu"] == pytest.approx(expected, rel=1e-4)
    other, acts = recorded(make_shards, 9, name="other")
    assert main(["test", f"--run_dir={mixed}", f"--data.shards=[{other},{first[0]}]"]) == 0
    x = torch.cat([patches(acts, range(9)), patches(first[1], random_subset(40, 10, 0))])
    assert metrics(mixed)["test"]["fvu"] == pytest.approx(fvu(mixed, x), rel=1e-4)


def test_pairs_from_fit_to_test(
    first: tuple[Path, Tensor], deeper: tuple[Path, Tensor], make_shards: MakeShards, tmp_path: Path, capsys: Capture
) -> None:
    run_dir = tmp_path / "run"
    assert main(fit_options(first[0], run_dir, f"--data.paired=[{deeper[0]}]", "--data.val_share=0.25")) == 0
    both = torch.cat([first[1], deeper[1]], dim=-1)
    expected = fvu(run_dir, patches(both, random_subset(40, 10, 0)))
    assert metrics(run_dir)["val"]["fvu"] == pytest.approx(expected, rel=1e-4)
    assert [config["layer"] for config in about(run_dir)["paired_with"]] == [5]
    assert '["layer","3 + 5"]' in (only(run_dir, "features/*") / "data" / "overview.js").read_text()
    assert main(["test", f"--run_dir={run_dir}"]) == 0
    assert metrics(run_dir)["test"] == metrics(run_dir)["val"]
    others = [recorded(make_shards, 9, name="other", layer=layer) for layer in (3, 5)]
    options = [f"--data.shards={others[0][0]}", f"--data.paired=[{others[1][0]}]"]
    assert main(["test", f"--run_dir={run_dir}", *options]) == 0
    x = patches(torch.cat([acts for _, acts in others], dim=-1), range(9))
    assert metrics(run_dir)["test"]["fvu"] == pytest.approx(fvu(run_dir, x), rel=1e-4)
    said = refusal(["test", f"--run_dir={run_dir}", f"--data.shards={others[0][0]}"], capsys)
    assert "n_examples" in said
    wide, _ = recorded(make_shards, 9, d_model=32, acts=torch.randn(9, 13, 32))
    said = refusal(["test", f"--run_dir={run_dir}", f"--data.shards={wide}", "--data.paired=null"], capsys)
    assert "the SAE was trained on layer 3 + 5" in said
    swapped = [f"--data.shards={others[1][0]}", f"--data.paired=[{others[0][0]}]"]
    assert "layer 3, " in refusal(["test", f"--run_dir={run_dir}", *swapped], capsys)


def test_ignored_labels_from_fit_to_test(first: tuple[Path, Tensor], tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert main(fit_options(first[0], run_dir, "--data.ignore_labels=[0,3]", "--data.val_share=0.25")) == 0
    held_out = torch.from_numpy(random_subset(40, 10, 0))
    x = first[1][held_out, 1:][~torch.isin(LABELS[held_out], torch.tensor([0, 3]))]
    assert metrics(run_dir)["val"]["fvu"] == pytest.approx(fvu(run_dir, x), rel=1e-4)
    assert main(["test", f"--run_dir={run_dir}"]) == 0
    assert metrics(run_dir)["test"] == metrics(run_dir)["val"]


@pytest.mark.parametrize("choice", ["share", "examples"])
def test_chosen_images_from_fit_to_test(
    first: tuple[Path, Tensor], make_shards: MakeShards, tmp_path: Path, choice: str
) -> None:
    run_dir, listed = tmp_path / "run", tmp_path / "images.txt"
    listed.write_text("\n".join(f"{number:05d}.png" for number in range(0, 40, 2)))
    option = "--data.share=0.5" if choice == "share" else f"--data.examples={listed}"
    assert main(fit_options(first[0], run_dir, option, "--data.val_share=0.25")) == 0
    chosen = random_subset(40, 20, 0) if choice == "share" else torch.arange(0, 40, 2).numpy()
    held_out = chosen[random_subset(20, 5, 0)]
    assert about(run_dir)["data"][0]["held_out"] == {"numbers": held_out.tolist()}
    expected = fvu(run_dir, patches(first[1], held_out))
    assert metrics(run_dir)["val"]["fvu"] == pytest.approx(expected, rel=1e-4)
    listed.unlink()  # the SAE says itself what was held out
    assert main(["test", f"--run_dir={run_dir}"]) == 0
    assert metrics(run_dir)["test"] == metrics(run_dir)["val"]
    other, acts = recorded(make_shards, 9, name="other")
    assert main(["test", f"--run_dir={run_dir}", f"--data.shards={other}"]) == 0
    assert metrics(run_dir)["test"]["fvu"] == pytest.approx(fvu(run_dir, patches(acts, range(9))), rel=1e-4)


def test_other_choices_do_not_make_training_images_held_out(
    first: tuple[Path, Tensor], tmp_path: Path, capsys: Capture
) -> None:
    run_dir = tmp_path / "run"
    assert main(fit_options(first[0], run_dir, "--data.share=0.5", "--data.val_share=0.25")) == 0
    assert "that trained the SAE" in refusal(["validate", f"--run_dir={run_dir}", "--data.share=1"], capsys)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda about: about.update(colour="red"), "unknown keys ['colour']"),
        (lambda about: about.update(data=3), "'data' must be a list"),
        (lambda about: about.update(tokens=3), "'tokens' must be a string"),
        (lambda about: about.update(trained_on={"model": 5}), "'model' must be an object"),
        (lambda about: about.update(trained_on=[]), "'trained_on' must be an object"),
        (lambda about: about.update(paired_with=["x"]), "activations: expected an object"),
        (lambda about: about["data"].append("x"), "data 2: expected an object"),
        (lambda about: about["data"][1].pop("held_out"), "data 1: missing keys ['held_out']"),
        (lambda about: about["data"][0].update(held_out={"n": -1, "seed": 0}), "'n' must be an integer"),
        (lambda about: about["data"][0].update(held_out={"n": 1}), "held_out: missing keys ['seed']"),
        (lambda about: about["data"][0].update(held_out={"numbers": ["a"]}), "'numbers' must be a list"),
        (lambda about: about["data"][0].update(held_out={"numbers": [3, 2]}), "'numbers' must ascend"),
        (lambda about: about["data"][0].update(held_out={"numbers": [40]}), "1 images held out of 40"),
        (lambda about: about["data"][0].update(held_out={"n": 41, "seed": 0}), "41 images held out of 40"),
        (lambda about: about["trained_on"]["model"].update(family="siglip"), "trained on family siglip"),
    ],
)
def test_an_edited_about(
    mixed: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], said: str, capsys: Capture
) -> None:
    run_dir = Path(shutil.copytree(mixed, tmp_path / "run"))
    edit_about(run_dir, edit)
    assert said in refusal(["test", f"--run_dir={run_dir}"], capsys)


@pytest.mark.parametrize("more", [[], ["--data.buffer_gib=3.8e-5"]], ids=["resident", "streamed"])
def test_damage_in_mid_training_ends_the_run(
    first: tuple[Path, Tensor], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    """Also where what is damaged is not in the sample that training starts from."""
    broken = Path(shutil.copytree(first[0], tmp_path / first[0].name))
    monkeypatch.setattr("saev.training.state.INIT_TOKENS", 48)
    path = broken / "acts000003.bin"
    data = bytearray(path.read_bytes())
    place = len(data) - 13 * 64 + 64 + 7
    data[place] ^= 4
    path.write_bytes(data)
    said = refusal(fit_options(broken, tmp_path / "run", "--data.val_share=0", SAVE_OFTEN, *more), capsys)
    assert "acts000003.bin: block 0" in said
    assert "example 19, tokens 1 to 13) is damaged" in said
    assert not list((tmp_path / "run").glob("saes/*"))


@pytest.mark.slow
def test_two_processes_mix_as_one(first: tuple[Path, Tensor], second: tuple[Path, Tensor], tmp_path: Path) -> None:
    more = [f"--data.shards=[{first[0]},{second[0]}]", "--data.weights=[1,1.1]", "--data.buffer_gib=5.3e-5"]
    # AuxK's loss is a ratio within each process's part of a batch; restarts take the worst tokens of a part.
    more += ["--model.restarts=0", "--model.auxk_coeff=0"]
    one, two = (fit_options(tmp_path, tmp_path / name, *more) for name in ("one", "two"))
    process = start([*two, *TWO])
    assert main(one) == 0
    status, _, err = finish(process)
    assert status == 0, err
    assert err.count("buffer for shuffling") == 1
    assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"))
    assert metrics(tmp_path / "two")["val"]["fvu"] == pytest.approx(metrics(tmp_path / "one")["val"]["fvu"], rel=1e-3)
