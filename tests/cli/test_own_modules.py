"""Modules of the user on the command line: what is imported, what never is, and what is refused at once."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.fitting import TWO, assert_close, fit_options, one_line, only, sparse_acts, weights
from tests.cli.recording import folder, options, write_pictures
from tests.cli.zygote import finish, start, start_interpreter
from tests.conftest import MakeShards

SHRUNK = """
from saev.nn import OneLayerAutoencoder, dense_pass


class Shrunk(OneLayerAutoencoder):
    def __init__(self, d_in: int, d_sae: int = 48, shift: float = 0.1) -> None:
        super().__init__(d_in, d_sae)
        self.shift = shift

    def activate(self, h_bs):
        return (h_bs - self.shift).relu()

    def training_pass(self, z_bd, step):
        f_bs = self.codes(z_bd)
        return dense_pass(self, z_bd, f_bs, f_bs.mean())
"""
OTHERS = """
from saev.nn import OneLayerAutoencoder
from shrunk import Shrunk


class Forgets(Shrunk):
    def options(self):
        return {"d_sae": self.d_sae}


class Tuple(Shrunk):
    def options(self):
        return {"d_sae": self.d_sae, "shift": (self.shift,)}


class Needs(Shrunk):
    def __init__(self, d_in: int, width: int) -> None:
        super().__init__(d_in, width)


class TopK(Shrunk):
    pass


class Loses(Shrunk):
    def __init__(self, d_in: int, d_sae: int = 48, tilt: float = 0.1) -> None:
        super().__init__(d_in, d_sae)


class Half(OneLayerAutoencoder):
    pass


class NotOne:
    pass
"""
METRIC = """
import torch
from saev.metrics import SaeMetric


class Broken(SaeMetric):
    figures = ("broken",)

    def update(self, x_bd, x_hat_bd, f_bs):
        pass

    def compute(self):
        return {"other": torch.zeros(())}
"""
TRAP = "from pathlib import Path\nPath(__file__).with_name('sprung').touch()\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with modules of a user."""
    (tmp_path / "shrunk.py").write_text(SHRUNK)
    (tmp_path / "mymod.py").write_text(OTHERS)
    (tmp_path / "mymetric.py").write_text(METRIC)
    (tmp_path / "broken.py").write_text("import saev\nx = 1 / 0\n")
    (tmp_path / "needs.py").write_text("import not_installed\n")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "trap.py").write_text(TRAP)
    return tmp_path


