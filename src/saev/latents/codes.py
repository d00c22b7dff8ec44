"""The codes of all images of a recording, in memory or on disk, by image and by latent.

Shape suffixes: b = images, t = positions of an image, s = d_sae, a = some latents, n = active codes.
"""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import numpy as np
from scipy.sparse import csc_array
from typing_extensions import override

from saev.errors import InputError
from saev.latents.code_files import (
    CODES_FILE,
    MAX_FILES,
    CodeFile,
    FileShape,
    Origin,
    SavedFile,
    file_name,
    read_description,
)
from saev.latents.code_parts import OnDisk, Part
from saev.latents.encoding import Encoding, ImageCodes, Images, sae_digest
from saev.latents.sparse import MAX_PART_ENTRIES, SparseCodes
from saev.nn import SparseAutoencoder
from saev.progress import progress_bar
from saev.ranges import Ints, ranges
from saev.shards.tokens import TokenSelection


@final
class Codes(ImageCodes):
    """The active codes of an SAE on all images of a recording. `saev.encode` makes them, `open_codes` finds saved ones.

    Tokens are numbered image after image: that of position p of image i, among the positions that are encoded, is
    `i * n_positions + p`.

    >>> codes = open_codes("CODES")                                         # doctest: +SKIP
    >>> codes.of_images([3, 17]).dense().shape                              # doctest: +SKIP
    (2, 256, 16384)
    >>> codes.of_latents([5]).max()                                         # doctest: +SKIP
    7.25

    Args:
        origin: Whose codes of what these are.
        images_per_part: Images of each part but the last, which may have fewer.
        parts: All images, one after the other.

    Attributes:
        n_images: Images of the recording.
        n_positions: Encoded tokens of an image.
    """

    def __init__(self, origin: Origin, images_per_part: int, parts: Sequence[Part]) -> None:
        super().__init__(origin.d_sae, origin.spots, origin.layout.grid)
        self.origin, self.images_per_part, self.parts = origin, images_per_part, parts
        self.n_images, self.n_positions = origin.n_images, origin.spots.n_positions

    def of_images(self, images: Images) -> SparseCodes:
        """The codes of some images, in the order given: sparse rows of b t tokens, see `SparseCodes`.

        Raises:
            InputError: If these are no whole numbers in one row, there is no such image, or a file is damaged.
        """
        wanted = checked_numbers(images, self.n_images, "images")
        ascending, place = np.unique(wanted, return_inverse=True)
        found = [part for _, part in self.batches(ascending, None)]
        if not found:
            return SparseCodes(0, self.n_positions, self.d_sae, np.zeros(1, np.int64), np.empty(0, np.int32), _NONE)
        codes = SparseCodes.joined(found)
        return codes if np.array_equal(ascending, wanted) else codes.take(place)

    def of_latents(self, latents: Images) -> csc_array:
        """The codes of some latents on all tokens of all images: sparse columns (n_images t, a), in the order given.

        Only what belongs to these latents is read, and what shares a block of 4 MiB with it.

        Raises:
            InputError: If these are no whole numbers in one row, there is no such latent, or a file is damaged.
        """
        latents_a = checked_numbers(latents, self.d_sae, "latents")
        per_part = self.images_per_part * self.n_positions
        columns = [part.columns(latents_a) for part in self.parts]
        counts_pa = np.stack([one.counts_a for one in columns])
        starts = np.concatenate([[0], counts_pa.sum(0).cumsum()])
        tokens_n, values_n = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.float32)
        begin_a = starts[:-1].copy()
        for number, one in enumerate(columns):
            places = ranges(begin_a, one.counts_a)
            tokens_n[places] = one.tokens_n.astype(np.int64) + number * per_part
            values_n[places] = one.values_n
            begin_a += one.counts_a
        return csc_array((values_n, tokens_n, starts), shape=(self.n_images * self.n_positions, len(latents_a)))

    @override
    def batches(self, images: Images, what: str | None) -> Iterator[tuple[Ints, SparseCodes]]:
        wanted = np.asarray(images, dtype=np.int64)
        with progress_bar(total=len(wanted), desc=what, unit=" images", disable=what is None) as progress:
            for number, part in enumerate(self.parts):
                first = number * self.images_per_part
                low, high = np.searchsorted(wanted, [first, first + self.images_per_part])
                for rows in _together(wanted[low:high] - first, part):
                    span = range(int(rows[0]), int(rows[-1]) + 1)
                    codes = part.rows(span)
                    yield rows + first, codes if len(span) == len(rows) else codes.take(rows - span.start)
                    progress.update(len(rows))

    def check(self, sae: SparseAutoencoder, tokens: TokenSelection) -> None:
        """Raise InputError, with both values, unless these are the codes of an SAE on the tokens of a recording."""
        expected = origin_of(sae, tokens)
        for what, own, other in differences(self.origin, expected):
            raise InputError(f"the codes are of {what} {own}, not of {other}: encode again, with `saev encode`")


