"""FIFOs and devices in place of files that commands read: one line, and nobody waits for them."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, only
from tests.cli.recording import folder, options, write_pictures
from tests.conftest import MakeShards
from tests.tiny_models import tiny_open_clip

from saev.cli.main import main

__all__ = ["tiny_open_clip"]

Capture = pytest.CaptureFixture[str]
ODD: dict[str, Callable[[Path], object]] = {"FIFO": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero")}
odd = pytest.mark.parametrize("kind", ODD)


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """Whoever waits for a FIFO, or reads a device to its end, fails instead of waiting for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError("something waits for a file")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(n_examples=20)[0]


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a gallery."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main(fit_options(shards, run_dir, "--visualizer.n_latents=0", "--data.val_share=0.2")) == 0
    return run_dir


def refused(argv: list[str], said: str, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    # A progress bar may stand before it.
    assert said in err.splitlines()[-1].rpartition("\r")[2].partition(f"saev {argv[0]}: error: ")[2]


@odd
@pytest.mark.parametrize(
    "option", ["--config", "-c", "--data.examples", "--data", "--visualizer.vocabulary", "--model.sae", "--trainer"]
)
def test_files_given_to_fit(option: str, kind: str, shards: Path, tmp_path: Path, capsys: Capture) -> None:
    ODD[kind](tmp_path / "odd")
    given = ["-c", str(tmp_path / "odd")] if option == "-c" else [f"{option}={tmp_path / 'odd'}"]
    argv = [*fit_options(shards, tmp_path / "run"), "--visualizer.namer=tiny-ViT/laion", *given]
    refused(argv, "/odd: is no regular file", capsys)


@odd
@pytest.mark.parametrize("option", ["--config", "--model.weights", "--data.images"])
def test_files_given_to_predict(option: str, kind: str, tmp_path: Path, capsys: Capture) -> None:
    ODD[kind](tmp_path / "odd")
    argv = options(tmp_path / "out", folder(write_pictures(tmp_path / "p", 2)), f"{option}={tmp_path / 'odd'}")
    refused(argv, "/odd: is no regular file", capsys)


def piped(argv: list[str], place: str, text: str) -> int:
    """The status of a command whose --config is what a shell makes of <(...)."""
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    status = main([*argv, f"--config={place}/{read}"])
    os.close(read)
    return status


@pytest.mark.parametrize("place", ["/dev/fd", "/proc/self/fd"])
def test_a_pipe_that_the_shell_made_is_read(place: str, tmp_path: Path, capsys: Capture) -> None:
    argv = options(tmp_path / "out", folder(write_pictures(tmp_path / "p", 2)))
    assert piped(argv, place, "data: {batch_size: -7}") == 1
    assert "batch_size=-7 must be 1 or more" in capsys.readouterr().err
    refused([*argv, f"--config={place}/99"], f"--config {place}/99: only one process gets the", capsys)


def test_an_enormous_file_of_options(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 2**24 + 1)
    argv = options(tmp_path / "out", folder(write_pictures(tmp_path / "p", 2)), f"--config={tmp_path / 'huge'}")
    refused(argv, "/huge: has 16777217 bytes or more, at most 16777216 are read", capsys)


@odd
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("config.yaml", "test"),
        ("saes/*/config.json", "test"),
        ("saes/*/sae.safetensors", "test"),
        ("saes/*/metrics.json", "validate"),
    ],
)
def test_files_of_a_run(name: str, command: str, kind: str, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    run_dir = shutil.copytree(finished, tmp_path / "run")
    path = only(run_dir, name)
    path.unlink()
    ODD[kind](path)
    said = "holds no config.yaml" if name == "config.yaml" else f"{path.name}: is no regular file"
    refused([command, f"--run_dir={run_dir}"], said, capsys)


@odd
def test_an_sae_and_weights_given_to_downstream(kind: str, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    sae = shutil.copytree(only(finished, "saes/*"), tmp_path / "sae")
    argv = [f"--images={write_pictures(tmp_path / 'p')}", f"--out={tmp_path / 'out.json'}", "--device=cpu", "--k=1"]
    ODD[kind](tmp_path / "odd")
    refused(["downstream", f"--sae={sae}", *argv, f"--weights={tmp_path / 'odd'}"], "/odd: is no regular file", capsys)
    (sae / "config.json").unlink()
    ODD[kind](sae / "config.json")
    refused(["downstream", f"--sae={sae}", *argv], "config.json: is no regular file", capsys)


@odd
def test_weights_of_a_namer(kind: str, shards: Path, tmp_path: Path, capsys: Capture) -> None:
    ODD[kind](tmp_path / "odd.pt")
    more = ["--visualizer.namer=tiny-ViT/laion", f"--visualizer.namer_weights={tmp_path / 'odd.pt'}"]
    refused([*fit_options(shards, tmp_path / "run"), *more], "/odd.pt: is no regular file", capsys)
