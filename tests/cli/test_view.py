"""`saev view` as a process, on a real run."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tests.cli.fitting import one_line, only
from tests.cli.recording import noise
from tests.cli.viewing import ask, make_run, viewing
from tests.cli.zygote import environment

import saev
from saev.artifacts import Provenance, RunDirectory
from saev.cli.main import main
from saev.errors import InputError
from saev.serving.live_gallery import LiveGallery
from saev.serving.open_run import open_saes
from saev.serving.server import GalleryServer

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("view"))


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
        assert answer["after"] != answer["before"]
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
        (["--codes=/nowhere"], "/nowhere holds no codes.json: give a directory that `saev encode` printed"),
        (["--codes=/nowhere", "--n_images=0"], "--n_images 0 compares with no recorded images: leave out --codes"),
        (["--sae=/nowhere/elf"], "holds no gallery elf, but topk"),
        (["--sae=/nowhere/elf", "--sae=/else/elf"], "--sae /nowhere/elf and /else/elf have one name"),
        (["--sae", "[/nowhere/elf, /else/elf]"], "--sae /nowhere/elf and /else/elf have one name"),
    ],
)
def test_wrong_options_are_one_line(run_dir: Path, more: list[str], said: str, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["view", f"--run_dir={run_dir}", "--port=0", "--device=cpu", *more]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in one_line(err)


@pytest.fixture(scope="module")
def codes(run_dir: Path) -> Path:
    """The codes of the run's SAE on its shards."""
    shards = only(run_dir.parent, "shards/*-layer04-*")
    named = [f"--sae={only(run_dir, 'saes/*')}", f"--shards={shards}", f"--out={run_dir.parent / 'codes'}"]
    assert main(["encode", *named, "--device=cpu"]) == 0
    return run_dir.parent / "codes"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a server would answer with, once a command has run."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(GalleryServer, "serve_forever", lambda self: found.update(self.live))
    monkeypatch.setattr(LiveGallery, "finish", lambda self: None)  # they are asked after the end
    return found


def neighbours(live: LiveGallery, picture: Path) -> Any:
    edit = {"picture": live.look(picture.read_bytes())["id"], "factors": [], "k": 6}
    return live.edit(json.dumps(edit).encode())["before"]


def test_saved_codes_take_the_place_of_encoding(
    run_dir: Path, codes: Path, served: dict[str, Any], capsys: Capture
) -> None:
    picture = next((run_dir.parent / "pictures" / "cat").iterdir())
    argv, found = ["view", f"--run_dir={run_dir}", "--port=0", "--device=cpu", "--weights=random"], []
    for more in ([], [f"--codes={codes}"]):
        assert main([*argv, *more]) == 0
        (live,) = served.values()
        found.append(neighbours(live, picture))
    assert found[0] == found[1]
    file = only(codes, "*.safetensors")
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        capsys.readouterr()
        assert main([*argv, f"--codes={codes}"]) == 1  # they are read
        assert "damaged" in one_line(capsys.readouterr().err)
    finally:
        file.write_bytes(whole)


def test_codes_of_another_sae_are_refused(run_dir: Path, codes: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "codes" / "codes.json"
    shutil.copytree(codes, tmp_path / "codes")
    written = json.loads(file.read_text())
    written["sae"]["digest"] = "0" * 64
    file.write_text(json.dumps(written))
    capsys.readouterr()
    argv = ["view", f"--run_dir={run_dir}", "--port=0", "--device=cpu", "--weights=random"]
    assert main([*argv, f"--codes={tmp_path / 'codes'}"]) == 1
    assert re.search(r"codes: of an SAE with the digest 0{64}, topk-.* have ", one_line(capsys.readouterr().err))


@pytest.mark.parametrize("as_list", [False, True])
def test_several_saes_lie_elsewhere(
    as_list: bool, several: tuple[Path, list[Path]], run_dir: Path, served: dict[str, Any], capsys: Capture
) -> None:
    out, saes = several
    named = [f"--sae=[{', '.join(map(str, saes))}]"] if as_list else [f"--sae={sae}" for sae in saes]
    shards = only(run_dir.parent, "shards/*-layer04-*")
    argv = ["view", f"--run_dir={out}", "--port=0", "--device=cpu", "--weights=random", f"--shards={shards}"]
    assert main([*argv, *named]) == 0, capsys.readouterr().err
    picture = next((run_dir.parent / "pictures" / "cat").iterdir())
    assert [len(neighbours(served[sae.name], picture)) for sae in saes] == [6, 6]
    assert main([*argv, named[0]]) == 0
    assert as_list or "where it lies elsewhere, give --sae DIR" in served[saes[1].name]


@pytest.fixture(scope="module")
def several(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A directory with the galleries of two SAEs, of which one says which tokens it takes, and those SAEs."""
    root, shards = tmp_path_factory.mktemp("several"), only(run_dir.parent, "shards/*-layer04-*")
    for name, known in (("one", Provenance()), ("two", Provenance(tokens="cls"))):
        saev.save(saev.TopK(d_in=64, d_sae=16, k=2), root / name, known)
        argv = ["render", f"--sae={root / name}", f"--data.shards={shards}", f"--out={root / 'out'}"]
        assert main([*argv, "--trainer.accelerator=cpu", "--visualizer.n_latents=1"]) == 0
    return root / "out", [root / "one", root / "two"]


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
    assert "(required, type: path)" in text
    assert "Path" not in text
    for name in ("run_dir", "port", "weights", "device", r"shards\+", "n_images"):
        assert re.search(rf"--{name} [A-Z_]+ [a-zA-Z]", text), name
    assert re.search(r"--open, --no_open [a-z]", text)
