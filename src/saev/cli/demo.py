"""`saev demo`: the whole way on generated pictures, checked against the truth."""

import contextlib
import shlex
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saev.cli.ending import Stopped
from saev.cli.parsing import typed
from saev.errors import InputError, printable, tell

if TYPE_CHECKING:
    from saev.demo.folder import DemoFolder
    from saev.demo.steps import Step

_WIDTH: Final = 115


def demo(*, out: Path = Path("saev-demo"), n_scenes: int = 2_000, seed: int = 0) -> int:
    """Walk all steps on generated scenes, from recording to tested hypotheses, and compare them with the truth.

    It takes about two minutes on two CPU cores and no network. Each step is explained, with the command that does the
    same. An interrupted demo goes on where it was when the same command is given again; a finished one prints its
    figures. Standard output gets the figures, and the pages to open.

    Args:
        out: directory for all of it, new or empty, or of a demo that was interrupted
        n_scenes: how many scenes are recorded; figures are what they should be from 2,000 on
        seed: of the scenes and of all chance
    """
    from saev.demo.folder import DemoFolder, DemoOptions  # here and not above: the help answers without torch
    from saev.demo.walk import steps, to_open

    folder = DemoFolder.at(out, DemoOptions(n_scenes, seed))
    goes_on = bool(folder.finished)
    if folder.done(steps(folder)[-1].name) is None:
        try:
            with folder.at_work(), contextlib.redirect_stdout(sys.stderr):
                _walk(folder, steps(folder))
        except Stopped as stopped:
            stopped.advice = "the same command goes on where it was"
            raise
        except InputError as error:
            if not goes_on:
                raise
            raise InputError(f"{error}; if files of finished steps are gone, {_anew(out)}") from error
    else:
        tell(f"{out} holds a finished demo already; give --out DIR for another one")
    figures = folder.done(steps(folder)[-1].name)
    assert figures is not None, "all steps are done"
    print("\n".join(map(printable, figures.said)))
    print()
    for what, page in to_open(folder):
        print(f"{what}: {page}")
        if not Path(page).is_file():
            tell(f"{page} is gone: {_anew(out)}")
    return 0


def _anew(out: Path) -> str:
    return f"remove {out} (chmod -R u+w, then rm -r) and give the same command again"


def _walk(folder: "DemoFolder", steps: Sequence["Step"]) -> None:
    tell("Lines with $ are commands that do the same. Most refuse to overwrite: give another --out to those you type.")
    for number, step in enumerate(steps, 1):
        tell("")
        tell(f"{number} of {len(steps)}. {step.title}")
        _tell(step.words, "  ", "  ")
        for argv in step.commands():
            tell(f"  $ saev {shlex.join(argv)}")
        done = folder.done(step.name)
        if done is not None:
            tell("  was done before:")
        else:
            done = step.do(folder)
        for line in done.said if number < len(steps) else ():  # the last ones are the results, on standard output
            _tell(line, "  -> ", "     ")
        tell(f"  ({done.seconds:.0f} s)")


def _tell(text: str, begin: str, indent: str) -> None:
    """Print a text in several lines, but what fits one line, such as a row of a table, as it is."""
    wrapped = textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate([text] if len(text) <= _WIDTH else wrapped):
        tell(f"{'' if number else begin}{line}")


def main(argv: list[str]) -> int:
    """Run `saev demo ARGV` and return the exit status."""
    return typed.run(demo, argv, "saev demo")
