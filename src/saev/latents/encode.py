"""`saev.encode`: the codes of an SAE on all images of a recording, in memory or saved."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from saev.artifacts import RecordedLayer, load_sae, provenance_of
from saev.byte_text import byte_text
from saev.device import chosen_device
from saev.errors import InputError, tell
from saev.files import bring_to_disk, free_bytes, unwritable
from saev.free_memory import check_memory
from saev.latents.code_files import (
    CODES_FILE,
    MAX_FILES,
    Origin,
    read_description,
    write_description,
)
from saev.latents.code_parts import InMemory
from saev.latents.codes import Codes, differences, open_codes, origin_of
from saev.latents.encode_plan import Plan, bytes_per_image, images_per_file_of
from saev.latents.encoding import Encoding
from saev.lock import LOCK_SUFFIX, FileLock
from saev.nn import SparseAutoencoder
from saev.nn.evaluating import evaluating
from saev.progress import progress_bar
from saev.shards.format.layout import TokenKind
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

FILE_BYTES: Final = 2**27
_PLAN_FILE: Final = "plan.json"
_RECORDS: Final = "codes*[0-9].json"


def encode(
    sae: SparseAutoencoder | str | Path,
    shards: ShardReader | str | Path,
    out: str | Path | None = None,
    *,
    layer: int | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
    processes: int = 1,
    file_bytes: int = FILE_BYTES,
) -> Codes:
    """The active codes of an SAE on all images of a recording.

    With `out` they are saved there, in files of about `file_bytes`. Until all are whole they lie in `.NAME.partial`
    beside it; the same call goes on from there after an interruption, and makes no whole file again. Memory of each
    process: a batch of dense codes (256 MiB) in all forms that the SAE needs on the way, and about four times
    `file_bytes`; 1.7 GB in all, torch itself among it, were measured with a TopK of 1,024 latents.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(2), backbone, [-2], f"{directory}/shards")
    ...     codes = encode(sae, shards)
    >>> codes.of_images([0]).matrix.shape, codes.of_latents([7, 9]).shape  # 100 patches of each picture
    ((100, 128), (200, 2))

    Args:
        sae: An SAE, or the directory of one.
        shards: A recording, or its directory.
        out: The directory of the codes; by default they stay in memory.
        layer: Which layer, where a directory of the original saev holds several.
        tokens: Which tokens of each image; by default those that the SAE was trained on, or the patches where that is
            not known.
        device: cpu, cuda, ...; by default a GPU if there is one.
        processes: How many divide the files.
        file_bytes: About the size of a file, unless a batch takes more; a smaller one loses less by an interruption.

    Raises:
        InputError: If the SAE or the shards cannot be had or do not belong together, something else is at `out`, the
            codes do not fit on the disk or into memory, a code is not finite, or a shard is damaged.
    """
    if processes < 1 or file_bytes < 1:
        raise InputError(f"processes={processes} and file_bytes={file_bytes} must be 1 or more")
    with encodings_of({"": sae}, shards, layer, tokens, device) as encodings:
        encoding = encodings[""]
        return _in_memory(encoding) if out is None else _saved(encoding, Path(out), processes, file_bytes)


@contextmanager
def encodings_of(
    saes: Mapping[str, SparseAutoencoder | str | Path],
    shards: ShardReader | str | Path,
    layer: int | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
) -> Iterator[dict[str, Encoding]]:
    """SAEs by name and a recording that belong together, as `encode` takes one.

    The SAEs evaluate, on the device, while the block runs; mode and device are then again what they were.

    Raises:
        InputError: If they do not.
    """
    reader = shards if isinstance(shards, ShardReader) else open_shards(shards, layer)
    with ExitStack() as stack:
        yield {name: stack.enter_context(_encoding(sae, reader, tokens, device)) for name, sae in saes.items()}


@contextmanager
def _encoding(
    sae: SparseAutoencoder | str | Path, reader: ShardReader, tokens: TokenKind | None, device: str | None
) -> Iterator[Encoding]:
    sae = sae if isinstance(sae, SparseAutoencoder) else load_sae(sae)
    provenance = provenance_of(sae)
    if len(provenance.layers) > 1:
        raise InputError("the SAE takes several layers at once: give an SAE of one layer")
    if None not in (tokens, provenance.tokens) and tokens != provenance.tokens:
        raise InputError(f"the SAE was trained on {provenance.tokens} tokens, not on {tokens}: leave tokens out")
    if sae.d_in != reader.layout.d_model:
        raise InputError(
            f"the SAE takes activations of width {sae.d_in}, {reader.path} has {reader.layout.d_model}: "
            "give shards of the same ViT"
        )
    provenance.one_layer.check_same(RecordedLayer.of(reader.recording), str(reader.path))
    kind: Any = tokens or provenance.tokens or "content"
    selection = TokenSelection.of([reader], np.arange(reader.n_examples), kind)
    with evaluating(sae, chosen_device(device)) as ready:
        yield Encoding(ready, selection)


def _in_memory(encoding: Encoding) -> Codes:
    per_image = bytes_per_image(encoding)
    origin = origin_of(encoding.sae, encoding.tokens)
    # Half as much as on disk unless columns are asked for, and twice while parts are joined.
    taken = f"the codes of {origin.n_images:,} images take about"
    check_memory(per_image * origin.n_images, taken, "save them with out")
    plan = Plan(encoding, origin, images_per_file_of(encoding, FILE_BYTES, per_image), Path())
    with progress_bar(total=origin.n_images, desc="encoding", unit=" images") as bar:
        parts = [InMemory(plan.codes(number, bar.update)) for number in range(plan.n_files)]
    return Codes(origin, plan.images_per_file, parts)


def _saved(encoding: Encoding, out: Path, processes: int, file_bytes: int) -> Codes:
    origin = origin_of(encoding.sae, encoding.tokens)
    if out.exists() or out.is_symlink():
        return _already(out, origin)
    partial = out.with_name(f".{out.name}.partial")
    with _alone(partial):
        if (partial / CODES_FILE).is_file():  # killed while it was being finished
            _check_earlier(read_description(partial / CODES_FILE)[0], origin, partial)
            return _published(partial, out)
        per_image = bytes_per_image(encoding)
        plan = _begun(encoding, origin, partial, file_bytes, per_image)
        finished = plan.finished()
        missing = [number for number in range(plan.n_files) if number not in finished]
        _check_space(plan, missing, per_image, out)
        if finished:
            tell(f"{len(finished)} of {plan.n_files} files are whole already: going on from there")
        n_done = sum(len(plan.images(number)) for number in finished)
        with progress_bar(total=origin.n_images, initial=n_done, desc="encoding", unit=" images") as bar:
            if min(processes, len(missing)) > 1:
                from saev.latents.encode_processes import write_divided

                write_divided(plan, missing, min(processes, len(missing)), bar.update)
            else:
                plan.write(missing, bar.update)
        files = plan.finished()
        write_description(partial / CODES_FILE, origin, plan.images_per_file, [files[n] for n in sorted(files)])
        return _published(partial, out)


def _already(out: Path, origin: Origin) -> Codes:
    try:
        codes = open_codes(out)
    except InputError as error:
        raise InputError(f"{out} is there already and holds no codes ({error}): name another directory") from error
    for what, own, other in differences(codes.origin, origin):
        raise InputError(f"{out} holds the codes of {what} {own}, not of {other}: name another directory")
    tell(f"encoded already: {out}")
    return codes


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    lock = FileLock(partial.with_name(partial.name + LOCK_SUFFIX), f"another run is at work at {partial}: wait for it")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock.claim()
    except OSError as error:
        raise InputError(unwritable(partial, error)) from error
    try:
        yield
    finally:
        lock.release()


def _begun(encoding: Encoding, origin: Origin, partial: Path, file_bytes: int, per_image: int) -> Plan:
    """The plan of an earlier run that was interrupted, or a new one where that has not finished any file."""
    path = partial / _PLAN_FILE
    if path.is_file() and any(partial.glob(_RECORDS)):
        earlier, per_file, _ = read_description(path, has_files=False)
        _check_earlier(earlier, origin, partial)
        return Plan(encoding, origin, per_file, partial)
    plan = Plan(encoding, origin, images_per_file_of(encoding, file_bytes, per_image), partial)
    if plan.n_files > MAX_FILES:
        raise InputError(f"{plan.n_files} files are more than {MAX_FILES}: raise file_bytes={file_bytes}")
    write_description(path, origin, plan.images_per_file, None)
    return plan


def _check_earlier(earlier: Origin, origin: Origin, partial: Path) -> None:
    for what, own, other in differences(earlier, origin):
        raise InputError(
            f"{partial} holds unfinished codes of {what} {own}, not of {other}: finish those, remove the directory "
            "(rm -r), or name another one"
        )


def _check_space(plan: Plan, missing: list[int], per_image: int, out: Path) -> None:
    n_images = sum(len(plan.images(number)) for number in missing)
    need = n_images * per_image + len(missing) * 8 * plan.origin.d_sae
    free = free_bytes(plan.directory)
    if need > free:
        raise InputError(
            f"{out}: about {byte_text(need)} will be written, {byte_text(free)} are free: make room or write elsewhere"
        )


def _published(partial: Path, out: Path) -> Codes:
    """Give finished codes their name."""
    try:
        for path in (*partial.glob(_RECORDS), partial / _PLAN_FILE):
            path.unlink(missing_ok=True)
        bring_to_disk(partial)
        os.rename(partial, out)  # noqa: PTH104 - Path.rename would replace an empty directory just as silently
        bring_to_disk(out.parent)
    except OSError as error:
        raise InputError(unwritable(out, error)) from error
    return open_codes(out)
