"""`saev demo`: the whole way, what it prints, and how it goes on after it was killed."""

import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.cli.fitting import one_line, only
from tests.cli.processes import wait_until
from tests.cli.zygote import start

from saev.cli.main import main
from saev.demo.folder import MARKER, DemoFolder, DemoOptions, Finished
from saev.demo.frozen import frozen
from saev.demo.places import CLAIMS
from saev.demo.steps import Demo
from saev.demo.walk import steps
from saev.latents.naming.names_file import read_names
from saev.probing.hypotheses.reading import read_frozen
from saev.probing.verdicts.files import read_verdicts
from saev.splicing.interventions_file import read_interventions

Capture = pytest.CaptureFixture[str]
SMALL = DemoOptions(n_scenes=300)


def argv(out: Path) -> list[str]:
    """A small demo."""
    return ["demo", f"--out={out}", f"--n_scenes={SMALL.n_scenes}"]


def finished(out: Path) -> list[str]:
    """Names of the steps that are done."""
    marker = out / MARKER
    return [one["name"] for one in json.loads(marker.read_text())["finished"]] if marker.exists() else []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo that was killed while it made the gallery, and not ended yet."""
    out = tmp_path_factory.mktemp("demo") / "out"
    process = start(argv(out))
    wait_until(lambda: "train" in finished(out), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return out


@pytest.mark.slow
def test_a_demo_goes_on_after_a_kill_and_ends_with_figures(small: Path, capsys: Capture) -> None:
    done = finished(small)
    sae = (small / "saes" / "first" / "sae.safetensors").read_bytes()
    assert main(argv(small)) == 0
    out, err = capsys.readouterr()
    assert err.count("was done before") == len(done) >= 2
    assert (small / "saes" / "first" / "sae.safetensors").read_bytes() == sae
    assert len(re.findall(r"^\d+ of 10\. ", err, re.M)) == 10
    assert err.count("  $ saev ") >= 15
    figures, pages = out.split("\n\n")
    assert "grey tiles" not in err
    assert [line.split("  ")[0] for line in figures.splitlines()[1:]] == [
        "values with a latent of AP > .8", "names that are right", "FVU", "dead latents",
        "planted claims judged rightly",
    ]  # fmt: skip
    for line in pages.splitlines():
        assert Path(line.rpartition(": ")[2]).is_file()
    demo = Demo(DemoFolder.at(small, SMALL))
    for one in frozen(demo).claims:
        found = next(its for its in read_verdicts(demo.places.report(one.file)).results if its.id == one.id)
        assert not found.exploratory
        assert (found.verdict == "confirmed") == one.is_true, found.reason  # few scenes reject little
    assert (demo.places.gallery / "data" / "overview.js").read_text().count('"confirmed"') >= 3
    assert main(argv(small)) == 0
    again, said = capsys.readouterr()
    assert again == out
    assert "holds a finished demo already" in said


def test_a_demo_that_lost_files_says_how_to_mend_it(tmp_path: Path, capsys: Capture) -> None:
    folder, mend = DemoFolder(tmp_path, SMALL), f"remove {tmp_path} (chmod -R u+w, then rm -r) and give the same"
    folder.note(Finished("record", 1.0, ["x"], {"shards": "a", "fresh": "b"}))
    assert main(argv(tmp_path)) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "no such directory" in last
    assert f"if files of finished steps are gone, {mend}" in last
    folder.note(Finished("measure", 1.0, ["a figure \x1b[2J"], {}))
    assert main(argv(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert "a figure \\x1b[2J\n" in out
    assert f"{tmp_path}/features/first/index.html is gone: {mend}" in err


@pytest.mark.slow
def test_another_demo_or_none_is_refused_there(small: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine").write_text("x")
    for options, said in (
        (["--out", str(tmp_path)], "is not empty, and no demo of saev"),
        (["--out", str(small), "--n_scenes=400"], "holds a demo made with --n_scenes 300 --seed 0: give these"),
        (["--out", str(tmp_path / "new"), "--n_scenes=9"], "--n_scenes 9: a demo needs 200 scenes or more"),
    ):
        assert main(["demo", *options]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert said in one_line(err)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.daily
def test_all_figures_of_a_demo_are_as_they_should_be(tmp_path: Path, capsys: Capture) -> None:
    assert main(["demo", f"--out={tmp_path / 'out'}"]) == 0
    out, err = capsys.readouterr()
    rows = out.splitlines()[1:6]
    assert not any("missed" in row for row in rows if not row.startswith("names")), out
    right, by_chance = map(int, re.findall(r"(\d+)%(?: of|$)", rows[1]))
    assert right >= 62, out  # 70 were seen
    assert by_chance < 15, out
    moved = re.findall(r"-> (.*): ([\d.]+) before, ([\d.]+) after \(([\d.]+) with random", err)
    assert len(moved) == 3
    for what, *values in moved:
        before, after, random = map(float, values)
        assert (after < min(before, random) - 0.2) == what.endswith("for things of that colour"), moved


@pytest.mark.daily
def test_the_commands_that_a_demo_prints_do_the_same(small: Path, tmp_path: Path) -> None:
    assert main(argv(small)) == 0
    typed = tmp_path / "typed"
    for name in ("saes", "claims", "answers", "pairs", "pictures"):
        shutil.copytree(small / name, typed / name)
    for name in ("scenes.csv", "vocabulary.txt"):
        shutil.copyfile(small / name, typed / name)
    for step in steps(DemoFolder.at(small, SMALL)):
        for line in step.commands():
            assert main([part.replace(str(small), str(typed)) for part in line]) == 0, line
        if step.name == "freeze":
            for name in CLAIMS:
                own, mine = (root / "frozen" / f"{name}.json" for root in (typed, small))
                assert read_frozen(own).hypotheses == read_frozen(mine).hypotheses
                shutil.copyfile(mine, own)  # whose date stands in the answers
    for name in ("first", "second"):
        found = load_file(only(typed, f"run-{name}/saes/*/sae.safetensors"))
        for key, tensor in load_file(typed / "saes" / name / "sae.safetensors").items():
            assert torch.equal(found[key], tensor), key
    for name in CLAIMS:
        of_typed, of_small = (read_verdicts(root / "reports" / name).results for root in (typed, small))
        assert [(one.verdict, one.effect) for one in of_typed] == [(one.verdict, one.effect) for one in of_small]
    assert read_names(typed / "features" / "first").names == read_names(small / "features" / "first").names
    for factor in ("colour", "shape"):
        of_typed, of_small = (read_interventions(root / "interventions" / factor).effects for root in (typed, small))
        assert of_typed == of_small
