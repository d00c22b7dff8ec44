"""Classes of one's own, known by name."""

import sys
from abc import ABC, abstractmethod
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

import saev
from saev import registry
from saev.errors import InputError
from saev.registry import Registry, register_module


class Thing(ABC):
    @abstractmethod
    def size(self) -> int: ...


def thing(name: str, module: str, **more: Any) -> type[Thing]:
    """A class of this name, as a module would define it."""
    return type(name, (Thing,), {"__module__": module, "size": lambda self: 1, **more})


KNOWN = thing("Known", "saev.things")


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> Registry[Thing]:
    """A kind of classes, of which one is known."""
    monkeypatch.setattr(registry, "_REGISTRIES", list(registry._REGISTRIES))
    found: Registry[Thing] = Registry(Thing, "thing", "saev.things")
    found.add(KNOWN)
    return found


def test_a_class_that_is_registered_is_found_by_its_name(things: Registry[Thing]) -> None:
    mine = thing("Mine", "mymod")
    assert saev.register(mine) is mine
    assert things.named("Mine", "config.json") is mine


def test_a_class_that_is_defined_again_takes_the_place_of_the_earlier_one(things: Registry[Thing]) -> None:
    saev.register(thing("Mine", "__main__"))
    again = saev.register(thing("Mine", "__main__"))
    assert things["Mine"] is again


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (thing("Known", "mymod"), r"mymod.Known has the name of another thing, saev.things.Known: .* rename it"),
        (int, "builtins.int is nothing that saev can be extended by: derive it from SparseAutoencoder"),
        (Thing, r"Thing lacks size, which each thing has"),
    ],
)
def test_what_cannot_be_registered_is_refused(cls: type, message: str, things: Registry[Thing]) -> None:
    with pytest.raises(InputError, match=message):
        saev.register(cls)
    assert dict(things) == {"Known": KNOWN}


@pytest.mark.parametrize("name", ["os.system", ["Known"], None, 3])
def test_a_name_that_is_not_known_says_how_to_make_it_known(name: object, things: Registry[Thing]) -> None:
    with pytest.raises(InputError, match=r"^config.json names the thing .*known are Known: --import MODULE"):
        things.named(name, "config.json")


def test_a_module_gives_its_own_classes_alone(things: Registry[Thing]) -> None:
    module = ModuleType("mypack")
    vars(module).update(
        A=thing("A", "mypack"),
        B=thing("B", "mypack.part"),
        Other=thing("Other", "mypackage"),
        _Hidden=thing("_Hidden", "mypack"),
        Abstract=type("Abstract", (Thing,), {"__module__": "mypack"}),
        Known=KNOWN,
        number=3,
    )
    register_module(module)
    assert set(things) == {"Known", "A", "B"}


def test_packages_offer_classes_and_those_that_fail_are_left_out(
    things: Registry[Thing], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = ModuleType("theirs")
    vars(module).update(Theirs=thing("Theirs", "theirs"), Known=thing("Known", "theirs"))
    monkeypatch.setitem(sys.modules, "theirs", module)
    offered = [EntryPoint(name, f"theirs:{name}", "saev.things") for name in ("Gone", "Known", "Theirs")]
    monkeypatch.setattr(registry, "entry_points", lambda group: offered if group == "saev.things" else [])
    assert things.named("Known", "config.json") is KNOWN
    assert capsys.readouterr().err == "", "no package is asked for what is known"
    assert things.named("Theirs", "config.json") is vars(module)["Theirs"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "theirs:Gone of an installed package is left out" in said[0]
    assert "theirs.Known has the name of another thing" in said[1]
    assert things["Known"] is KNOWN
