"""What a user gave a test beside hypotheses, SAE, recording and sets, which have digests of their own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, final

from saev.errors import InputError
from saev.files import check_regular, unreadable
from saev.latents.code_files import CODES_FILE
from saev.latents.codes import Codes
from saev.latents.metadata import Metadata
from saev.probing.pictures.attributes import Attributes
from saev.probing.pictures.known import IMAGE, PATCH

What = Literal["answers", "metadata", "labels", "codes", "weights"]
_MAX_BYTES: Final = 2**40


@final
@dataclass(frozen=True)
class Input:
    """A file or folder that decided something."""

    what: What  # The option that named it.
    path: str  # As it was given; of a table of the source of pictures, the name of its class.
    sha256: str
    """Of the file; of a directory of codes that of `codes.json`, which has those of its files. Of folders of tasks, of
    what they say: the name of each task in UTF-8, a 0 byte, and a byte for each picture of the recording (1
    positive, 0 negative, 255 neither). Of a source's table `Metadata.digest`."""


def inputs_of(
    answers: Sequence[str | Path],
    metadata: str | Path | Metadata | None,
    labels: Sequence[str | Path] | None,
    attributes: Attributes | None,
    codes: Codes | str | Path | None = None,
    weights: str | None = None,
) -> tuple[Input, ...]:
    """The inputs of a test.

    Args:
        answers: Files of answers.
        metadata: The table: its file, or that of the source of pictures.
        labels: As in `Known.of`; several folders of tasks are one input.
        attributes: What was read of them.
        codes: Of which the directory is an input; those in memory have no digest.
        weights: Of the ViT, if it was used; a file is an input.

    Raises:
        InputError: If a file cannot be read.
    """
    found = [_of_file("answers", one) for one in answers]
    if isinstance(metadata, Metadata):
        found.append(Input("metadata", metadata.name, metadata.digest))
    elif metadata is not None:
        found.append(_of_file("metadata", metadata))
    folders = [str(one) for one in labels or () if str(one) not in (IMAGE, PATCH)]
    if folders:
        assert attributes is not None
        said = hashlib.sha256()
        for one, y_i in zip(attributes.binary, attributes.y_ij.T, strict=True):
            if one.source == "folders":
                said.update(one.name.encode() + b"\0" + y_i.astype("i1").tobytes())
        found.append(Input("labels", ", ".join(folders), said.hexdigest()))
    if isinstance(codes, str | Path):
        found.append(replace(_of_file("codes", Path(codes) / CODES_FILE), path=str(codes)))
    if weights not in (None, "random"):
        found.append(_of_file("weights", weights))
    return tuple(found)


def _of_file(what: What, path: str | Path) -> Input:
    check_regular(path, _MAX_BYTES)
    try:
        with Path(path).open("rb") as file:
            return Input(what, str(path), hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise InputError(f"{path}: {unreadable(error)}") from error
