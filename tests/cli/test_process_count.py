"""Numbers of processes that cannot be meant are refused, or fewer are started, and no wait is without an end."""

from pathlib import Path

import pytest
import torch
from tests.cli.fitting import fit_options, one_line, sparse_acts
from tests.cli.recording import folder, options, recorded, refused, write_pictures
from tests.cli.zygote import Command, finish, start
from tests.conftest import MakeShards

from saev.cli.main import main
from saev.cli.processes import count
from saev.cli.processes.count import Devices, granted
from saev.cli.runs.lock import contents

Capture = pytest.CaptureFixture[str]
FEW_MINUTES = "import saev.cli.processes.meeting as m; m.MINUTES_TO_MEET = 0.01"


@pytest.fixture(autouse=True)
def three_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "n_cpus", lambda: 3)
    for name in (*count.BY_HAND, "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), 4)


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(20, d_model=16, grid=(3, 4), acts=sparse_acts(20, 13))[0]


@pytest.mark.parametrize(
    ("devices", "n_parts", "left"),
    [(1000, 4, 4), ("1000", 4, 4), (1000, 50, 6), (2, 50, 2), (5, 0, 1), ([0, 1, 2], 2, [0, 1]), ("auto", 4, "auto")],
)
def test_no_more_processes_than_parts_of_the_work_or_two_a_cpu(devices: Devices, n_parts: int, left: Devices) -> None:
    found = granted("cpu", devices, 1, n_parts)
    assert found.devices == left
    assert (found.why is None) == (left == devices)


def test_processes_that_are_there_already_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert granted("cpu", 4, 2, 1).devices == 4  # several machines must not decide differently
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert granted("cpu", 4, 1, 1).devices == 4
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv(count.N_STARTED, "4")  # by a process that found 4 shards, which may be fewer by now
    assert granted("cpu", 1000, 1, 1).devices == 4


def test_a_plan_for_a_thousand_processes_says_how_many_will_do(pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    argv = options(tmp_path, folder(pictures), "--trainer.devices=1000", "--writer.n_patches_per_shard=202")
    assert main([*argv, "--writer.dry_run=true"]) == 0
    said = "--trainer.devices 1000: 2 processes will do, because 2 shards are to be recorded"
    assert said in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("strategy", ["ddp", "ddp_find_unused_parameters_true"])
def test_the_names_of_ddp_record_as_ever(strategy: str, pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    assert recorded(options(tmp_path, folder(pictures), f"--trainer.strategy={strategy}"), capsys)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--trainer.strategy=ddp_spawn", "--trainer.strategy ddp_spawn: .*: give auto or ddp$"),
        ("--trainer.strategy=fsdp", "--trainer.strategy fsdp: .*: give auto or ddp$"),
        ("--trainer.num_nodes=2", "Start the command on each of them: by srun, by torchrun --nnodes 2 .* by hand with"),
    ],
)
def test_what_a_recording_refuses(more: str, said: str, pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    refused(options(tmp_path / "out", folder(pictures), more), capsys, said, tmp_path / "out")


def test_more_gpus_than_there_are(
    pictures: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    argv = options(tmp_path / "out", folder(pictures), "--trainer.accelerator=gpu", "--trainer.devices=1000")
    refused(argv, capsys, "error: --trainer.devices 1000: this machine has 1 GPU$", tmp_path / "out")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--trainer.devices=1000", "error: --trainer.devices 1000: this machine has 3 CPUs for at most 6 processes"),
        ("--trainer.num_nodes=2", "Start the command on each of them"),
    ],
)
def test_what_fit_refuses(more: str, said: str, shards: Path, tmp_path: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(fit_options(shards, tmp_path / "run", "--trainer.strategy=ddp", more)) == 1
    assert said in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def alone(argv: list[str]) -> Command:
    """The first of two machines, whose patience is short."""
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "NODE_RANK": "0"}
    return start([*argv, "--trainer.num_nodes=2"], FEW_MINUTES, **variables)


@pytest.mark.slow
def test_a_machine_that_no_other_joins_waits_no_longer_than_it_says(
    pictures: Path, shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    processes = [
        alone(options(out, folder(pictures))),
        alone(fit_options(shards, tmp_path / "run", "--trainer.strategy=ddp")),
    ]
    for process, place in zip(processes, (out, tmp_path / "run"), strict=True):
        status, printed, err = finish(process)
        assert (status, printed) == (1, ""), err
        assert "machine 1 of 2 waits for all of the 2 processes, at most 0.01 minutes" in err
        assert "error: not all processes have come within 0.01 minutes: start the same command" in one_line(err)
        assert not contents(place)
