"""Several processes record the bytes of one, however they are started."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.cli.processes import Tree, tree
from tests.cli.recording import folder, options, recorded, write_pictures
from tests.cli.zygote import finish, start, start_interpreter

pytestmark = pytest.mark.slow

TWO = "--trainer.devices=2"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), 13)


def command(out: Path, pictures: Path, *more: str) -> list[str]:
    """Record two layers in 5 shards of 3 pictures, the last one has 1; later options win."""
    return options(out, folder(pictures), "--model.layers=[1,2]", "--writer.n_patches_per_shard=303", *more)


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """What one process records."""
    out = tmp_path_factory.mktemp("alone")
    status, _, err = finish(start(command(out, pictures)))
    assert status == 0, err
    return tree(out)


def printed_once(out: Path, printed: str) -> None:
    """All that a command prints: its two directories."""
    assert printed.splitlines() == sorted(map(str, out.iterdir()))
    assert len(printed.splitlines()) == 2


@pytest.mark.parametrize(("n", "workers"), [(2, 2), (3, 0)])
def test_any_number_of_processes_records_the_same(
    n: int, workers: int, pictures: Path, alone: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = command(tmp_path, pictures, f"--trainer.devices={n}", f"--data.num_workers={workers}")
    status, printed, err = finish(start(argv))
    assert status == 0, err
    assert tree(tmp_path) == alone
    printed_once(tmp_path, printed)
    lines = [line for line in err.splitlines() if line and "images/s" not in line]
    assert lines[-1] == f"{n} processes record 5 whole shards: at most {-(-5 // n)} each", err
    # There is nothing to do, so no other process is started.
    assert [str(path) for path in recorded(argv, capsys)] == printed.splitlines()
    assert tree(tmp_path) == alone


def test_processes_without_any_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = write_pictures(tmp_path / "one picture", 1)
    one, three = tmp_path / "one", tmp_path / "three"
    recorded(command(one, pictures), capsys)
    ended = list(together(command(three, pictures, "--trainer.devices=3"), [elastic(i, 3) for i in range(3)]))
    assert [status for status, _, _ in ended] == [0, 0, 0], ended
    assert tree(three) == tree(one)
    printed_once(three, ended[0][1])
    assert not any("Warning" in err for _, _, err in ended)


def test_torchrun(pictures: Path, alone: Tree, tmp_path: Path) -> None:
    more = ["--nproc_per_node=2", f"--master_port={free_port()}", "-m", "saev", *command(tmp_path, pictures, TWO)]
    status, printed, err = finish(start_interpreter(more, module="torch.distributed.run"))
    assert status == 0, err
    assert tree(tmp_path) == alone
    printed_once(tmp_path, printed)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def elastic(number: int, n: int) -> dict[str, str]:
    """What torchrun tells a process."""
    ranks = dict.fromkeys(("RANK", "LOCAL_RANK", "ROLE_RANK"), number)
    sizes = dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE"), n)
    run = {"TORCHELASTIC_RUN_ID": "1", "TORCHELASTIC_USE_AGENT_STORE": False, "GROUP_RANK": 0}
    return {name: str(value) for name, value in (ranks | sizes | run).items()}


def slurm(number: int) -> dict[str, str]:
    """What Slurm tells a task, of two on a node."""
    job = {"NTASKS": 2, "NTASKS_PER_NODE": 2, "NNODES": 1, "NODEID": 0, "JOB_ID": 1234, "NODELIST": "127.0.0.1"}
    job |= {"PROCID": number, "LOCALID": number, "JOB_NAME": "record"}
    return {f"SLURM_{name}": str(value) for name, value in job.items()}


def node(number: int) -> dict[str, str]:
    """What is set by hand on each of two machines."""
    return {"NODE_RANK": str(number), "WORLD_SIZE": "2"}


def together(argv: Sequence[str], variables: Sequence[Mapping[str, str]]) -> Iterator[tuple[int, str, str]]:
    """Run a command in processes that find each other by their variables."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [start(list(argv), **place, **each) for each in variables]
    try:
        for process in processes:
            yield finish(process)
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize(
    ("variables", "more"),
    [
        ([slurm(0), slurm(1)], [TWO]),
        ([node(0), node(1)], ["--trainer.num_nodes=2"]),
    ],
    ids=["slurm", "two machines"],
)
def test_processes_that_others_start(
    variables: list[dict[str, str]], more: list[str], pictures: Path, alone: Tree, tmp_path: Path
) -> None:
    first, second = together(command(tmp_path, pictures, *more), variables)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert tree(tmp_path) == alone
    printed_once(tmp_path, first[1])
    assert second[1] == ""


@pytest.mark.parametrize(
    ("variables", "more", "said"),
    [
        ({**slurm(0), "SLURM_NTASKS_PER_NODE": "3"}, TWO, "--ntasks-per-node=3"),
        ({"LOCAL_WORLD_SIZE": "2"}, "--trainer.devices=1", "2 processes were started here"),
    ],
)
def test_another_number_of_processes_was_started(
    variables: dict[str, str], more: str, said: str, pictures: Path, tmp_path: Path
) -> None:
    status, printed, err = finish(start(command(tmp_path, pictures, more), **variables))
    assert (status, printed) == (1, "")
    assert err.splitlines()[-1].startswith("saev predict: error: ")
    assert said in err.splitlines()[-1]
    assert not list(tmp_path.iterdir())
