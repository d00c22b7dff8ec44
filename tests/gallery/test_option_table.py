"""The table of options in docs/gallery.md against the options."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

from saev.callbacks import FeatureVisualizer
from saev.gallery import RenderOptions

DOCS = Path(__file__).parents[2] / "docs" / "gallery.md"


def test_the_table_of_options_names_all_of_them_with_their_defaults() -> None:
    table = DOCS.read_text(encoding="utf-8").partition("## Options")[2].partition("\n## ")[0]
    documented: dict[str, str] = {}
    for names, default in re.findall(r"^\| (`.*?`) \| (.*?) \|", table, re.MULTILINE):
        documented |= dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip("`"))
    expected = {field.name: field.default for field in fields(RenderOptions)}
    own = inspect.signature(FeatureVisualizer.__init__).parameters
    expected |= {name: own[name].default for name in ("n_tensorboard", "proposal_half")}
    written = {name: f"{value:,}" if isinstance(value, int) else str(value) for name, value in expected.items()}
    assert documented == {name: "none" if value == "None" else value for name, value in written.items()}
