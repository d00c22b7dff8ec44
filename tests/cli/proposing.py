"""`saev probe propose` as tests call it, and what it has found."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tests.probing.planted import Planted


def command(planted: Planted, out: Path, *more: str) -> list[str]:
    return ["probe", "propose", f"--sae={planted.sae}", f"--shards={planted.shards}", f"--out={out}",
            "--device=cpu", "--n_permutations=200", *more]  # fmt: skip


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "candidates.parquet").to_pylist()
    return found


def best(out: Path, source: str, attribute: str) -> dict[str, Any]:
    (found,) = (
        one
        for one in rows(out)
        if (one["source"], one["attribute"]) == (source, attribute) and one["best_of_attribute"]
    )
    return found
