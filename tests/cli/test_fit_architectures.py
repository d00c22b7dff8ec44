"""Every architecture through the real `saev fit`: it learns the structure, its page is made, and it loads again."""

from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, metrics, only, sparse_acts
from tests.conftest import MakeShards

import saev
from saev.cli.main import main
from saev.nn import ARCHITECTURES

# Each with the most FVU that it may leave; three directions make each token.
OPTIONS = {
    "Archetypal": (["k=4", "n_points=200"], 0.15),
    "BatchTopK": (["k=4"], 0.15),
    "Gated": (["l1_coeff=1.0"], 0.15),
    "HierarchicalTopK": (["k=4"], 0.15),
    "JumpReLU": (["l0_coeff=0.3", "threshold=1.0"], 0.15),
    "MatchingPursuit": (["k=4"], 0.1),
    "Matryoshka": (["k=4"], 0.15),
    "ReLU": (["l1_coeff=1.0"], 0.15),
    "TopK": (["k=4"], 0.15),
}


def test_all_are_here() -> None:
    assert set(OPTIONS) == set(ARCHITECTURES)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_fit(name: str, make_shards: MakeShards, tmp_path: Path) -> None:
    options, most_fvu = OPTIONS[name]
    shards, _ = make_shards(60, d_model=16, grid=(3, 4), n_registers=2, acts=sparse_acts(60, 15))
    sae = [f"--model.sae={name}", "--model.sae.d_sae=48", *(f"--model.sae.{option}" for option in options)]
    assert main(fit_options(shards, tmp_path / "run", "--data.n_tokens=25600", sae=sae)) == 0
    found = metrics(tmp_path / "run")["val"]
    assert found["fvu"] < most_fvu and found["l0"] < 16
    directory = only(tmp_path / "run", "saes/*")
    assert (tmp_path / "run" / "features" / directory.name / "index.html").is_file()
    assert type(saev.load(directory)).__name__ == name
