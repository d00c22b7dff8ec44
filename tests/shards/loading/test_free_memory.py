"""Which of the bounds that a system names holds."""

from pathlib import Path

import pytest

from saev.free_memory import free_memory

GIB = 2**30


def system(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """The files of a machine with 8 GiB to spare, whose process is in a cgroup."""
    everything = {
        "proc/meminfo": f"MemTotal: {16 * 2**20} kB\nMemAvailable: {8 * 2**20} kB\nHugePages_Total: 0\n",
        "proc/self/cgroup": cgroup,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }
    for name, text in everything.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def bounded(place: str, limit: object, usage: int, cache: int = 0) -> dict[str, str]:
    names = {"memory.max": limit, "memory.current": usage, "memory.stat": f"anon 5\ninactive_file {cache}"}
    return {place + name: f"{value}\n" for name, value in names.items()}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8 * GIB),
        (bounded("a/b/", "max", GIB), 8 * GIB),
        (bounded("a/b/", 4 * GIB, GIB), 3 * GIB),
        (bounded("a/b/", 4 * GIB, 3 * GIB, 2 * GIB), 3 * GIB),
        (bounded("a/b/", 4 * GIB, 5 * GIB), 0),
        (bounded("a/b/", 64 * GIB, GIB), 8 * GIB),
        ({**bounded("a/b/", 6 * GIB, GIB), **bounded("a/", 4 * GIB, 2 * GIB)}, 2 * GIB),
        (bounded("", 2 * GIB, GIB), GIB),
        (bounded("a/b/", "nonsense", GIB), 8 * GIB),
    ],
    ids=["none", "unbounded", "own", "cached files", "over", "beyond the machine", "above", "mount", "nonsense"],
)
def test_the_least_bound_holds(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    root = system(tmp_path, "0::/a/b\n", files)
    assert free_memory(root) == (expected, "this machine" if expected == 8 * GIB else "this cgroup")


def test_the_older_cgroups(tmp_path: Path) -> None:
    names = {"limit_in_bytes": str(4 * GIB), "usage_in_bytes": str(3 * GIB), "stat": f"total_inactive_file {GIB}\n"}
    files = {f"memory/jobs/7/memory.{name}": text for name, text in names.items()}
    root = system(tmp_path, "5:cpu,memory:/jobs/7\n4:pids:/jobs\n0::/\n", files)
    assert free_memory(root) == (2 * GIB, "this cgroup")


def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="meminfo"):
        free_memory(tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 5 kB\n")
    with pytest.raises(ValueError, match="MemAvailable"):
        free_memory(tmp_path)


def test_this_system() -> None:
    assert free_memory()[0] > 0
