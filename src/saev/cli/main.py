"""The command `saev`: finds the subcommand and runs it; `saev.cli.ending` says how it ends.

torch and Lightning take seconds to import, so that this module stays free of them and each subcommand's module is
imported when it is asked for.
"""

import importlib
import importlib.metadata
import sys
from typing import NoReturn

from saev.cli.ending import ended, exit_after
from saev.cli.parsing.command_line import no_command
from saev.cli.parsing.own_modules import import_modules, without_imports
from saev.errors import tell

COMMANDS = {
    "predict": ("saev.cli.record:predict", "record ViT activations to shards (also: activations)"),
    "fit": ("saev.cli.train:fit", "train an SAE on shards and render its features (also: train)"),
    "validate": ("saev.cli.evaluate:validate", "evaluate a trained SAE on the held-out images of its run"),
    "test": ("saev.cli.evaluate:test", "evaluate a trained SAE on other shards and render its features again"),
    "render": ("saev.cli.render:main", "make the galleries of a run anew"),
    "annotate": ("saev.cli.annotate:main", "add verdicts, interventions and seeds to galleries"),
    "encode": ("saev.cli.encode:main", "write the codes of an SAE on all images of a recording"),
    "view": ("saev.cli.view:main", "serve the galleries of a run, and show what its SAEs make of your own pictures"),
    "downstream": ("saev.cli.downstream:main", "measure what an SAE's reconstructions cost the ViT"),
    "probe": ("saev.cli.probe:main", "find out whether what you see is true: propose, freeze, build, test, intervene"),
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
    """Run the command line of this process, and exit."""
    exit_after(main)


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
        tell(f"saev: {no_command(argv[0], [*COMMANDS, *ALIASES], 'saev')}")
        return 2
    _escape(is_own_process)
    return ended(command, lambda: _run(command, argv))


def _escape(is_own_process: bool) -> None:
    # Here and not above: the help answers without logging, too.
    from saev.cli.terminal import escape_log, escape_warnings

    escape_log()
    if is_own_process:  # Who calls `main` from Python may have an own idea of where warnings go.
        escape_warnings()


def _run(command: str, given: list[str]) -> int:
    argv, modules = without_imports(given)
    import_modules(modules, argv)
    module, function = COMMANDS[command][0].split(":")
    status: int = getattr(importlib.import_module(module), function)(argv[1:])
    return status
