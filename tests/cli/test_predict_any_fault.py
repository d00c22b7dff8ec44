"""A fault at every single call to the operating system: nothing is taken for whole that is not, and nothing is lost."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.faulty import ERRORS
from tests.cli.processes import tree
from tests.cli.recording import contents_of, options, write_pictures
from tests.cli.zygote import finish, start

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


def run(out: Path, argv: list[str], fault: str = "") -> tuple[int, str]:
    """Exit status of a run for a directory, and what it says; the fault is an expression."""
    before = f"from tests.cli.faulty import Fault; {fault}"
    status, _, err = finish(start([part.replace("{out}", str(out)) for part in argv], before))
    return status, err


@pytest.fixture(scope="module")
def undisturbed(argv: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    status, err = run(out, argv)
    assert status == 0, err
    assert len(list(out.iterdir())) == len(LAYERS)
    return out


@pytest.fixture(scope="module")
def resumed() -> set[tuple[int, bytes]]:
    """Numbers of layers and states of directories from which a run has gone on."""
    return set()


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
    fault: str,
    layers: int,
    step: int,
    status: int,
    every: int,
    argv: list[str],
    undisturbed: Path,
    resumed: set[tuple[int, bytes]],
    tmp_path: Path,
) -> None:
    argv = [*argv, f"--model.layers={LAYERS[:layers]}"]
    run(tmp_path / "counted", argv, f"Fault({fault!r}, None).count_into({str(tmp_path / 'n')!r})")
    n_calls = int((tmp_path / "n").read_text())
    assert n_calls > 15
    left = []
    for number in range(0, n_calls, step * every):
        out = tmp_path / str(number)
        found, err = run(out, argv, f"Fault({fault!r}, {number})")
        # A signal that comes at the very end may find all done.
        assert found == status or (fault in ("SIGTERM", "SIGINT") and found == 0), err
        assert "Traceback" not in err, err
        if fault in ERRORS:
            line = err.splitlines()[-1]
            assert re.search(r"\(\d+ bytes\)( or more)? are needed, .* \(\d+ bytes\) are free: ", line), line
        check_nothing_is_taken_for_whole(out, undisturbed)
        if (state := (layers, digest(out))) not in resumed:  # many calls change nothing that the next run could see
            resumed.add(state)
            left.append(out)
    for out in left:
        found, err = run(out, argv)
        assert found == 0, err
        assert len(list(out.iterdir())) == layers, out
        check_nothing_is_taken_for_whole(out, undisturbed)


def digest(out: Path) -> bytes:
    """Of all that a run has left."""
    return hashlib.sha256(repr(sorted(tree(out).items())).encode()).digest() if out.exists() else b""
