"""The SAEs that a command line names: those of a run, or a single one without a run."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self, final

import yaml

from saev.artifacts import Provenance, RunDirectory, load_sae, provenance_of, read_provenance
from saev.artifacts.comparable import completed_by
from saev.artifacts.metrics_file import METRICS_FILE
from saev.cli.parsing.command_line import names_option
from saev.cli.parsing.files import check_named_files
from saev.errors import InputError, tell
from saev.gallery.image_sets import HELD_OUT
from saev.nn import SparseAutoencoder
from saev.shards.tokens import TokenSelection
from saev.training.data.shard_tokens import ShardTokens

OF_TRAINING: Final = (
    *("weights", "val_shards", "val_share", "n_val_tokens", "n_tokens", "batch_size", "buffer_gib"),
    *("threads", "timeout"),
)
"""Options of the data that do not say at which images one looks."""
# What chooses the images of training and validation says nothing about others; evaluation has no batches to mix.
NOT_TAKEN_OVER: Final = {
    "validate": ("weights",),
    "test": ("weights", "share", "examples", "val_shards", "image_set"),
    "render": (*OF_TRAINING, "n_tensorboard", "proposal_half", "image_set"),
}
OF_SHARDS: Final = ("share", "examples")
"""Options that choose images of the run's own shards."""
_EARLIER_N_LATENTS: Final = 400
"""The default before galleries had a size (`max_mb`): a few, because many pages would have taken too much."""


@final
@dataclass(frozen=True)
class GivenSaes:
    """SAEs and where they lie.

    Args:
        run: Their run.
        sae: The directory of a single one.
        shards: The directory that is looked at, if it is not that of the run; empty where that cannot be told yet.
    """

    run: RunDirectory | None
    sae: Path | None
    shards: str | None = None

    @classmethod
    def of(cls, argv: Sequence[str], command: str) -> Self:
        """Those of a command line that is not parsed yet, because its defaults lie beside them.

        Raises:
            InputError: If it names none, or both kinds.
        """
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        for name in ("run_dir", "sae", "out", "data.shards"):
            parser.add_argument(f"--{name}", dest=name.rpartition(".")[2])
        given = parser.parse_known_args(argv)[0]
        in_file = "" if names_option(argv, "--config", "-c") else None
        found = cls.named(given.run_dir, given.sae, given.out, command)
        return replace(found, shards=in_file if given.shards is None else given.shards)

    @classmethod
    def named(cls, run_dir: str | Path | None, sae: str | Path | None, out: str | Path | None, command: str) -> Self:
        """Those of the options `--run_dir`, `--sae` and `--out`.

        Raises:
            InputError: If they name none, or both kinds.
        """
        if sae and run_dir:
            raise InputError("--run_dir names all SAEs of a run, --sae a single one: give one of them")
        if sae and command == "validate":
            raise InputError("saev validate takes the SAEs of a run: --run_dir RUN; `saev test --sae DIR` takes one")
        if sae and not out:
            raise InputError("--sae needs a directory for metrics and galleries: --out DIR")
        if sae:
            return cls(None, Path(sae))
        if not run_dir:
            single = "" if command == "validate" else ", or that of an SAE: --sae DIR"
            raise InputError(f"give the directory of a finished run: --run_dir RUN{single}")
        return cls(_checked(RunDirectory(Path(run_dir))), None)

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

    def load_for(self, data: ShardTokens, selections: Sequence[TokenSelection]) -> dict[str, SparseAutoencoder]:
        """The SAEs by name, after a check whether their numbers on some tokens mean anything.

        Args:
            data: The shards of the command line.
            selections: The tokens.

        Raises:
            InputError: If there is no SAE, one is damaged, or of another width, ViT, layer or other tokens.
        """
        saes = self.load()
        for name, sae in saes.items():
            if sae.d_in != data.d_model:
                raise InputError(
                    f"the SAE {name} takes activations of width {sae.d_in}, "
                    f"{data.reader.path} has {data.d_model}: give shards of the same ViT"
                )
        for tokens in selections:
            for one in _distinct(saes.values()):
                completed_by(one, tokens.readers, data.token_kind)
        return saes

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
            taken = {"data": _without(config["data"], command), "visualizer": config["visualizer"]}
            if command == "render" and self.shards is not None:
                taken["data"] = {name: one for name, one in taken["data"].items() if name not in OF_SHARDS}
            check_named_files(taken)  # a group may name a file, too
            if command == "render" and (half := taken["visualizer"].get("proposal_half")) is not None:
                taken["proposal_half"] = half  # there it is an option of its own
            shown = _without(taken["visualizer"], command)
            if command != "validate":
                shown = self._of_today(shown)
            if command != "validate" and self.shards and _is_one(self.shards, config["data"].get("val_shards")):
                shown["image_set"] = HELD_OUT
            return str(yaml.safe_dump(taken | {"visualizer": shown}))

    def _of_today(self, shown: Mapping[str, object]) -> dict[str, object]:
        """Options of a gallery without a number of latents that nobody chose, but an earlier version had as default."""
        if shown.get("n_latents") != _EARLIER_N_LATENTS or "max_mb" in shown:
            return dict(shown)
        assert self.run is not None, "it has options"
        tell(
            f"{self.run.config} says n_latents: {_EARLIER_N_LATENTS}, which was the default of the version that wrote "
            f"it, and is not taken over: --visualizer.n_latents {_EARLIER_N_LATENTS} asks for it"
        )
        return {name: value for name, value in shown.items() if name != "n_latents"}


def _without(options: Mapping[str, object], command: str) -> dict[str, object]:
    return {name: value for name, value in options.items() if name not in NOT_TAKEN_OVER[command]}


def _is_one(path: str, other: object) -> bool:
    """Whether two paths lead to one directory; the other one may be none."""
    return isinstance(other, str) and Path(path).resolve() == Path(other).resolve()


def _distinct(saes: Iterable[SparseAutoencoder]) -> list[Provenance]:
    """Where SAEs come from; the SAEs of a sweep have the same, which is compared and said once."""
    found: list[Provenance] = []
    for one in map(provenance_of, saes):
        if not any((one.layers, one.tokens) == (other.layers, other.tokens) for other in found):
            found.append(one)
    return found


def _checked(run: RunDirectory) -> RunDirectory:
    try:
        run.check()
        if run.config.is_file():
            return run
    except OSError as error:
        raise InputError(f"{run.path} cannot be read ({error.strerror})") from error
    raise InputError(f"{run.path} is not the directory of a run: it holds no {run.config.name}")
