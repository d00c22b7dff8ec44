"""A disk that is full before the start, at the reservation or on the way: one line, no signal, and nothing is lost."""

import re
from pathlib import Path

import pytest
from tests.cli.disks import PAGE, Disk, disk
from tests.cli.recording import contents_of, folder, options, write_pictures
from tests.cli.zygote import finish, start

__all__ = ["disk"]
N_PICTURES = 5
PAGES_A_SHARD = -(-101 * 64 * 4 // PAGE)  # one picture of timm's test model in float32


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), N_PICTURES)


def command(out: Path, pictures: Path) -> list[str]:
    """Record one layer, one picture a shard."""
    return options(out, folder(pictures), "--writer.n_patches_per_shard=101", "--data.batch_size=1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_pages", "said", "n_whole"),
    [
        (N_PICTURES * PAGES_A_SHARD - 5, "has .* free, but the recording needs .*--writer.dump_to", 0),
        (
            N_PICTURES * PAGES_A_SHARD - 1,
            r"No space left on device.* \(\d+ bytes\)( or more)? are needed, .* \(\d+ bytes\) are free",
            0,
        ),
        (
            N_PICTURES * PAGES_A_SHARD + 1,
            r"No space left on device.* \(\d+ bytes\)( or more)? are needed, .* \(\d+ bytes\) are free",
            0,
        ),
        (
            N_PICTURES * PAGES_A_SHARD + 7,
            r"No space left on device.* \(\d+ bytes\)( or more)? are needed, .* \(\d+ bytes\) are free",
            2,
        ),
    ],
    ids=["before", "at the reservation", "at the first shard", "at a later shard"],
)
def test_a_full_disk(n_pages: int, said: str, n_whole: int, disk: Disk, pictures: Path, tmp_path: Path) -> None:
    out = disk(n_pages)
    argv = command(out, pictures)
    status, printed, err = finish(start(argv))
    assert (status, printed) == (1, ""), err
    last = err.splitlines()[-1]
    assert last.startswith("saev predict: error: ")
    assert re.search(said, last), last
    assert str(out) in last
    assert "Traceback" not in err
    assert len(list(out.glob(".*.partial/acts*.json"))) == n_whole
    if not n_whole:
        assert list(out.iterdir()) == []
    disk(1000)
    status, _, err = finish(start(argv))
    assert status == 0, err
    status, _, err = finish(start(command(tmp_path / "large", pictures)))
    assert status == 0, err
    assert contents_of(out) == contents_of(tmp_path / "large")


@pytest.mark.slow
def test_a_limit_on_the_size_of_files(pictures: Path, tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))"
    status, printed, err = finish(start(command(tmp_path / "out", pictures), limit))
    assert (status, printed) == (1, "")
    assert "File too large" in err.splitlines()[-1]
    assert "raise the limit on file sizes (ulimit -f)" in err.splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []
