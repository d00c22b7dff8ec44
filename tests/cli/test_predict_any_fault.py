"""A fault at every single call to the operating system: nothing is taken for whole that is not, and nothing is lost."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.faulty import ERRORS
from tests.cli.fitting import environment
from tests.cli.recording import contents_of, options, write_pictures

from saev.shards.reading.verify import faults

pytestmark = pytest.mark.slow

LAYERS = [1, 2]


@pytest.fixture(scope="module")
def argv(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Records two layers of three pictures with masks, two pictures a shard, one a batch."""
    root = tmp_path_factory.mktemp("pictures")
    for path in write_pictures(root / "images", 3).rglob("*.png"):
        mask = root / "masks" / path.relative_to(root / "images")
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 48), 3, np.uint8)).save(mask)
    source = ["--data.images=SegmentationFolder", f"--data.images.root={root}"]
    more = [f"--model.layers={LAYERS}", "--writer.n_patches_per_shard=202", "--data.batch_size=1"]
    return [part.replace("OUT", "{out}") for part in options(Path("OUT"), source, *more)]


def run_all(fault: str, outs: list[Path], argv: list[str], at: int = 0, step: int = 1) -> list[tuple[int, int]]:
    """Exit status and number of calls of a run for each directory; the n-th one has a fault at call at + n step."""
    command = [sys.executable, "-m", "tests.cli.faulty", fault, str(at), str(step), *map(str, outs), "--", *argv]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return [(int(status), int(n)) for status, n in (line.split() for line in done.stdout.splitlines())]


@pytest.fixture(scope="module")
def undisturbed(argv: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    ((status, _),) = run_all("none", [out], argv)
    assert status == 0, Path(f"{out}.log").read_text()
    assert len(list(out.iterdir())) == len(LAYERS)
    return out


def said(out: Path) -> str:
    """What the last run for a directory printed."""
    return Path(f"{out}.log").read_text()


def check_nothing_is_taken_for_whole(out: Path, undisturbed: Path) -> None:
    """What has a final name is whole; all else is hidden."""
    for path in out.glob("[!.]*"):
        assert faults(path) == []
        assert contents_of(path) == contents_of(undisturbed / path.name)


@pytest.mark.parametrize(
    ("fault", "layers", "step", "status"),
    [
        ("SIGKILL", 1, 1, -9),
        ("SIGKILL", 2, 7, -9),
        ("SIGTERM", 2, 9, 143),
        ("SIGINT", 1, 5, 130),
        ("EIO", 1, 1, 1),
        ("ENOSPC", 1, 1, 1),
    ],
)
def test_a_fault_at_any_call(
    fault: str, layers: int, step: int, status: int, argv: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    argv = [*argv, f"--model.layers={LAYERS[:layers]}"]
    ((_, n_calls),) = run_all(fault, [tmp_path / "counted"], argv, at=10**9)
    assert n_calls > 15
    numbers = range(0, n_calls, step)
    outs = [tmp_path / str(number) for number in numbers]
    for out, (found, _) in zip(outs, run_all(fault, outs, argv, step=step), strict=True):
        # A signal that comes at the very end may find all done.
        assert found == status or (fault in ("SIGTERM", "SIGINT") and found == 0), said(out)
        assert "Traceback" not in said(out), said(out)
        if fault in ERRORS:
            line = said(out).splitlines()[-1]
            assert re.search(r"\(\d+ bytes\)( or more)? are needed, .* \(\d+ bytes\) are free: ", line), line
        check_nothing_is_taken_for_whole(out, undisturbed)
    for out, (found, _) in zip(outs, run_all("none", outs, argv), strict=True):
        assert found == 0, said(out)
        assert len(list(out.iterdir())) == layers, out
        check_nothing_is_taken_for_whole(out, undisturbed)