def saev(argv: list[str], place: Path) -> tuple[int, str, str]:
    return finish(start(argv, cwd=place))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--model.sae=mymod.Gone"], "--model.sae: the module mymod has no Gone"),
        (["--model.sae=nomod.Mine"], "--model.sae: there is no module nomod, neither installed nor in this directory"),
        (["--model.sae=mymod.NotOne"], "'mymod.NotOne' to be a subclass of SparseAutoencoder"),
        (
            ["--model.sae=mymod.Half", "--model.sae.d_sae=4"],
            "makes no SAE: Can't instantiate abstract class Half with abstract methods",
        ),
        (["--model.sae=mymod.Needs"], "required and not given: --model.sae.width"),
        (["--model.sae=mymod.Forgets", "--model.sae.shift=1"], "makes an SAE whose shift is 0.1, not 1"),
        (["--model.sae=mymod.Loses"], "Loses has no attribute 'tilt': keep the argument there, or define options()"),
        (["--model.sae=mymod.Tuple"], "mymod.Tuple.options(): shift is (0.1,), which JSON makes [0.1] of: give that"),
        (["--model.sae=mymod.TopK"], "mymod.TopK has the name of another architecture, saev.nn.topk.TopK"),
        (["--import=mymod"], "mymod.TopK has the name of another architecture, saev.nn.topk.TopK"),
        (["--import=mymetric"], "mymetric.Broken.compute() gives ['other'], its figures are ['broken']"),
        (["--import", "nomod"], "--import nomod: there is no module nomod, neither installed nor in "),
        (["--import", "./nomod.py"], "--import ./nomod.py: there is no such file"),
        (["--import=broken"], "broken.py, line 2: ZeroDivisionError: division by zero"),
        (["--import=./needs.py"], "needs.py, line 1: No module named 'not_installed'"),
        (["--import=./json.py"], "--import ./json.py: there is another module json ("),
        (["--import"], "--import needs the name of a module or its file"),
        (["--model.sae=os.system"], "os.system: nothing of Python's own library is taken, whoever names it (see "),
        (
            ["--import=collections", "--trainer.callbacks=collections.Counter"],
            "collections.Counter: nothing of Python's own library is taken, whoever names it (see ",
        ),
    ],
)
def test_what_could_not_be_loaded_in_the_end_is_refused_in_the_beginning(
    more: list[str], expected: str, place: Path, make_shards: MakeShards
) -> None:
    shards = make_shards(20, d_model=16)[0]
    status, out, err = saev(fit_options(shards, place / "run", *more, sae=[]), place)
    assert (status, out) == (1, "")
    assert expected in one_line(err)
    assert not (place / "run").exists()


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("fit", "model.sae", {"class_path": "trap.Trap"}),
        ("fit", "trainer.callbacks", [{"class_path": "trap.Trap"}]),
        ("predict", "model.family", "trap.Trap"),
        ("predict", "data.images", {"class_path": "trap.Trap"}),
    ],
)
def test_nothing_is_imported_because_a_given_file_names_it(
    command: str, option: str, value: object, place: Path, make_shards: MakeShards
) -> None:
    (place / "harmless.py").touch()  # with it the working directory is on the path
    group, _, key = option.partition(".")
    (place / "given.yaml").write_text(yaml.safe_dump({group: {key: value}}))
    whole = (
        fit_options(make_shards(20, d_model=16)[0], place / "run")
        if command == "fit"
        else options(place / "recorded", folder(place))
    )
    argv = [*(one for one in whole if not one.startswith(f"--{option}")), "--config=given.yaml"]
    status, _, err = saev([*argv, "--import=harmless"], place)
    assert status == 1
    assert "trap.Trap: nothing is imported because a file names it: add --import MODULE" in one_line(err)
    assert not (place / "sprung").exists()
    saev([*argv, "--import=trap"], place)
    assert (place / "sprung").exists(), "the trap works"


def test_a_backbone_is_nothing_of_pythons_own_library(place: Path) -> None:
    status, out, err = saev(options(place / "recorded", folder(place), "--model.family=os.system"), place)
    assert (status, out) == (1, "")
    assert one_line(err).endswith(
        "--model.family os.system: nothing of Python's own library is taken, whoever names it"
    )


@pytest.mark.slow
def test_nothing_is_imported_because_a_file_names_it(place: Path, make_shards: MakeShards) -> None:
    shards = make_shards(
        20,
        d_model=16,
        source={"class": "trap.Trap", "args": {}},
        preprocessing={"library": "trap.Trap", "config": {}},
        model={"family": "trap.Trap", "ckpt": "x", "weights_digest": "0" * 64, "precision": "float32"},
    )[0]
    write_pictures(place / "pictures")
    run = place / "run"
    # The working directory is on the path: what is imported here is a choice.
    look = ["--import=harmless", "--trainer.accelerator=cpu", f"--run_dir={run}", f"--data.shards={shards}"]
    (place / "harmless.py").write_text("")
    status, _, err = saev([*fit_options(shards, run), "--import=harmless"], place)
    assert status == 0, err
    sae, path = only(run, "saes/*"), run / "config.yaml"
    whole: dict[str, Any] = yaml.safe_load(path.read_text())
    trap = {"class_path": "trap.Trap"}
    for section, value in (
        ("model", {"sae": trap}),
        ("trainer", {"callbacks": [trap]}),
        ("visualizer", trap),
        ("data", trap),
    ):
        path.write_text(yaml.safe_dump({**whole, section: {**whole[section], **value}}))
        saev(["test", *look], place)
        saev(["render", *look], place)
    path.write_text(yaml.safe_dump(whole))
    weights = ["--weights=random", "--import=harmless"]
    status, _, err = saev(["downstream", f"--sae={sae}", "--images=pictures", "--k=2", "--out=x.json", *weights], place)
    assert status == 1
    assert "names the preprocessing 'trap.Trap', known are open_clip, timm" in one_line(err)
    saev(["shards", "info", str(shards), "--import=harmless"], place)
    config = json.loads((sae / "config.json").read_text())
    (sae / "config.json").write_text(json.dumps({**config, "architecture": "trap.Trap"}))
    status, _, err = saev(["test", *look], place)
    assert status == 1
    assert "names the architecture 'trap.Trap', known are " in one_line(err)
    assert not (place / "sprung").exists()
    assert saev(["test", "--import=trap", *look], place)[0] == 1
    assert (place / "sprung").exists(), "the trap works"


