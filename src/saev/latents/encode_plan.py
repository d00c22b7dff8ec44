"""What `saev.encode` has to do, file by file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from saev.files import write_whole
from saev.latents.code_files import MAX_JSON_BYTES, CodeFile, Origin, file_name, write_codes
from saev.latents.codes import saved_file
from saev.latents.encoding import Encoding
from saev.latents.sparse import SparseCodes
from saev.nn.functional import images_at_once
from saev.shards.format.strict_json import canonical_json, parse_json, read_bytes

ENTRY_BYTES: Final = 16  # Of an active code on disk: latent, value, token and value again.
N_SAMPLED: Final = 8
Report = Callable[[int], object]


@final
@dataclass(frozen=True)
class Plan:
    """What is to be encoded, in which files."""

    encoding: Encoding  # The SAE and the images.
    origin: Origin  # What identifies its codes.
    images_per_file: int  # Images of each file but the last.
    directory: Path  # Where the files go.

    @property
    def n_files(self) -> int:
        """All files."""
        return -(-self.origin.n_images // self.images_per_file)

    def images(self, number: int) -> range:
        """Those of a file."""
        first = number * self.images_per_file
        return range(first, min(first + self.images_per_file, self.origin.n_images))

    def codes(self, number: int, report: Report) -> SparseCodes:
        """Those of a file; `report` hears of each number of images that is done."""
        parts = []
        for ids_b, part in self.encoding.batches(self.images(number), None):
            parts.append(part)
            report(len(ids_b))
        return SparseCodes.joined(parts)

    def record(self, number: int) -> Path:
        """Where is said what a finished file holds, until all are finished."""
        return (self.directory / file_name(number)).with_suffix(".json")

    def finished(self) -> dict[int, CodeFile]:
        """The files that are whole."""
        found = {}
        for number in range(self.n_files):
            path = self.record(number)
            if path.is_file():
                file = CodeFile.from_dict(parse_json(read_bytes(path, MAX_JSON_BYTES), str(path)), str(path))
                saved_file(self.directory, self.origin, self.images_per_file, number, file).check_size()
                found[number] = file
        return found

    def write(self, numbers: Iterable[int], report: Report) -> None:
        """Encode and write some files.

        Raises:
            InputError: If the disk does not take one, or a shard is damaged.
        """
        for number in numbers:
            file = write_codes(self.directory / file_name(number), self.codes(number, report))
            write_whole(self.record(number), canonical_json(file.to_dict()).encode("ascii"))


def bytes_per_image(encoding: Encoding) -> int:
    """About how much an image takes on disk, from a few that lie far apart."""
    n = len(encoding.tokens.examples)
    few = np.unique(np.linspace(0, n - 1, min(n, N_SAMPLED)).astype(np.int64))
    n_entries = sum(len(part.values_n) for _, part in encoding.batches(few, None))
    return 8 * encoding.spots.n_positions + ENTRY_BYTES * n_entries // len(few)


def images_per_file_of(encoding: Encoding, file_bytes: int, per_image: int) -> int:
    """As many as fit, but whole batches, one or more: how a product is rounded may depend on the size of a batch."""
    n, batch = file_bytes // per_image, images_at_once(encoding.d_sae, encoding.spots.n_positions)
    return max(batch, n - n % batch)
