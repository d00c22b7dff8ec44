"""Tables as CSV that spreadsheets can open without harm."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How texts begin that a spreadsheet may take for formulas."""


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A table with its head; None is left empty, and texts that look like formulas get a quotation mark in front.

    >>> csv_text(["name", "value"], [["=1+1", 2.5], ["cat", None]])
    "name,value\n'=1+1,2.5\ncat,\n"
    """
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([_plain(one) for one in row] for row in [columns, *rows])
    return file.getvalue()


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
