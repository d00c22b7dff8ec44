"""The modules of the user: ``--import MODULE``, on every command, and class paths such as ``--model.sae mymod.MySAE``.

Only the command line names them; what a file names is never imported, not even a file of ``--config``.
"""

import importlib
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from saev.errors import InputError, one_line, reason

OPTION: Final = "--import"
_DOTTED: Final = re.compile(r"(?<![\w./-])([A-Za-z_]\w*)(?:\.\w+)+")
_named: Final = {"saev", "lightning", "torch"}  # Top packages; those that the command line names are added.


def without_imports(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line without its ``--import MODULE``, and the modules.

    >>> without_imports(["fit", "--import", "a.b", "--run_dir=x", "--import=./c.py"])
    (['fit', '--run_dir=x'], ['a.b', './c.py'])

    Raises:
        InputError: If one has no name behind it.
    """
    others: list[str] = []
    modules: list[str] = []
    given = iter(argv)
    for this in given:
        option, _, value = this.partition("=")
        if option != OPTION:
            others.append(this)
        elif name := value or next(given, ""):
            modules.append(name)
        else:
            raise InputError(f"{OPTION} needs the name of a module or its file, such as mymod or ./mymod.py")
    return others, modules


def import_modules(names: Sequence[str], argv: Sequence[str]) -> None:
    """Import modules and make their classes known, and let class paths find modules in the working directory.

    The directory is the last place that is looked into, and only where the command line names a module: a file that
    happens to lie there shall not take the place of a package.

    Args:
        names: Modules, or files of them.

    Raises:
        InputError: If there is no such module, or it fails; or a class has the name of another one.
    """
    heads = {found[1] for this in argv for found in _DOTTED.finditer(this)}
    if names or any(Path(f"{head}.py").is_file() or Path(head, "__init__.py").is_file() for head in heads):
        _look_into(Path.cwd())
    heads |= {Path(name).stem if "/" in name else name.partition(".")[0] for name in names}
    _named.update(heads - sys.stdlib_module_names)
    for name in names:
        file = Path(name).absolute() if name.endswith(".py") or "/" in name else None
        if file is not None and not file.is_file():
            raise InputError(f"{OPTION} {name}: there is no such file")
        if file is not None:
            _look_into(file.parent)
        module = _imported(file.stem if file else name, name)
        if file is not None and Path(module.__file__ or "").resolve() != file.resolve():
            raise InputError(
                f"{OPTION} {name}: there is another module {file.stem} ({module.__file__}): rename the file"
            )
        # Here and not above: `saev --help` answers in no time.
        from saev.registry import register_module

        register_module(module)


def nameable() -> list[str]:
    """The packages of which a value may name a class: saev's, Lightning's, torch's, and those that the user named."""
    from saev.registry import known_packages

    return sorted(_named | known_packages())


def refusal(path: str) -> str:
    """Why a value may not name what stands in other packages than `nameable`, for the end of a line."""
    if path.partition(".")[0] in sys.stdlib_module_names:
        return f"{path}: nothing of Python's own library is taken, whoever names it"
    return f"{path}: nothing is imported because a file names it: add {OPTION} MODULE to the command line"


def class_at(path: str, option: str) -> type:
    """The class of a path that the user gives: ``mymod.MyBackbone``, which becomes known by its name.

    Raises:
        InputError: If there is no such class, its module fails, or saev cannot be extended by it.
    """
    from saev.registry import register

    module, _, name = path.rpartition(".")
    if module.partition(".")[0] not in nameable():
        raise InputError(f"{option} {refusal(path)}")
    found = getattr(_imported(module, path, option), name, None)
    if not isinstance(found, type):
        raise InputError(f"{option} {path}: the module {module} has no class {name}")
    return register(found)


def _imported(module: str, given: str, option: str = OPTION) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise InputError(
                f"{option} {given}: there is no module {error.name}, neither installed nor in {Path.cwd()}"
            ) from error
        raise InputError(f"{option} {given}: {_where(error)}{one_line(error)}") from error
    except InputError:
        raise
    except Exception as error:  # the code is the user's
        raise InputError(f"{option} {given}: {_where(error)}{type(error).__name__}: {reason(error)}") from error


def _where(error: Exception) -> str:
    """The line that failed."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}, line {last.lineno}: "


def _look_into(directory: Path) -> None:
    if not {str(directory), ""} & set(sys.path):
        sys.path.append(str(directory))
