"""The directory of a demo: a marker says that it is one, how it was made, and which steps are finished."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self, final

import saev
from saev.artifacts.typed_json import from_json
from saev.byte_text import byte_text
from saev.cli.runs.lock import alone_in, contents
from saev.errors import InputError, printable, shortened
from saev.files import check_writable, free_bytes, read_regular, write_whole
from saev.shards.format.strict_json import JsonObject, parse_json

MARKER: Final = "saev-demo.json"
FORMAT: Final = "saev-demo"
VERSION: Final = 1
_MAX_BYTES: Final = 2**24
BYTES_OF_SCENE: Final = 200_000
"""On disk, in all files of a demo; 140,000 were measured with 2,000 scenes."""
BYTES_BESIDE: Final = 60_000_000
"""That do not depend on how many scenes there are."""
FEWEST: Final = 200
MOST: Final = 100_000


@final
@dataclass(frozen=True)
class DemoOptions:
    """What a demo is made of.

    Args:
        n_scenes: Scenes that are recorded.
        seed: Of the scenes, and of all chance.

    Raises:
        InputError: If a number makes no sense.
    """

    n_scenes: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not FEWEST <= self.n_scenes <= MOST:
            raise InputError(f"--n_scenes {self.n_scenes}: a demo needs {FEWEST} scenes or more, and at most {MOST:,}")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed {self.seed} must be from 0 to 2,147,483,647")

    @property
    def n_bytes(self) -> int:
        """How much disk a demo takes, with room to spare."""
        return self.n_scenes * BYTES_OF_SCENE + BYTES_BESIDE

    def __str__(self) -> str:
        return f"--n_scenes {self.n_scenes} --seed {self.seed}"


@final
@dataclass(frozen=True)
class Finished:
    """A step that is done."""

    name: str
    seconds: float  # That it took.
    said: list[str]  # Lines on what came out.
    facts: Mapping[str, Any]  # What later steps need of it, as JSON.


@final
@dataclass
class DemoFolder:
    """A demo on disk."""

    path: Path
    options: DemoOptions  # What the demo is made of.
    finished: list[Finished] = field(default_factory=list)  # The steps that are done, in order.

    @property
    def marker(self) -> Path:
        """The file that says so."""
        return self.path / MARKER

    @classmethod
    def at(cls, path: Path, options: DemoOptions) -> Self:
        """What is there, or a new demo where nothing is; nothing is written.

        Raises:
            InputError: If something else is there, or a demo of other options or of another version of saev.
        """
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file: give a directory, new or empty")
        if not (path / MARKER).exists():
            if any(not one.name.startswith(f".{MARKER}") for one in contents(path)):  # of a run that was killed
                raise InputError(
                    f"{path} is not empty, and no demo of saev (it has no {MARKER}): give another directory"
                )
            return cls(path, options)
        found = cls._read(path)
        if found.options != options:
            raise InputError(f"{path} holds a demo made with {found.options}: give these, or another directory (--out)")
        return found

    @classmethod
    def _read(cls, path: Path) -> Self:
        marker = path / MARKER
        value = parse_json(read_regular(marker, _MAX_BYTES), str(marker))
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise InputError(f"{marker} is no marker of a demo: give another directory")
        if (value.get("version"), value.get("saev")) != (VERSION, saev.__version__):
            raise InputError(
                f"{path} holds a demo of another version of saev ({value.get('saev')}; this is {saev.__version__}): "
                "give another directory, or remove it (chmod -R u+w, then rm -r)"
            )
        found = JsonObject(value, str(marker), ["format", "version", "saev", "options", "finished"])
        options = JsonObject(found.mapping("options"), f"{marker}: options", [one.name for one in fields(DemoOptions)])
        steps = [from_json(Finished, one, f"{marker}: finished") for one in found.array("finished")]
        return cls(path, DemoOptions(options.integer("n_scenes"), options.integer("seed")), steps)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep other demos out of the directory, which is made, and mark it as one.

        Raises:
            InputError: If another process is at work there, it cannot be written, or the disk is too small.
        """
        check_writable(self.path)
        with alone_in(self.path):
            self.finished = type(self).at(self.path, self.options).finished  # another one may have gone on meanwhile
            self._check_space()
            self._write()
            yield

    def done(self, name: str) -> Finished | None:
        """What came out of a step, or None where it is still to be done."""
        return next((one for one in self.finished if one.name == name), None)

    def facts(self, step: str, *names: str) -> JsonObject:
        """What a finished step found: all of it, by name.

        Raises:
            InputError: If the marker says something else of that step; so does what is then asked for by type.
        """
        done = self.done(step)
        assert done is not None, f"step {step!r} comes first"
        return JsonObject(dict(done.facts), f"{self.marker}: {step}", names)

    def note(self, step: Finished) -> None:
        """Keep that a step is done.

        Raises:
            InputError: If the disk does not take it.
        """
        self.finished.append(step)
        self._write()

    def _write(self) -> None:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "saev": saev.__version__,
            "options": asdict(self.options),
            "finished": [asdict(one) for one in self.finished],
        }
        write_whole(self.marker, f"{json.dumps(content, indent=1)}\n".encode())

    def _check_space(self) -> None:
        free, there = free_bytes(self.path), _bytes_in(self.path)
        if (needed := self.options.n_bytes - there) > free:
            raise InputError(
                f"{self.path}: a demo of {self.options.n_scenes:,} scenes takes {byte_text(needed)} more, "
                f"{byte_text(free)} are free: make room, give fewer --n_scenes, or another --out"
            )


def plain_name(name: str, where: str) -> str:
    """A name that a marker gives, if it leads nowhere else: files are written, and removed, below it.

    Raises:
        InputError: If it is a path.
    """
    if name in ("", "..") or Path(name).name != name:
        raise InputError(f"{where}: {shortened(printable(name))!r} is no name of a file: the marker was changed")
    return name


def _bytes_in(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total
