"""The command `saev`: finds the subcommand and turns failures into exit codes.

torch and Lightning take seconds to import, so that this module stays free of them and each subcommand's module is
imported when it is asked for.
"""

import atexit
import importlib
import importlib.metadata
import os
import signal
import sys
from typing import NoReturn

from saev.cli.last_words import say_last
from saev.cli.out_of_memory import out_of_memory
from saev.cli.parsing.own_modules import import_modules, without_imports
from saev.errors import InputError, printable, shortened, tell
from saev.stopping import Stopped, unwind

COMMANDS = {
    "predict": ("saev.cli.record:predict", "record ViT activations to shards (also: activations)"),
    "fit": ("saev.cli.train:fit", "train an SAE on shards and render its features (also: train)"),
    "validate": ("saev.cli.evaluate:validate", "evaluate a trained SAE on the held-out images of its run"),
    "test": ("saev.cli.evaluate:test", "evaluate a trained SAE on other shards and render its features again"),
    "render": ("saev.cli.evaluate:render", "make the galleries of a run anew"),
    "encode": ("saev.cli.encode:main", "write the codes of an SAE on all images of a recording"),
    "view": ("saev.cli.view:main", "serve the galleries of a run, and show what its SAEs make of your own pictures"),
    "downstream": ("saev.cli.downstream:main", "measure what an SAE's reconstructions cost the ViT"),
    "shards": ("saev.cli.shards:main", "look into shard directories: info, verify, repair, unfinished, bench"),
    "demo": ("saev.cli.demo:main", "run all steps on generated pictures"),
}
ALIASES = {"activations": "predict", "train": "fit"}


def usage() -> str:
    """The text of `saev --help`."""
    rows = "\n".join(f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items())
    return (
        "usage: saev COMMAND [options]\n\n"
        "Sparse autoencoders for vision transformers: record activations, train, look.\n\n"
        f"commands:\n{rows}\n\n"
        "`saev COMMAND --help` lists the options of a command, `saev --version` says which saev this is; README.md has "
        "examples.\n"
        "Any command takes --import MODULE, once or more, which makes the classes of your own module known: mymod, or "
        "./mymod.py."
    )


def run() -> NoReturn:
    """Run the command line of this process, and exit.

    A process that still belongs to a group here failed while it exchanged tensors with others. torch's threads then
    wait for those, and may abort an interpreter that shuts down under them.
    """
    status = main()
    for number in (signal.SIGTERM, signal.SIGINT):
        # What a handler raises from here on would be a traceback of some exit function.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    distributed = sys.modules.get("torch.distributed")
    if distributed and distributed.is_available() and distributed.is_initialized():
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    is_own_process = argv is None
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] in ("--version", "version"):
        print(f"saev {importlib.metadata.version('saev')}")
        return 0
    command = ALIASES.get(argv[0], argv[0])
    if command not in COMMANDS:
        tell(f"saev: there is no command {argv[0]!r}; saev --help lists the commands")
        return 2
    signal.signal(signal.SIGTERM, unwind)
    _escape(is_own_process)
    try:
        argv, modules = without_imports(argv)
        import_modules(modules, argv)
        return _run(command, argv[1:])
    except InputError as error:
        say_last(f"saev {command}: error: {shortened(printable(' '.join(str(error).split())))}")
        return 1
    except Stopped as stopped:
        if not stopped.is_silent:
            say_last(f"saev {command}: {stopped}")
        return int(stopped.code or 0)
    except Exception as error:
        advice = out_of_memory(command, error)
        if advice is None:
            raise
        say_last(f"saev {command}: error: {advice}")
        return 1
    except KeyboardInterrupt:
        say_last(f"saev {command}: interrupted")
        return 130


def _escape(is_own_process: bool) -> None:
    # Here and not above: the help answers without logging, too.
    from saev.cli.terminal import escape_log, escape_warnings

    escape_log()
    if is_own_process:  # Who calls `main` from Python may have an own idea of where warnings go.
        escape_warnings()


def _run(command: str, argv: list[str]) -> int:
    module, function = COMMANDS[command][0].split(":")
    status: int = getattr(importlib.import_module(module), function)(argv)
    return status
