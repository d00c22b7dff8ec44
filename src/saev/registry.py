"""Classes by the names that files and options give them: those of saev, of its users, and of installed packages.

A name that stands in a file finds a class that was made known before, by `register`, by ``--import`` or by an
entry point. No module is imported because a file names it.
"""

import inspect
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar, final

from typing_extensions import override

from saev.errors import InputError, one_line, tell

T = TypeVar("T")
C = TypeVar("C", bound=type)


@final
class Registry(Mapping[str, type[T]], Generic[T]):
    """The known classes of one kind, by name.

    Args:
        kind: What one of them is called in messages.
        group: Under which entry points packages offer theirs, each with the path of one class.
        names: The names of a class, where it has others than its own.
    """

    def __init__(
        self,
        base: type[Any],
        kind: str,
        group: str,
        names: Callable[[type[T]], Sequence[str]] = lambda cls: (cls.__name__,),
    ) -> None:
        self.base = base
        self.kind = kind
        self._group = group
        self._names = names
        self._classes: dict[str, type[T]] = {}
        self._has_asked_packages = False
        _REGISTRIES.append(self)

    @override
    def __getitem__(self, name: str) -> type[T]:
        return self._classes[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    @override
    def __len__(self) -> int:
        return len(self._classes)

    def add(self, cls: type[T]) -> type[T]:
        """Make a class known. One that is defined again, as in a notebook, takes the place of the earlier one.

        Raises:
            InputError: If it is no class of this kind, lacks methods, or another class has its name.
        """
        if not issubclass(cls, self.base):
            raise InputError(f"{path_of(cls)} is no {self.kind}: derive it from {path_of(self.base)}")
        if missing := getattr(cls, "__abstractmethods__", ()):
            raise InputError(f"{path_of(cls)} lacks {', '.join(sorted(missing))}, which each {self.kind} has: add it")
        for name in self._names(cls):
            known = self._classes.get(name)
            if known is not None and path_of(known) != path_of(cls):
                raise InputError(
                    f"{path_of(cls)} has the name of another {self.kind}, {path_of(known)}: files could not tell them "
                    f"apart, rename it from {name}"
                )
            self._classes[name] = cls
        return cls

    def named(self, name: object, where: str) -> type[T]:
        """The class of a name.

        Args:
            name: From a file or an option.
            where: Begins the message: who names it.

        Raises:
            InputError: If there is no such class.
        """
        if isinstance(name, str):
            if name not in self._classes:
                self.load_packages()
            if name in self._classes:
                return self._classes[name]
        raise InputError(
            f"{where} names the {self.kind} {reprlib.repr(name)}, known are {', '.join(sorted(self._classes))}: "
            "--import MODULE makes the classes of a module known (in Python, saev.register)"
        )

    def load_packages(self) -> None:
        """Make known what installed packages offer; what cannot be loaded is left out, which is said."""
        if self._has_asked_packages:
            return
        self._has_asked_packages = True
        for entry in entry_points(group=self._group):
            try:
                self.add(entry.load())
            except Exception as error:  # it runs the code of others
                tell(f"the {self.kind} {entry.value} of an installed package is left out: {one_line(error)}")


_REGISTRIES: list[Registry[Any]] = []


def register(cls: C) -> C:
    """Make a class known, by its name: an architecture, a backbone, a source of pictures, a metric.

    Files name classes, and only those that are known are built: register a class of your own before you load what was
    saved with it. On the command line ``--import MODULE`` does it for all classes of a module.

    Args:
        cls: A class derived from `SparseAutoencoder`, `Backbone`, `ImageSource` or another one that docs/extending.md
            names.

    Returns:
        The class itself, so that it can be used as a decorator.

    Raises:
        InputError: If it is none of these, lacks methods, or has the name of another one.

    >>> from saev.nn import TopK
    >>> register(TopK).__name__  # one of saev's own, which is known: nothing changes
    'TopK'
    """
    if not isinstance(cls, type):
        raise InputError(f"{cls!r} is no class: give the class itself")
    registry = _registry_of(cls)
    if registry is None:
        raise InputError(
            f"{path_of(cls)} is nothing that saev can be extended by: derive it from SparseAutoencoder, Backbone, "
            "ImageSource or another class that docs/extending.md names"
        )
    registry.add(cls)
    return cls


def register_module(module: ModuleType) -> None:
    """Make all classes known that a module or package defines, but for abstract ones and those with an underscore.

    Raises:
        InputError: If one of them has the name of another one.
    """
    for name, cls in list(vars(module).items()):
        if not inspect.isclass(cls) or inspect.isabstract(cls) or name.startswith("_"):
            continue
        is_own = f"{cls.__module__}.".startswith(f"{module.__name__}.")
        if is_own and (registry := _registry_of(cls)) is not None:
            registry.add(cls)


def load_packages() -> None:
    """Make known what installed packages offer, of all kinds that are in use by now."""
    for registry in _REGISTRIES:
        registry.load_packages()


def known_packages() -> set[str]:
    """The top packages of all classes that are known."""
    return {cls.__module__.partition(".")[0] for registry in _REGISTRIES for cls in registry.values()}


def path_of(cls: type) -> str:
    """Module and name of a class.

    >>> path_of(Registry)
    'saev.registry.Registry'
    """
    return f"{cls.__module__}.{cls.__qualname__}"


def kept_arguments(made: object, method: str) -> dict[str, Any]:
    """The arguments that an object was made with, which it keeps as attributes of the same names.

    Args:
        method: Names the method that a class has instead where it does not keep them.

    Raises:
        InputError: If there is no attribute of a name.
    """
    names = inspect.signature(type(made)).parameters
    if missing := [name for name in names if not hasattr(made, name)]:
        raise InputError(
            f"{path_of(type(made))} has no attribute {missing[0]!r}: keep the argument there, or define {method}()"
        )
    return {name: getattr(made, name) for name in names}


def _registry_of(cls: type) -> Registry[Any] | None:
    return next((registry for registry in _REGISTRIES if issubclass(cls, registry.base)), None)
