"""What `saev view` does: a server of a run's galleries, with an SAE behind each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from saev.artifacts import RunDirectory
from saev.device import chosen_device
from saev.errors import InputError, one_line, tell
from saev.latents.codes import Codes
from saev.serving.live_gallery import Recorded
from saev.serving.open_pages import missing_pages
from saev.serving.open_run import OpenedSae, open_galleries, open_saes, recorded_images
from saev.serving.server import GalleryServer
from saev.shards.format.layout import TokenKind
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.splicing.given_facts import NOTHING_GIVEN, GivenVit, with_given

DEFAULT_PORT: Final = 8010
MAX_RECORDED: Final = 10_000


def open_server(
    run_dir: str | Path,
    *,
    saes: Sequence[str | Path] = (),
    codes: Sequence[Codes | str | Path] = (),
    shards: Sequence[str | Path] = (),
    model: GivenVit = NOTHING_GIVEN,
    tokens: TokenKind | None = None,
    n_images: int = MAX_RECORDED,
    port: int = DEFAULT_PORT,
    weights: str | None = None,
    namer_weights: str | None = None,
    device: str | torch.device | None = None,
) -> GalleryServer:
    """A server on 127.0.0.1: ``with open_server("RUN") as server: server.serve_forever()``. Its `url` is its address.

    What cannot be had behind a gallery, such as a ViT or recorded images, is said by its page, unless it is named here.

    Args:
        run_dir: A run that has galleries.
        saes: Directories of SAEs that do not lie in the run, for the galleries of the same names.
        codes: Saved codes of some of the SAEs on the shards, or their directories, which are read instead of encoding.
        shards: Recordings. Pictures are compared with the images of the first one, by default of the one that trained
            the SAEs. The others, and those that the run's config.yaml names, are those of further image sets.
        model: What neither an SAE nor the shards say of its ViT.
        tokens: Tokens that an SAE takes, where it does not say it; by default content, the patches.
        n_images: Upper bound of the recorded images; 0 compares with none.
        port: 0 takes a free one.
        weights: The ViT's weights: a .safetensors or .pt file, or "random"; by default they come from the network.
        namer_weights: Those of the CLIP that named latents, for the search by text; by default they come from the
            network when the first text is searched.
        device: Where to compute; by default a GPU if there is one.

    Raises:
        InputError: If there is no gallery, the port is taken, or what an argument names cannot be had.
    """
    if not 0 <= port < 2**16:
        raise InputError(f"--port {port} must be from 0 to 65535; 0 takes a free one")
    if n_images < 0:
        raise InputError(f"--n_images {n_images} must be 0 or more; 0 compares with none")
    if codes and not n_images:
        raise InputError("--n_images 0 compares with no recorded images: leave out --codes, or --n_images")
    computes = chosen_device(device, "--device")
    run = RunDirectory(Path(run_dir))
    run.check()
    opened = open_saes(run, _by_name(saes))
    server = GalleryServer(port, run.features, {}, namer_weights)  # a taken port is said before the long part
    try:
        if namer_weights is not None:
            server.texts.check()
        reader, *others = _readers(run, shards, model)
        opened = _completed(opened, model, tokens, reader, is_named=bool(shards))
        recorded = _recorded(opened, reader, n_images, computes, codes, is_named=bool(shards or codes))
        server.pages = missing_pages(opened, [reader, *others], computes, codes)
        server.live = open_galleries(opened, weights, computes, recorded, reader)
    except BaseException:
        server.server_close()
        raise
    for name, live in server.live.items():
        if isinstance(live, str):
            tell(f"{name}: no live inference: {live}")
    return server


def _by_name(saes: Sequence[str | Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in map(Path, saes):
        other = found.setdefault(one.resolve().name, one)
        if other is not one:
            raise InputError(f"--sae {other} and {one} have one name, that of a gallery: give one of them")
    return found


def _readers(run: RunDirectory, shards: Sequence[str | Path], model: GivenVit) -> list[ShardReader | InputError]:
    """The shards, first those that are named, which must be there, and then those of the run's config.yaml."""
    found: list[ShardReader | InputError] = [open_shards(one, model.layer) for one in shards]
    try:
        of_run = run.all_shards()
    except InputError as error:
        return found or [error]
    for path, layer in of_run:
        try:
            found.append(open_shards(path, layer))
        except InputError as error:
            found.append(error)
    return found


def _completed(
    saes: Mapping[str, OpenedSae | str],
    model: GivenVit,
    tokens: TokenKind | None,
    reader: ShardReader | InputError,
    *,
    is_named: bool,
) -> dict[str, OpenedSae | str]:
    """The SAEs with what is given and the shards say of them; shards that are named must fit one of them."""
    found, faults = dict(saes), []
    single = {name: one for name, one in saes.items() if not isinstance(one, str) and len(one.provenance.layers) <= 1}
    for name, one in single.items():
        try:
            provenance = with_given(one.provenance, model, tokens, None if isinstance(reader, InputError) else reader)
        except InputError as error:
            provenance = with_given(one.provenance, model, tokens, None)  # why there are no neighbours is said later
            faults.append(error)
        found[name] = replace(one, provenance=provenance)
    if is_named and faults and len(faults) == len(single):
        raise faults[0]
    return found


def _recorded(
    saes: Mapping[str, OpenedSae | str],
    reader: ShardReader | InputError,
    n_images: int,
    device: torch.device,
    codes: Sequence[Codes | str | Path],
    *,
    is_named: bool,
) -> dict[str, Recorded | str]:
    """The images to compare with, or why there are none."""
    try:
        return recorded_images(saes, reader, n_images, device, codes)
    except InputError as error:
        if is_named:
            raise
        reason = one_line(error)
        tell(f"no neighbours: {reason}")
        return dict.fromkeys(saes, f"{reason}; --shards names others")
