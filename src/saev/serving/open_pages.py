"""What makes pages that the image sets of a run's galleries lack, or the reasons why nothing does."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock

import torch

from saev.errors import InputError, one_line
from saev.gallery.overview import Overview
from saev.latents.codes import Codes, with_saved
from saev.latents.encoding import Encoding, ImageCodes
from saev.latents.remembered import KEPT_BYTES
from saev.serving.missing_pages import MissingPages, PagesOfSets
from saev.serving.open_run import OpenedSae, check_belongs, encoding_of, or_reason
from saev.shards.reading.reader import ShardReader


def missing_pages(
    saes: Mapping[str, OpenedSae | str],
    readers: Sequence[ShardReader | InputError],
    device: torch.device,
    codes: Sequence[Codes | str | Path] = (),
) -> dict[str, PagesOfSets | str]:
    """What makes pages, by gallery; where none of its image sets can have any, why not.

    Args:
        saes: From `open_saes`; which tokens each of them takes is known.
        readers: Recordings whose pictures the image sets may show, or why one cannot be had.
        device: Where to compute.
        codes: Saved codes of some of the SAEs on the first recording, or their directories.

    Raises:
        InputError: If codes are of none of the SAEs or of other shards.
    """
    found: dict[str, PagesOfSets | str] = {name: one for name, one in saes.items() if isinstance(one, str)}
    ready = {name: one for name, one in saes.items() if not isinstance(one, str)}
    single = {name: one for name, one in ready.items() if len(one.provenance.layers) <= 1}
    found |= dict.fromkeys(ready.keys() - single.keys(), "the SAE takes several layers at once")
    recorded: dict[str, dict[str, tuple[Encoding, ImageCodes] | str]] = {}
    for number, reader in enumerate(readers):
        if isinstance(reader, InputError) or reader.recording.content_id in recorded:
            continue
        each = {name: or_reason(partial(_encoding, one, reader, device)) for name, one in single.items()}
        fitting = {name: one for name, one in each.items() if not isinstance(one, str)}
        saved = with_saved(fitting, codes if fitting and number == 0 else ())
        faults = {name: one for name, one in each.items() if isinstance(one, str)}
        recorded[reader.recording.content_id] = {**faults, **{one: (fitting[one], saved[one]) for one in fitting}}
    surveying = Lock()

    def made(name: str, overview: Overview | str, n_bytes: int) -> MissingPages:
        if isinstance(overview, str):
            raise InputError(overview)
        if (recipe := overview.recipe) is None:
            raise InputError("the image set does not say what it was made from: `saev render` makes it anew")
        if recipe.shards not in recorded:
            paths = ", ".join(str(one.path) for one in readers if not isinstance(one, InputError))
            others = [f"the image set shows other pictures than those of {paths}"] if paths else []
            faults = [one_line(one) for one in readers if isinstance(one, InputError)]
            raise InputError(f"{'; '.join([*faults, *others])}; --shards names others")
        own = recorded[recipe.shards][name]
        if isinstance(own, str):
            raise InputError(own)
        encoding, codes = own
        return MissingPages(single[name].sae, codes, encoding.tokens, recipe, overview.scale, surveying, n_bytes)

    for name, one in single.items():
        sets = {"": one.overview, **one.others}
        n_bytes = KEPT_BYTES // len(sets)
        found[name] = {folder: or_reason(partial(made, name, said, n_bytes)) for folder, said in sets.items()}
    return found


def _encoding(one: OpenedSae, reader: ShardReader, device: torch.device) -> Encoding:
    check_belongs(one, reader)
    return encoding_of(one, reader, device)
