"""Starts workers, each with the interpreter of its library, and talks to them."""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peers.trainer import Options

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
LIBRARIES = ("sparsify", "sae_lens", "dictionary_learning", "overcomplete", "original_saev")
HERE_TOO = ("ours", "product")
"""Run by the interpreter of the benchmark."""
MODES = {"float32": "", "bfloat16": " (bf16)"}


@dataclass(frozen=True)
class Job:
    """What a worker is to do: files of float32 arrays, threads, and for mode "time" its warm-up in steps."""

    mode: str
    train: str
    threads: int
    options: Options
    test: str = ""
    directions: str = ""
    warmup: int = 0


class Worker:
    """A process that trains with one library; it computes only while a question is open.

    Raises:
        LookupError: If the library is not installed or does not offer what is asked for.
        RuntimeError: If the process ends without an answer.
    """

    def __init__(self, library: str, peers: Path | None, job: Job, log: Path) -> None:
        self.options, self.is_ours, self._log = job.options, library == "ours", log
        is_here = library in HERE_TOO
        self.name = f"{library} {job.options.architecture}{MODES[job.options.encoder]}"
        lacking = job.options.lacking(library)
        if lacking:
            raise LookupError(lacking)
        # No other path: it would lead one library's interpreter to packages of another.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        if is_here:
            environment["PYTHONPATH"] = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable if is_here else interpreter(library, peers),
                    "-m",
                    "peers.worker",
                    library,
                    json.dumps(asdict(job)),
                ],
                cwd=HERE,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self.first = self._answer()

    def ask(self, n_steps: int) -> dict[str, float]:
        """Run some steps."""
        self._questions.write(f"{n_steps}\n")
        self._questions.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._questions.close()
        self._process.wait()
        self._answers.close()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"ended with status {self._process.wait()}, see {self._log}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def interpreter(library: str, peers: Path | None) -> str:
    """That of a library's virtual environment.

    Raises:
        LookupError: If there is none.
    """
    found = (peers or Path()) / library / "bin" / "python"
    if peers is None or not found.exists():
        raise LookupError("not installed" if peers else "no --peers")
    return str(found)


def names(text: str) -> list[str]:
    """A list on the command line, with commas."""
    return text.split(",")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that all of these benchmarks have."""
    parser.add_argument("--peers", type=lambda text: Path(text).absolute(), help="folder of virtual environments")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each process")
    parser.add_argument("--log", type=Path, default=Path(os.devnull), help="where libraries' messages go")
