"""The options of training, which stand once: in `TrainingOptions`."""

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import saev
from saev.errors import InputError
from saev.training.options import TrainingOptions

DOCS = Path(saev.__file__).parents[2] / "docs" / "training.md"


def described() -> dict[str, str]:
    """Each option with its words, from the docstring."""
    text = inspect.cleandoc(TrainingOptions.__doc__ or "")
    (args,) = re.findall(r"^Args:\n(.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    found = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", args, re.MULTILINE))
    return {name: " ".join(words.split()) for name, words in found.items()}


def shown(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def test_the_docs_say_what_the_dataclass_says() -> None:
    section = DOCS.read_text(encoding="utf-8").partition("## Options of training\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^- `(\w+)`(?: \((.*?)\))?: (.*(?:\n  .*)*)", section, re.MULTILINE)
    words = described()
    expected = [(one.name, shown(one.default), words[one.name]) for one in fields(TrainingOptions)]
    assert [(name, default, " ".join(text.split())) for name, default, text in documented] == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lr": True}, "lr must be a number, not True"),
        ({"lr": "1"}, "lr must be a number, not '1'"),
        ({"k_aux": 2.0}, "k_aux must be a whole number, not 2.0"),
        ({"dead_after": "never"}, "dead_after must be a whole number, not 'never'"),
        ({"dead_after": 0}, "dead_after=0 must be 1 token or more"),
        ({"warmup": 0.6, "decay": 0.6}, "warmup=0.6 and decay=0.6 are shares: at most 1 together"),
        ({"k_anneal": 1.5}, "k_anneal=1.5 are shares: at most 1"),
        ({"init": "zeros"}, "init='zeros' must be one of data, random"),
    ],
)
def test_values_that_make_no_sense(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        TrainingOptions(**wrong)


def test_a_learning_rate_that_was_chosen_stays() -> None:
    assert TrainingOptions().with_lr(0.1).peak_lr == 0.1
    assert TrainingOptions(lr=0.5).with_lr(0.1).peak_lr == 0.5
