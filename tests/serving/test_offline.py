"""What comes from the hub where there is no network, a slow one, or a copy in the cache: every way in."""

import json
import selectors
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import open_clip
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from tests.serving.conftest import CPU
from tests.tiny_models import tiny_open_clip  # noqa: F401 - open_clip knows the tiny CLIP

from saev.cli.main import main
from saev.errors import InputError
from saev.serving.open_run import OpenedSae, open_galleries
from saev.shards.format.strict_json import canonical_digest
from saev.vit import network
from saev.vit.load import load_backbone
from saev.vit.text import load_clip

NOWHERE = "http://127.0.0.1:1"
NO_NETWORK = "127.0.0.1 cannot be reached (Connection refused), and the hub's cache "
COMMIT = "a" * 40


@pytest.fixture(autouse=True)
def hub_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub that is not there."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    network._known.clear()
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def model(tmp_path: Path) -> dict[str, bytes]:
    """The files of a CLIP on the hub."""
    torch.manual_seed(0)
    save_file(open_clip.create_model("tiny-CLIP").state_dict(), tmp_path / "weights")
    config = {"model_cfg": open_clip.get_model_config("tiny-CLIP"), "preprocess_cfg": {}}
    return {
        "open_clip_config.json": json.dumps(config).encode(),
        "open_clip_model.safetensors": (tmp_path / "weights").read_bytes(),
    }


