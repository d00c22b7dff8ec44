"""`saev view` as a process, on a real run."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tests.cli.fitting import fit_options, one_line, only
from tests.cli.recording import folder, noise, options, write_pictures
from tests.cli.zygote import Command, environment, start

from saev.artifacts import RunDirectory
from saev.cli.main import main
from saev.errors import InputError
from saev.serving.open_run import open_saes

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("view")
    argv = options(root / "shards", folder(write_pictures(root / "pictures", 6)), "--model.image_size=32")
    assert main(argv) == 0
    fit = fit_options(only(root, "shards/*-layer04-*"), root / "run", "--data.n_tokens=640", "--data.batch_size=16")
    assert main([*fit, "--data.val_share=0"]) == 0
    return root / "run"


@contextmanager
def viewing(*argv: str) -> Iterator[tuple[Command, str]]:
    """A process that serves, and its address."""
    process = start(["view", "--port=0", "--device=cpu", *argv])
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        address = process.stdout.readline().decode()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\n", address), process.stderr.readall()
        yield process, address.strip()
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def ask(address: str, body: bytes | None = None) -> Any:
    """JSON from a running server."""
    origin = "/".join(address.split("/")[:3])
    request = urllib.request.Request(address, body, {"Origin": origin} if body is not None else {})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())


@pytest.mark.parametrize(("ending", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_picture_is_looked_at_and_edited(run_dir: Path, ending: signal.Signals, status: int) -> None:
    with viewing(f"--run_dir={run_dir}", "--weights=random") as (process, address):
        with urllib.request.urlopen(address, timeout=60) as response:
            gallery = response.url
        assert gallery == f"{address}{only(run_dir, 'features/*').name}/"
        state = ask(f"{gallery}live/state")
        assert (state["reason"], state["neighbours"], state["nRecorded"]) == (None, None, 6)
        picture = next((run_dir.parent / "pictures" / "cat").iterdir())
        found = ask(f"{gallery}live/pictures", picture.read_bytes())
        latent = found["strongest"][0][0]
        edit = {"picture": found["id"], "factors": [[latent, 0]], "k": 3}
        answer = ask(f"{gallery}live/edits", json.dumps(edit).encode())
        assert answer["before"][0][1:] == [f"cat/{picture.name}", pytest.approx(1, abs=1e-3)]
        assert answer["cosine"] < 1
        process.send_signal(ending)
        out, err = process.communicate(timeout=30)
        assert process.returncode == status
        assert out == ""
        assert one_line(err).startswith("saev view: ")


def test_without_weights_and_shards_the_gallery_is_served(run_dir: Path, tmp_path: Path) -> None:
    moved = tmp_path / "run"
    for name in ("saes", "features"):  # there is no config.yaml
        shutil.copytree(run_dir / name, moved / name)
    config = only(moved, "saes/*/config.json")
    about = json.loads(config.read_text())
    about["about"]["trained_on"]["model"]["ckpt"] = "unknown"
    config.write_text(json.dumps(about))
    with viewing(f"--run_dir={moved}") as (process, address):
        with urllib.request.urlopen(address, timeout=60) as response:
            assert b'<meta name="saev-live" content="yes">' in response.read()
            gallery = response.url
        assert "does not say which ViT" in ask(f"{gallery}live/state")["reason"]
        with pytest.raises(urllib.error.HTTPError, match="503"):
            ask(f"{gallery}live/pictures", b"x")
        process.terminate()
        err = process.communicate(timeout=30)[1]
    assert "no neighbours: " in err
    assert "no live inference: " in err


def test_pictures_are_looked_at_where_the_shards_are_gone(run_dir: Path, tmp_path: Path) -> None:
    moved = tmp_path / "run"
    shutil.copytree(run_dir, moved)
    config = moved / "config.yaml"
    config.write_text(config.read_text().replace(str(run_dir.parent / "shards"), "/nowhere"))
    with viewing(f"--run_dir={moved}", "--weights=random") as (_, address):
        with urllib.request.urlopen(address, timeout=60) as response:
            gallery = response.url
        state = ask(f"{gallery}live/state")
        assert state["reason"] is None
        assert "/nowhere" in state["neighbours"]
        assert "--shards" in state["neighbours"]
        picture = run_dir.parent / "own.png"
        noise(99).save(picture)
        assert ask(f"{gallery}live/pictures", picture.read_bytes())["strongest"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--run_dir=/nowhere"], "/nowhere does not exist: give the directory of a run"),
        (["--port=-1"], "--port -1 must be from 0 to 65535"),
        (["--port=99999"], "--port 99999 must be from 0 to 65535"),
        (["--n_images=-1"], "--n_images -1 must be 0 or more"),
        (["--device=abacus"], "--device abacus cannot be used here, cpu"),
        (["--device=meta"], "--device meta cannot be used here"),
        (["--device=hpu"], "--device hpu cannot be used here"),
        (["--device=mkldnn"], "--device mkldnn cannot be used here"),
        (["--device=cuda:99"], "--device cuda:99 cannot be used here"),
        (["--device="], "--device cannot be used here"),
        (["--shards=/nowhere"], "/nowhere"),
        (["--weights=/nowhere.pt"], "/nowhere.pt"),
        (["--ports=3"], "did you mean --port"),
    ],
)
def test_wrong_options_are_one_line(run_dir: Path, more: list[str], said: str, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["view", f"--run_dir={run_dir}", "--port=0", "--device=cpu", *more]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in one_line(err)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(run_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(run_dir, tmp_path / "run")
    for file in (tmp_path / "run" / "config.yaml", only(tmp_path / "run", "features/*/data/overview.js")):
        file.unlink()
        os.mkfifo(file)
    with pytest.raises(InputError, match=r"config.yaml: is no regular file"):
        RunDirectory(tmp_path / "run").shards()
    (reason,) = open_saes(RunDirectory(tmp_path / "run")).values()
    assert re.search("overview.js: is no regular file: `saev render --run_dir .*` makes the gallery anew", str(reason))


def test_a_taken_port_is_said_at_once(run_dir: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["view", f"--run_dir={run_dir}", f"--port={port}", "--weights=random"]) == 1
    assert re.search(rf"--port {port} .*give another one", one_line(capsys.readouterr().err))


def test_an_sae_that_was_trained_anew_has_no_live_gallery(run_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(run_dir, tmp_path / "run")
    weights = only(tmp_path / "run", "saes/*/sae.safetensors")
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    (reason,) = open_saes(RunDirectory(tmp_path / "run")).values()
    assert isinstance(reason, str)
    assert "another SAE" in reason
    only(tmp_path / "run", "features/*/data/overview.js").write_text('saevTake({"saeId":"x"});\n')
    (reason,) = open_saes(RunDirectory(tmp_path / "run")).values()
    assert "written by another version" in str(reason)
    only(tmp_path / "run", "features/*/index.html").write_text("<body>old</body>")
    (reason,) = open_saes(RunDirectory(tmp_path / "run")).values()
    assert "page is of another version of saev: `saev render" in str(reason)


def test_help_explains_every_option_without_torch() -> None:
    code = (
        "import sys; from saev.cli.main import main\n"
        "try: main(['view', '--help'])\n"
        "finally: print(sorted({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    *_, last = out.stdout.splitlines()
    assert last == "[]"
    text = " ".join(out.stdout.split())
    for name in ("run_dir", "port", "weights", "device", "shards", "n_images"):
        assert re.search(rf"--{name} [A-Z_]+ [a-zA-Z]", text), name
    assert re.search(r"--open, --no_open [a-z]", text)
