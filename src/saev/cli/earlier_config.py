"""The configuration that `saev fit` left in a run directory, read as untrusted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from saev.errors import InputError, one_line
from saev.files import read_regular

MAX_CONFIG_BYTES: Final = 2**24


def check_run(run_dir: Path) -> None:
    """Refuse what is no directory before anything is looked for in it.

    Raises:
        InputError: If it is missing or a file.
    """
    if not run_dir.is_dir():
        fault = "is a file" if run_dir.exists() else "does not exist"
        raise InputError(f"{run_dir} {fault}: give the directory of a run, --run_dir RUN")


def read_config(path: Path) -> dict[str, Any]:
    """All options of a run, by name.

    Raises:
        InputError: If the file is missing, too large, or no configuration.
    """
    data = read_regular(path, MAX_CONFIG_BYTES)
    with usable(path):
        config = yaml.safe_load(data.decode("utf-8"))
    if not isinstance(config, dict):
        found = "it is empty" if config is None else "it holds no options"
        raise InputError(f"{path} is not the configuration of a run: {found}")
    return config


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """While the content of a configuration is looked at.

    Raises:
        InputError: Instead of the errors that unexpected values lead to.
    """
    try:
        yield
    except RecursionError as error:
        raise InputError(f"{path} is not the configuration of a run: it is nested too deeply") from error
    except (yaml.YAMLError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else one_line(error)
        raise InputError(f"{path} is not the configuration of a run: {reason}") from error