@pytest.mark.parametrize(
    ("family", "ckpt"),
    [("clip", "tiny-CLIP/openai"), ("timm", "test_vit"), ("clip", "hf-hub:a/b"), ("dinov3", "hf-hub:a/b")],
)
def test_predict_says_at_once_that_there_is_no_network(
    tmp_path: Path, shards: Path, capsys: pytest.CaptureFixture[str], family: str, ckpt: str
) -> None:
    model = [f"--model.family={family}", f"--model.ckpt={ckpt}", "--model.layers=[-2]"]
    pictures = ["--data.images=ImageFolder", f"--data.images.root={shards.parent.parent / 'pictures'}"]
    assert main(["predict", *model, *pictures, f"--writer.dump_to={tmp_path / 'out'}"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"cannot get {ckpt}: {NO_NETWORK}" in said
    assert "check the connection, or give --model.weights FILE" in said


def test_a_data_set_of_the_hub_says_so_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("datasets", reason="datasets is not installed")
    model = ["--model.family=timm", "--model.ckpt=test_vit", "--model.weights=random", "--model.layers=[-2]"]
    pictures = ["--data.images=HuggingFaceImages", "--data.images.name=nobody/nothing"]
    assert main(["predict", *model, *pictures, f"--writer.dump_to={tmp_path / 'out'}"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "'nobody/nothing', split 'train', cannot be loaded: 127.0.0.1 cannot be reached (Connection refused)" in said


def test_the_other_commands_say_so_too(
    tmp_path: Path, run_dir: Path, shards: Path, opened: OpenedSae, capsys: pytest.CaptureFixture[str]
) -> None:
    (sae,) = (run_dir / "saes").iterdir()
    pictures = shards.parent.parent / "pictures"
    assert main(["downstream", f"--sae={sae}", f"--images={pictures}", "--k=2", f"--out={tmp_path / 'x.json'}"]) == 1
    assert NO_NETWORK in capsys.readouterr().err
    assert main(["render", f"--run_dir={run_dir}", "--visualizer.namer=tiny-CLIP/openai"]) == 1
    assert NO_NETWORK in capsys.readouterr().err
    (reason,) = open_galleries({"one": opened}, None, CPU, {"one": "no shards"}, InputError("gone")).values()
    assert NO_NETWORK in str(reason)


def test_a_user_who_wants_no_network_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="cannot get hf-hub:a/b: HF_HUB_OFFLINE is set, and the hub's cache"):
        load_backbone("clip", "hf-hub:a/b")
    assert constants.HF_HUB_OFFLINE


def test_a_copy_in_the_cache_is_taken_without_a_network(hub_of_its_own: Path, model: dict[str, bytes]) -> None:
    repo = hub_of_its_own / "models--tiny--clip"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    (repo / "snapshots" / COMMIT).mkdir(parents=True)
    for name, content in model.items():
        (repo / "snapshots" / COMMIT / name).write_bytes(content)
    assert load_backbone("clip", "hf-hub:tiny/clip").n_layers == 2
    assert load_clip("hf-hub:tiny/clip").embed_texts(["a cat"]).shape == (1, 32)
    assert not constants.HF_HUB_OFFLINE


@pytest.fixture
def slow_hub(model: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that takes its time; gives what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            time.sleep(0.2)
            name = self.path.rsplit("/", 1)[-1]
            asked.append(f"{self.command} {name}")
            content = model.get(name)
            self.send_response(404 if content is None else 200)
            facts = {"X-Repo-Commit": COMMIT, "ETag": f'"{name}"', "X-Error-Code": "EntryNotFound"}
            for header, value in {**facts, "Content-Length": str(len(content or b""))}.items():
                self.send_header(header, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        def do_GET(self) -> None:
            self.do_HEAD()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield asked
        server.shutdown()
        thread.join()


def test_a_slow_network_is_waited_for(slow_hub: list[str]) -> None:
    assert load_backbone("clip", "hf-hub:tiny/clip").n_layers == 2
    assert "GET open_clip_model.safetensors" in slow_hub


def test_nothing_is_fetched_because_a_recording_names_it(
    tmp_path: Path,
    run_dir: Path,
    shards: Path,
    slow_hub: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", constants.ENDPOINT)
    forged = shutil.copytree(shards, tmp_path / shards.name)
    content = json.loads((forged / "manifest.json").read_text())
    content["source"] = {"class": "HuggingFaceImages", "args": {"name": "nobody/nothing"}}
    del content["digest"]
    content["digest"] = canonical_digest(content)
    (forged / "manifest.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    assert main(["render", f"--run_dir={run_dir}", f"--data.shards={forged}", f"--out={tmp_path / 'out'}"]) == 0
    assert "grey tiles; the first: data set 'nobody/nothing', split 'train', cannot be loaded: what" in caplog.text
    assert slow_hub == []


def test_what_the_hub_does_not_have_is_said(slow_hub: list[str]) -> None:
    with pytest.raises(ValueError, match=r"cannot get tiny-CLIP/openai from the network .*check the name and"):
        load_backbone("clip", "tiny-CLIP/openai")
    assert slow_hub


@pytest.mark.parametrize(
    ("variables", "stop"),
    [
        ({}, ("huggingface.co", 443)),
        ({"https_proxy": "http://proxy.example:3128"}, ("proxy.example", 3128)),
        ({"https_proxy": "proxy.example"}, ("proxy.example", 80)),
        ({"all_proxy": "socks5://[::1]:1080"}, ("::1", 1080)),
        ({"https_proxy": "http://proxy.example", "no_proxy": "huggingface.co"}, ("huggingface.co", 443)),
        ({"http_proxy": "http://proxy.example"}, ("huggingface.co", 443)),
    ],
)
def test_a_proxy_is_what_must_be_reached(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], stop: tuple[str, int]
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert network._first_stop("https://huggingface.co") == stop


def test_what_was_found_holds_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    assert network._no_way("127.0.0.1", 1) == "127.0.0.1 cannot be reached (Connection refused)"
    monkeypatch.setattr(network, "_failure", lambda *_: None)
    assert network._no_way("127.0.0.1", 1) == "127.0.0.1 cannot be reached (Connection refused)"
    monkeypatch.setattr(network, "_MEMORY_SECONDS", 0)
    assert network._no_way("127.0.0.1", 1) is None


def test_a_host_that_does_not_answer_is_waited_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "CONNECT_SECONDS", 0.1)
    silent, other = socket.socketpair()

    def begin(_family: int, _address: object, _opened: object, waiting: selectors.BaseSelector) -> int:
        waiting.register(silent, selectors.EVENT_READ)
        return 0

    with silent, other:
        monkeypatch.setattr(network, "_begin", begin)
        assert network._failure("127.0.0.1", 1) == "no answer within 0.1 seconds"
    assert network._failure("no such host", 1) is not None
