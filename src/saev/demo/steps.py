"""Steps of a demo: each says what it does, and with which commands a user would do it, and is done once."""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

from saev.demo.folder import DemoFolder, DemoOptions, Finished, plain_name
from saev.demo.known_scenes import KnownScenes
from saev.demo.pictures import FRESH
from saev.demo.places import Places
from saev.errors import InputError
from saev.files import unwritable
from saev.vit.images import DemoScenes

CLIP: Final = "saev-demo/scenes"
LAYER: Final = -2
Argv = Sequence[str]
"""A command line behind `saev`."""


@final
@dataclass(frozen=True)
class Outcome:
    """What came out of a step."""

    said: Sequence[str]  # Lines for people.
    facts: Mapping[str, Any]  # What later steps need, as JSON.


@final
@dataclass(frozen=True)
class Step:
    """A step."""

    name: str  # For the marker.
    title: str  # A few words.
    words: str
    commands: Callable[[], Sequence[Argv]]  # What a user would type; asked when all steps before are done.
    work: Callable[[], Outcome]  # Does it.
    leaves: Callable[[], Iterable[Path]] = tuple
    """What it writes and would not go on with: removed before it is done again after an interruption."""

    def do(self, folder: DemoFolder) -> Finished:
        """Do it, and note it.

        Raises:
            InputError: From the work, or if the disk does not take it.
        """
        start = time.monotonic()
        for path in self.leaves():
            _remove(path)
        outcome = self.work()
        done = Finished(self.name, round(time.monotonic() - start, 1), list(outcome.said), dict(outcome.facts))
        folder.note(done)
        return done


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(unwritable(path, error)) from error


@final
@dataclass(frozen=True)
class Demo:
    """What all steps work on."""

    folder: DemoFolder

    @property
    def options(self) -> DemoOptions:
        """What it is made of."""
        return self.folder.options

    @cached_property
    def places(self) -> Places:
        """Where everything lies."""
        return Places(self.folder.path)

    @property
    def seed(self) -> int:
        """Of all chance."""
        return self.options.seed

    @cached_property
    def scenes(self) -> DemoScenes:
        """The scenes that are recorded."""
        return DemoScenes(self.options.n_scenes, self.seed)

    @cached_property
    def fresh_scenes(self) -> DemoScenes:
        """Scenes that nothing is trained on, chosen by or tested with."""
        return DemoScenes(self.options.n_scenes // 2, self.seed + FRESH)

    @cached_property
    def known(self) -> KnownScenes:
        """What is in the recorded scenes."""
        return KnownScenes(self.scenes)

    @cached_property
    def shards(self) -> Path:
        """The recording."""
        return self._recording("shards")

    @cached_property
    def fresh(self) -> Path:
        """The recording of the fresh scenes."""
        return self._recording("fresh")

    def _recording(self, which: str) -> Path:
        name = self.folder.facts("record", "shards", "fresh").text(which)
        return self.places.shards / plain_name(name, f"{self.folder.marker}: {which}")