@pytest.mark.slow
def test_two_processes_train_an_architecture_of_ones_own_as_one_does(place: Path, make_shards: MakeShards) -> None:
    shards = make_shards(51, d_model=16, acts=sparse_acts(51, 7))[0]
    one, two = place / "one", place / "two"
    (place / "own.yaml").write_text("model: {sae: {class_path: shrunk.Shrunk, init_args: {shift: 0.2}}}\n")
    own = ["--import=./shrunk.py", "--config=own.yaml"]
    for run, more in ((one, []), (two, TWO)):
        status, out, err = saev(fit_options(shards, run, *more, sae=own), place)
        assert (status, out) == (0, f"{run}\n"), err
    assert_close(weights(two), weights(one))
    config = json.loads((only(two, "saes/*") / "config.json").read_text())
    assert (config["architecture"], config["shift"], config["d_sae"]) == ("Shrunk", 0.2, 48)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--model.sae.k=7"], {"d_sae": 16_384, "k": 7}),
        (["--model.sae=Shrunk"], {"d_sae": 48, "shift": 0.1}),
        (["--model.sae", "Shrunk", "--model.sae.d_sae=50"], {"d_sae": 50, "shift": 0.1}),
        (["--config=other.yaml"], {"d_sae": 16_384, "k": 32}),
    ],
)
def test_an_architecture_of_ones_own_has_its_own_defaults(
    place: Path, given: list[str], expected: dict[str, object]
) -> None:
    (place / "other.yaml").write_text("model: {lr: 0.002}\n")
    argv = ["fit", "--import=./shrunk.py", "--data.shards=SHARDS", "--run_dir=RUN", *given, "--print_config"]
    status, out, err = saev(argv, place)
    assert status == 0, err
    assert yaml.safe_load(out)["model"]["sae"]["init_args"] == expected


LOADS = "import sys, saev\nprint(saev.load(sys.argv[1]).options())\n"


@pytest.mark.slow
def test_an_installed_package_offers_its_classes(
    tmp_path: Path, make_shards: MakeShards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In new interpreters: the process that forks has asked the packages before."""
    site, run = tmp_path / "site", tmp_path / "run"
    information = site / "their_saes-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-saes\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[saev.architectures]\nShrunk = their_saes:Shrunk\n")
    (site / "their_saes.py").write_text(SHRUNK)
    (site / "loads.py").write_text(LOADS)
    monkeypatch.syspath_prepend(site)
    shards = make_shards(20, d_model=16)[0]
    sae = ["--model.sae=Shrunk"]
    status, _, err = finish(start_interpreter(fit_options(shards, run, sae=sae)))
    assert status == 0, err
    status, out, err = finish(start_interpreter([str(only(run, "saes/*"))], module="loads"))
    assert (status, out) == (0, "{'d_sae': 48, 'shift': 0.1}\n"), err