_NONE: Final = np.empty(0, np.float32)


def with_saved(encodings: Mapping[str, Encoding], saved: Sequence[Codes | str | Path]) -> dict[str, ImageCodes]:
    """The codes of SAEs by name: those that are saved, wherever there are such, in the place of encoding.

    Args:
        saved: Codes, or their directories, of some of the SAEs.

    Raises:
        InputError: If codes are of none of the SAEs, of other shards or of other tokens.
    """
    found: dict[str, ImageCodes] = dict(encodings)
    names: dict[str, list[str]] = {}
    if saved:
        for name, one in encodings.items():
            names.setdefault(sae_digest(one.sae), []).append(name)
    for given in saved:
        codes = given if isinstance(given, Codes) else open_codes(given)
        if codes.origin.sae not in names:
            where = "the codes" if given is codes else str(given)
            raise InputError(
                f"{where}: of an SAE with the digest {codes.origin.sae}, {', '.join(encodings)} have "
                f"{', '.join(names)}: encode again, with `saev encode`"
            )
        for name in names[codes.origin.sae]:
            codes.check(encodings[name].sae, encodings[name].tokens)
            found[name] = codes
    return found


def differences(one: Origin, other: Origin) -> list[tuple[str, object, object]]:
    """In what two origins differ, and the two values."""
    compared = [
        ("the SAE with the digest", one.sae, other.sae),
        ("the shards with the content id", one.shards, other.shards),
        ("shards whose bytes have the digest", one.activations, other.activations),
        ("the tokens", one.tokens, other.tokens),
    ]
    return [(what, before, now) for what, before, now in compared if before != now]


def origin_of(sae: SparseAutoencoder, tokens: TokenSelection) -> Origin:
    """Whose codes on what `Encoding(sae, tokens)` gives."""
    layout, identity = tokens.reader.layout, tokens.identity()
    return Origin(
        sae=sae_digest(sae),
        d_in=sae.d_in,
        d_sae=sae.d_sae,
        shards=identity["shards"],
        activations=identity["bytes"],
        layout=layout.tokens,
        tokens=layout.tokens.kind_of(tokens.positions),
        n_images=layout.n_examples,
    )


def open_codes(directory: str | Path) -> Codes:
    """Open codes that `saev encode` wrote. Sizes are checked now, and each block when it is read.

    Raises:
        InputError: If the directory holds no codes, is unfinished, or lacks bytes.
    """
    directory = Path(directory)
    path = directory / CODES_FILE
    if not path.is_file():
        raise InputError(f"{directory} holds no {CODES_FILE}: give a directory that `saev encode` printed")
    origin, per_file, files = read_description(path)
    saved = [saved_file(directory, origin, per_file, number, file) for number, file in enumerate(files)]
    for one in saved:
        one.check_size()
    return Codes(origin, per_file, [OnDisk(one) for one in saved])


def saved_file(directory: Path, origin: Origin, per_file: int, number: int, file: CodeFile) -> SavedFile:
    """A file of codes with what follows from its number."""
    assert number < MAX_FILES, number
    n_images = min(per_file, origin.n_images - number * per_file)
    shape = FileShape(n_images, origin.spots.n_positions, origin.d_sae, file.n_entries)
    return SavedFile(directory, file_name(number), file, shape)


def _together(rows: Ints, part: Part) -> Iterator[Ints]:
    """Images of a part whose entries, with those between, are read in one go."""
    if not len(rows):
        return
    starts = part.image_starts
    begin = 0
    for i in range(1, len(rows)):
        if starts[rows[i] + 1] - starts[rows[begin]] > MAX_PART_ENTRIES:
            yield rows[begin:i]
            begin = i
    yield rows[begin:]


def checked_numbers(given: Images, n: int, what: str) -> Ints:
    """Numbers of images, latents, ... of which there are n, as int64.

    Raises:
        InputError: If these are no whole numbers in one row, or one is out of range.
    """
    found = np.asarray(given)
    if found.ndim != 1 or (len(found) and not np.issubdtype(found.dtype, np.integer)):
        raise InputError(f"{what} {reprlib.repr(given)}: give a list of whole numbers, such as [0, {n - 1}]")
    numbers = found.astype(np.int64)
    bad = numbers[(numbers < 0) | (numbers >= n)]
    if len(bad):
        raise InputError(f"{what} {bad[:5].tolist()}: there are {what} 0 to {n - 1}")
    return numbers
