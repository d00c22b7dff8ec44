"""A run with a gallery, and the server of `saev view`."""

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.fitting import fit_options, only
from tests.cli.recording import folder, options, write_pictures
from tests.cli.zygote import Command, start

from saev.cli.main import main


def make_run(root: Path) -> Path:
    """A run of six pictures, which lie in `root`, too."""
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
