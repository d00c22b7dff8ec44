"""The directory of a run: where everything lies in it, and the options that it was started with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import yaml

from saev.artifacts.metrics_file import METRICS_FILE
from saev.artifacts.sae_files import CONFIG_FILE, load_sae
from saev.errors import InputError, one_line
from saev.files import read_regular
from saev.nn import SparseAutoencoder

CHECKPOINT: Final = Path("checkpoints") / "last.ckpt"
MAX_CONFIG_BYTES: Final = 2**24


@final
@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run, which need not be there."""

    path: Path  # The directory.

    @property
    def config(self) -> Path:
        """All options that the run was started with."""
        return self.path / "config.yaml"

    @property
    def checkpoint(self) -> Path:
        """What the run goes on from."""
        return self.path / CHECKPOINT

    @property
    def saes(self) -> Path:
        """Folder of the SAEs, by name."""
        return self.path / "saes"

    @property
    def features(self) -> Path:
        """Folder of the galleries, by the name of their SAE."""
        return self.path / "features"

    def notes(self, name: str) -> Path:
        """What was noted on the latents of an SAE in `saev view`."""
        return self.path / "notes" / f"{name}.json"

    @property
    def logs(self) -> Path:
        """Folder of the curves of a sweep, by the name of the SAE."""
        return self.path / "logs"

    @property
    def comparison(self) -> Path:
        """The table that compares the SAEs of a sweep."""
        return self.path / "sweep.csv"

    def sae(self, name: str) -> Path:
        """Directory of an SAE."""
        return self.saes / name

    def metrics(self, name: str) -> Path:
        """What was measured on an SAE."""
        return self.saes / name / METRICS_FILE

    def gallery(self, name: str) -> Path:
        """Directory of the gallery of an SAE."""
        return self.features / name

    def names(self) -> list[str]:
        """Of the SAEs that are there, ascending."""
        return sorted(path.parent.name for path in self.saes.glob(f"*/{CONFIG_FILE}"))

    def load_saes(self) -> dict[str, SparseAutoencoder]:
        """All SAEs, by name.

        Raises:
            InputError: If there is none, or one is damaged.
        """
        if not (names := self.names()):
            raise InputError(
                f"{self.path} holds no saes/NAME/{CONFIG_FILE}: has `saev fit --run_dir {self.path}` finished?"
            )
        return {name: load_sae(self.sae(name)) for name in names}

    def check(self) -> None:
        """Raise InputError if it is missing or a file, before anything is looked for in it."""
        if not self.path.is_dir():
            fault = "is a file" if self.path.exists() else "does not exist"
            raise InputError(f"{self.path} {fault}: give the directory of a run, --run_dir RUN")

    def options(self) -> dict[str, Any]:
        """All options of the run, by name, read as untrusted.

        Raises:
            InputError: If the file is missing, too large, or no configuration.
        """
        data = read_regular(self.config, MAX_CONFIG_BYTES)
        with self.usable():
            config = yaml.safe_load(data.decode("utf-8"))
        if not isinstance(config, dict):
            found = "it is empty" if config is None else "it holds no options"
            raise InputError(f"{self.config} is not the configuration of a run: {found}")
        return config

    @contextmanager
    def usable(self) -> Iterator[None]:
        """While the options are looked at.

        Raises:
            InputError: Instead of the errors that unexpected values lead to.
        """
        try:
            yield
        except RecursionError as error:
            raise InputError(f"{self.config} is not the configuration of a run: it is nested too deeply") from error
        except (yaml.YAMLError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else one_line(error)
            raise InputError(f"{self.config} is not the configuration of a run: {reason}") from error

    def shards(self) -> tuple[Path, int | None]:
        """The directory that the run trained on, the first of several, and the layer if its options say one.

        Raises:
            InputError: If config.yaml is missing, no regular file, or names none.
        """
        first, *_ = self.all_shards()
        return first

    def all_shards(self) -> list[tuple[Path, int | None]]:
        """The directories that the run trained on, and then those of its validation, each with the layer if given.

        Raises:
            InputError: As `shards`.
        """
        options = self.options()
        with self.usable():
            data = options["data"]
            layer = None if data.get("layer") is None else int(data["layer"])
            trained = data["shards"] if isinstance(data["shards"], list) else [data["shards"]]
            validated = [data["val_shards"]] if data.get("val_shards") else []
            return [(Path(one), layer) for one in [trained[0], *trained[1:], *validated]]
