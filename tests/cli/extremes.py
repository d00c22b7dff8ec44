"""Gives every numeric option of every command extreme values.

    start([ROOT, COMMAND...], module="tests.cli.extremes")

makes what the commands need below ROOT, finds their options in their own parsers, tries every STEP-th value, and
prints, for each run that neither ended well nor was refused in one line that names the option, a line of JSON: what was
run, and how it ended.

Runs are forked from this process, which has imported everything, with bounds of time and memory; those that are refused
share a process, as a fork takes longer than they do. Values that make no sense are refused before the heavy work; where
a value only makes a run long or large, it ends at a dry point: after two training steps, before pictures are drawn,
before the server waits.
"""

import inspect
import io
import itertools
import json
import os
import resource
import select
import signal
import sys
import traceback
import types
import typing
from argparse import SUPPRESS
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse
from PIL import Image
from tests.cli.fitting import fit_options, only
from tests.cli.recording import folder, options, write_pictures

import saev.cli.demo
import saev.cli.downstream
import saev.cli.evaluate
import saev.demo.steps
import saev.serving.open_run
from saev.cli.main import main
from saev.modules import SAELightningModule
from saev.nn import ARCHITECTURES
from saev.serving.server import GalleryServer
from saev.training.options import TrainingOptions
from saev.vit import images

VALUES = ("0", "-1", str(10**12), str(10**30), ".nan")
SECONDS = 20
BYTES = 6 * 2**30  # of address space, beside what the libraries have
STEPS = 2
Run = tuple[list[str], Path]
"""A command line, and the file for what it says."""


class EnoughError(BaseException):
    """The dry point is reached: nothing was refused."""


