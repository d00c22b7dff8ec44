"""Pictures and recordings that tests share, and which tests of commands are in the fast tier."""

from pathlib import Path

import pytest
from tests.cli.fitting import sparse_acts
from tests.cli.processes import Tree, tree
from tests.cli.recording import activations, folder, long_options, options, write_pictures
from tests.cli.warm import remember_parsers
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards
from torch import Tensor

from saev.cli.record import record

FAST = (
    "test_fit.py",
    "test_predict.py",
    "test_predict_pictures.py",
    "test_shards_cli.py",
    "test_help.py",
    "test_option_errors.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Most tests of commands take a second or more: the fast tier has those of what users do first."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name not in FAST:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def parsers_are_built_once() -> None:
    """To build one takes longer than many a command that is refused."""
    remember_parsers()


@pytest.fixture(scope="session")
def shards(make_shards: MakeShards) -> Path:
    """Activations with a structure: 51 images of 13 tokens, which tests read only."""
    return make_shards(51, d_model=16, grid=(3, 4), acts=sparse_acts(51, 13))[0]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures in two classes."""
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def float32(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """The activations that the default options record."""
    (directory,) = record(options(tmp_path_factory.mktemp("float32"), folder(pictures))[1:])
    return activations(Path(directory))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of `long_options`."""
    root = write_pictures(tmp_path_factory.mktemp("many"))
    for number in range(379):
        (root / f"cat/link{number}.png").hardlink_to(root / "cat/0.png")
    return root


@pytest.fixture(scope="session")
def many_recorded(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """What an undisturbed recording of `long_options` leaves."""
    out = tmp_path_factory.mktemp("undisturbed")
    status, _, err = finish(start(long_options(out, many)))
    assert status == 0, err
    return tree(out)
