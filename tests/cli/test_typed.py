"""Command lines of typed functions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import pytest

from saev.cli.parsing import typed
from saev.errors import InputError
from saev.vit.images import ImageSource

Capture = pytest.CaptureFixture[str]
given: list[dict[str, Any]] = []


@final
@dataclass(frozen=True)
class Size:
    """How large.

    Args:
        width: of a thing
        height: of a thing, too
    """

    width: int = 1
    height: int | None = None


WIDE = Size(3)


def look(
    directory: Path,
    *,
    paths: list[Path] | None = None,
    size: Size = WIDE,
    kind: Literal["a", "b"] = "a",
    deep: bool = False,
    kept: bool = True,
) -> int:
    """Look at a directory.

    And at more of it.

    Args:
        directory: which one
        paths: files of it
        size: of what is seen
        kind: of look
        deep: whether to look at folders
        kept: whether it stays
    """
    given.append(locals())
    return 7


def go(*, paths: Path) -> int:
    """Go to a path; it is one here.

    Args:
        paths: where to
    """
    given.append(locals())
    return 0


DEFAULTS = {"paths": None, "size": WIDE, "kind": "a", "deep": False, "kept": True}


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["--paths=a", "--paths", "b"], {"paths": [Path("a"), Path("b")]}),
        (["--paths=[a, b]", "--paths=c"], {"paths": [Path("a"), Path("b"), Path("c")]}),
        (["--size.height=2"], {"size": Size(3, 2)}),
        (["--deep", "--no_kept", "--kind=b"], {"deep": True, "kept": False, "kind": "b"}),
    ],
)
def test_options_are_arguments(argv: list[str], expected: dict[str, Any]) -> None:
    for status in (
        typed.run(look, ["D", *argv], "saev look"),
        typed.run_one_of(COMMANDS, ["look", "D", *argv], "x", ""),
    ):
        assert status == 7
        assert given.pop() == DEFAULTS | {"directory": Path("D")} | expected


COMMANDS = {"look": look, "go": go}


def test_a_list_of_one_command_is_one_value_of_another() -> None:
    assert typed.run_one_of(COMMANDS, ["go", "--paths=a"], "saev", "") == 0
    assert given.pop() == {"paths": Path("a")}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["look"], "required and not given: directory (see saev x look --help)"),
        (["go"], "required and not given: --paths ("),
        (["look", "D", "--paths="], "--paths: .*an empty name is no path"),
        (["look", "D", "--kind=c"], "--kind: expected one of 'a', 'b', got c"),
        (["look", "D", "--size.width=c"], "--size.width: expected int, got c"),
        (["look", "D", "--size=3"], "there is no option --size"),
        (["look", "D", "--dee"], "there is no option --dee"),
        ([], "to be one of {look,go}"),
        (["--", "look", "D"], "invalid choice: '--'"),
    ],
)
def test_what_is_wrong_is_named(argv: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(").replace(")", r"\)")):
        typed.run_one_of(COMMANDS, argv, "saev x", "")


def test_what_a_chosen_class_refuses_is_the_error() -> None:
    argv = ["go", "--paths=DemoScenes", "--paths.n_scenes"]
    assert typed.run_one_of({"go": go}, [*argv, "3"], "saev", "", {"paths": ImageSource}) == 0
    assert len(given.pop()["paths"]) == 3
    with pytest.raises(InputError, match=r"^--paths.n_scenes 0: give a number from 1 to [\d,]+$"):
        typed.run_one_of({"go": go}, [*argv, "0"], "saev", "", {"paths": ImageSource})
    with pytest.raises(InputError, match=r"^--paths.n_scenes: expected int, got x \(see saev go --help\)$"):
        typed.run_one_of({"go": go}, [*argv, "x"], "saev", "", {"paths": ImageSource})


def test_help_comes_from_docstrings(capsys: Capture) -> None:
    for argv, lines in (
        (["--help"], ["Do things.", "look look at a directory", "go go to a path; it is one here"]),
        (
            ["look", "--help"],
            [
                "Look at a directory. And at more of it.",
                "directory which one (required",
                "--size.height HEIGHT of a thing, too (",
                "--deep, --no_deep whether to look at folders (",
                "--paths PATHS, --paths+ PATHS files of it (",
            ],
        ),
    ):
        with pytest.raises(SystemExit) as end:
            typed.run_one_of(COMMANDS, argv, "saev x", "Do things.")
        assert end.value.code == 0
        text = " ".join(capsys.readouterr().out.split())
        assert [line for line in lines if line not in text] == []