class _FoundError(BaseException):
    def __init__(self, parser: jsonargparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(argv: list[str]) -> jsonargparse.ArgumentParser:
    """The parser of a command."""
    parse = jsonargparse.ArgumentParser.parse_args

    def found(parser: jsonargparse.ArgumentParser, *args: Any, **kwargs: Any) -> NoReturn:
        raise _FoundError(parser)

    jsonargparse.ArgumentParser.parse_args = found  # type: ignore[assignment]
    try:
        main(argv)
    except _FoundError as error:
        return error.parser
    finally:
        jsonargparse.ArgumentParser.parse_args = parse  # type: ignore[method-assign]
    raise AssertionError(argv)


def shapes(hint: Any) -> set[str]:
    """How a number is given to an option of this type, `{}` in its place; nothing where it takes none."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in (int, float):
        return {"{}"}
    if origin in (typing.Union, types.UnionType):
        return set().union(*map(shapes, args))
    if origin in (list, tuple) and args:
        n = 1 if origin is list else len(args)
        return {f"[{', '.join([shape] * n)}]" for shape in shapes(args[0])}
    return set()


def given(option: str, hint: Any, values: Sequence[str] = VALUES) -> Iterator[str]:
    """`OPTION=VALUE` for all values and ways to give them."""
    for shape in sorted(shapes(hint)):
        for value in values:
            yield f"{option}={shape.replace('{}', value)}"


def numeric_options(parser: jsonargparse.ArgumentParser, values: Sequence[str]) -> Iterator[str]:
    """Options of a parser that its help shows, with values."""
    for action in parser._actions:
        if action.option_strings and action.help != SUPPRESS:
            yield from given(action.option_strings[0], getattr(action, "_typehint", None) or action.type, values)


def of_class(kind: type, option: str) -> Iterator[list[str]]:
    """Command lines `--OPTION KIND --OPTION.NAME VALUE`."""
    hints = typing.get_type_hints(kind.__init__)
    for name in inspect.signature(kind).parameters:
        if name != "d_in":
            for one in given(f"--{option}.{name}", hints[name]):
                yield [f"--{option}={kind.__name__}", one]


def lines_of(command: str, base: list[str], masked: Path) -> Iterator[list[str]]:
    """What is put behind the base line of a command, the option that is tried last."""
    parser = parser_of(base)
    # What `test` refuses, these refuse in the same place.
    for one in numeric_options(parser, VALUES[1:3] if command in ("validate", "render") else VALUES):
        yield [one]
    if command == "fit":
        for kind in ARCHITECTURES.values():
            yield from of_class(kind, "model.sae")
        hints = typing.get_type_hints(TrainingOptions)
        hints |= {f"sae.{name}": int for name in ("d_sae", "k")}
        for name, hint in hints.items():
            for value in VALUES if "{}" in shapes(hint) else ():
                yield [f"--model.sweep={{{name}: [{value}]}}"]
    if command == "predict":
        for name in ("ImageFolder", "SegmentationFolder", "ImageList", "HuggingFaceImages"):
            root = [f"--data.images.root={masked}"] if name == "SegmentationFolder" else []
            for first, last in of_class(getattr(images, name), "data.images"):
                yield [first, *root, last]


def prepared(root: Path) -> dict[str, list[str]]:
    """A short line of each command, with what it needs made below a directory."""
    pictures = write_pictures(root / "pictures", 6)
    for picture in pictures.rglob("*.png"):
        for kind, mode in (("images", "RGB"), ("masks", "L")):
            (root / "masked" / kind).mkdir(parents=True, exist_ok=True)
            Image.open(picture).convert(mode).save(root / "masked" / kind / picture.name)
    predict = options(root / "{}", folder(pictures), "--model.image_size=32")
    assert main([part.format("shards") for part in predict]) == 0
    shards, run = only(root, "shards/*-layer04-*"), root / "run"
    fit = [*fit_options(shards, root / "{}", "--data.n_tokens=48", "--data.batch_size=16", "--model.sae.d_sae=8")]
    fit += ["--visualizer.n_latents=1"]
    assert main([part.format("run") for part in fit]) == 0
    evaluate = [f"--run_dir={run}", f"--data.shards={shards}", "--trainer.accelerator=cpu"]
    evaluate += ["--trainer.enable_progress_bar=false"]
    device = ["--device=cpu", "--weights=random"]
    return {
        "predict": predict,
        "fit": fit,
        **{command: [command, *evaluate] for command in ("validate", "test")},
        "render": ["render", *evaluate[:2], "--device=cpu"],
        "view": ["view", f"--run_dir={run}", "--port=0", *device],
        "downstream": [
            *("downstream", f"--sae={only(run, 'saes/*')}", f"--images={pictures}", "--num_workers=0", "--k=2"),
            *(f"--out={root}/{{}}.json", *device),
        ],
        **{f"shards {name}": ["shards", name, str(shards)] for name in ("verify", "repair")},
        "shards bench": ["shards", "bench", str(shards), "--batch_size=4", "--seconds=1"],
        "demo": ["demo", f"--out={root}/{{}}"],
    }


def stop_at_dry_points() -> None:
    """Replace what only takes long by the end of the run."""
    step, n = SAELightningModule.training_step, 0

    def few_steps(self: SAELightningModule, *args: Any) -> Any:
        nonlocal n
        n += 1
        if n > STEPS:
            raise EnoughError
        return step(self, *args)

    SAELightningModule.training_step = few_steps  # type: ignore[method-assign]
    GalleryServer.serve_forever = enough  # type: ignore[method-assign]
    saev.demo.steps.Step.do = enough  # type: ignore[method-assign]


def enough(*args: Any, **kwargs: Any) -> NoReturn:
    """Ends a run."""
    raise EnoughError


def child(runs: Sequence[Run], tells: int) -> NoReturn:
    """Runs one after the other, up to the first that is not refused; each status is a byte, 99 for a traceback."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    stop_at_dry_points()
    for argv, log in runs:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        status = 99
        try:
            status = main(argv)
        except EnoughError:
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(tells, bytes([status]))
            os.close(out)
        if status != 1:
            break
    os._exit(0)


def ended(runs: Sequence[Run]) -> list[int | str]:
    """How the first runs have ended, at least one of them; a process that has done more than to refuse has no next."""
    told, tells = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        child(runs, tells)
    os.close(tells)
    found: list[int | str] = []
    with io.FileIO(told) as statuses:
        while len(found) < len(runs) and set(found) <= {1}:
            if not select.select([statuses], [], [], SECONDS)[0]:
                os.killpg(pid, signal.SIGKILL)
                found.append(f"more than {SECONDS} s")
            elif status := statuses.read(1):
                found.append(status[0])
            else:
                return [*found, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    os.waitpid(pid, 0)
    return found


def fault(status: int | str, text: str, option: str) -> str | None:
    """What is wrong with the end of a run, if anything is."""
    said = [line for line in text.splitlines() if line.startswith("saev ") and "error: " in line]
    if status not in (0, 1):
        return f"ended with {status}"
    if "Traceback" in text:
        return "a traceback"
    if status == 1 and (len(said) != 1 or option not in said[0]):
        return "no single line that names the option"
    return None


def name_of(line: str) -> str:
    """The last part of an option's name."""
    name, _, value = line.partition("=")
    if name == "--model.sweep":
        name = value.strip("{}").partition(":")[0]
    return name.rpartition(".")[2].lstrip("-")


def report(root: Path, step: int, commands: list[str], show: Callable[[str], None] = print) -> int:
    """Try every step-th value of the options of some commands; how many runs there were."""
    logs, n = root / "logs", 0
    logs.mkdir()
    for command, base in prepared(root).items():
        if commands and command not in commands:
            continue
        tried = list(itertools.islice(lines_of(command, base, root / "masked"), 0, None, step))
        runs = [
            ([*(part.replace("{}", f"out{i}") for part in base), *more], logs / str(i))
            for i, more in enumerate(tried, n)
        ]
        n += len(runs)
        statuses: list[int | str] = []
        while left := runs[len(statuses) :]:
            statuses += ended(left)
        for more, (_, log), status in zip(tried, runs, statuses, strict=True):
            text = log.read_text(errors="replace")
            if what := fault(status, text, name_of(more[-1])):
                last = text.strip().splitlines()[-1:] or [""]
                show(json.dumps({"run": [command, *more], "fault": what, "last": last[0][-400:]}))
    return n


if __name__ == "__main__":
    n_runs = report(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:], lambda text: print(text, file=sys.__stdout__))
    print(json.dumps({"runs": n_runs}), file=sys.__stdout__)
