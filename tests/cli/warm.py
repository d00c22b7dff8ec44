"""What a process does once before it forks, because it takes longer than most runs: imports, parsers, a plot."""

import contextlib
import ctypes
import functools
import gc
import importlib
import io
import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np

# What commands import, much of it when they need it.
IMPORTED = (
    *(
        f"saev.cli.{name}"
        for name in ("record", "train", "evaluate", "render", "view", "downstream", "shards", "probe", "demo")
    ),
    *("saev.shards.loading.benchmark", "saev.serving.open_server", "saev.splicing.measure_downstream"),
    "PIL.JpegImagePlugin",
    "attrs",
    "tests.cli.faulty",
)

SAE = "model.sae"
"""The option whose default a parser loses when it parses another SAE."""


def warm_up() -> None:
    """Import what commands need, and have each parser built and a plot drawn."""
    gc.disable()
    for module in IMPORTED:
        importlib.import_module(module)
    from saev.cli.main import main
    from saev.gallery.scatter_plot import scatter_plot

    remember_parsers()
    for command in ("predict", "fit", "validate", "test", "render"):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main([command, "--help"])
    scatter_plot(np.array([0.01, 0.1]), np.array([0.3, 3.0]), "")
    gc.collect()
    gc.freeze()
    gc.enable()
    into_huge_pages()


def into_huge_pages() -> None:
    """Let the system hold this process's memory in few large pages, where it can: a fork copies a table of all."""
    collapse = 25  # MADV_COLLAPSE, since Linux 6.1
    madvise = ctypes.CDLL(None).madvise
    for line in Path("/proc/self/maps").read_text().splitlines():
        found = re.match(r"(\w+)-(\w+) rw-p \S+ 00:00 0 *(\[heap\])?$", line)
        if found:
            start, end = int(found[1], 16), int(found[2], 16)
            for advice in (mmap.MADV_HUGEPAGE, collapse):
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


@functools.cache
def remember_parsers() -> None:
    """Build the parser of a command once in this process."""
    from saev.cli.evaluate import EvaluateCLI
    from saev.cli.record import RecordCLI
    from saev.cli.runs.train_cli import TrainCLI

    parsers: dict[tuple[type, str], Any] = {}
    for kind in (RecordCLI, TrainCLI, EvaluateCLI):

        def remembered(
            self: Any, add: bool, main: dict[str, Any], *args: Any, original: Any = kind.setup_parser, **more: Any
        ) -> None:
            key = type(self), str(main["prog"])
            if key not in parsers:
                original(self, add, main, *args, **more)
                parsers[key] = self.parser, self.parser.get_defaults().get(SAE)
            self.parser, default = parsers[key]
            if default is not None:
                self.parser.set_defaults({SAE: default})

        kind.setup_parser = remembered  # type: ignore[method-assign]
