"""Galleries to read."""

from pathlib import Path

import pytest
from tests.gallery import detail_galleries, galleries


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with pictures of latents 6, 17, 25 and 33, in a folder whose name needs escaping in URLs."""
    return galleries.write(tmp_path_factory.mktemp("page") / "a gallery #1")


@pytest.fixture(scope="session")
def full_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with pictures of all 36 latents that are alive."""
    return galleries.write(tmp_path_factory.mktemp("full") / "g", pages=range(4, galleries.N_LATENTS))


@pytest.fixture(scope="session")
def latents_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery whose pages of latents have everything on them."""
    return detail_galleries.write(tmp_path_factory.mktemp("latents") / "a gallery #1")
