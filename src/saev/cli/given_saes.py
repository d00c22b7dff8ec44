"""The SAEs that a command line names: those of a run, or a single one without a run."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import yaml

from saev.artifacts import RunDirectory, load_sae, read_provenance
from saev.artifacts.metrics_file import METRICS_FILE
from saev.cli.parsing.files import check_named_files
from saev.errors import InputError
from saev.nn import SparseAutoencoder

# What chooses the images of training and validation says nothing about others; evaluation has no batches to mix.
NOT_TAKEN_OVER = {
    "validate": ("weights",),
    "test": ("weights", "share", "examples", "val_shards"),
    "render": ("weights", "share", "examples", "val_shards"),
}


@final
@dataclass(frozen=True)
class GivenSaes:
    """SAEs and where they lie.

    Args:
        run: Their run.
        sae: The directory of a single one.
    """

    run: RunDirectory | None
    sae: Path | None

    @classmethod
    def of(cls, argv: Sequence[str], command: str) -> Self:
        """Those of a command line that is not parsed yet, because its defaults lie beside them.

        Raises:
            InputError: If it names none, or both kinds.
        """
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        for name in ("run_dir", "sae", "out"):
            parser.add_argument(f"--{name}")
        given = parser.parse_known_args(argv)[0]
        if given.sae and given.run_dir:
            raise InputError("--run_dir names all SAEs of a run, --sae a single one: give one of them")
        if given.sae and command == "validate":
            raise InputError("saev validate takes the SAEs of a run: --run_dir RUN; `saev test --sae DIR` takes one")
        if given.sae and not given.out:
            raise InputError("--sae needs a directory for metrics and galleries: --out DIR")
        if given.sae:
            return cls(None, Path(given.sae))
        if not given.run_dir:
            single = "" if command == "validate" else ", or that of an SAE: --sae DIR"
            raise InputError(f"give the directory of a finished run: --run_dir RUN{single}")
        return cls(_checked(RunDirectory(Path(given.run_dir))), None)

    @property
    def where(self) -> Path:
        """What the command line names."""
        path = self.sae if self.run is None else self.run.path
        assert path is not None, "one of the two is given"
        return path

    def load(self) -> dict[str, SparseAutoencoder]:
        """The SAEs by name; a single one has that of its directory.

        Raises:
            InputError: If there is none, or one is damaged.
        """
        return {self.where.resolve().name: load_sae(self.where)} if self.run is None else self.run.load_saes()

    def metrics(self, name: str) -> Path:
        """Where the figures of one of them lie beside it."""
        return self.where / METRICS_FILE if self.run is None else self.run.metrics(name)

    def options(self, command: str) -> str:
        """The options that a command takes over, as YAML: nothing that could name code to import.

        Raises:
            InputError: If they cannot be read.
        """
        if self.run is None:
            known = read_provenance(self.where)
            layer = known.layers[0].layer if known.layers else None
            data = {name: one for name, one in (("tokens", known.tokens), ("layer", layer)) if one is not None}
            return str(yaml.safe_dump({"data": data} if data else {}))
        config = self.run.options()
        with self.run.usable():
            data = {key: value for key, value in config["data"].items() if key not in NOT_TAKEN_OVER[command]}
            taken = {"data": data, "visualizer": config["visualizer"]}
            check_named_files(taken)
            return str(yaml.safe_dump(taken))


def _checked(run: RunDirectory) -> RunDirectory:
    try:
        run.check()
        if run.config.is_file():
            return run
    except OSError as error:
        raise InputError(f"{run.path} cannot be read ({error.strerror})") from error
    raise InputError(f"{run.path} is not the directory of a run: it holds no {run.config.name}")
