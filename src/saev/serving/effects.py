"""What becomes of the ViT's output when codes of a picture change, beside as large changes along random latents.

Shape suffixes: e = width of the embedding, c = classes, r = draws of random latents, s = d_sae.
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from saev.artifacts import RecordedLayer
from saev.probing.interventions.matching import matched_latents
from saev.probing.interventions.readouts import Readout
from saev.serving.live_sae import Changed
from saev.splicing.zero_shot import ZeroShot, clip_of, texts_of
from saev.vit.text import Clip

N_RANDOM: Final = 20
"""Draws of random latents, fixed for each latent: those of about its frequency, as `saev probe intervene` draws."""
N_SHOWN: Final = 5
"""Classes that are told, those of the largest changes."""
TEMPLATE: Final = "a photo of a {}."
MAX_KEPT_WORDS: Final = 4096


@final
class Words:
    """The text tower of the ViT, loaded when the first word comes.

    Args:
        weights: As for `load_recorded_backbone`.
    """

    def __init__(self, vit: RecordedLayer, weights: str | None) -> None:
        self._vit, self._weights, self._lock = vit, weights, Lock()
        self._clip: Clip | None = None
        self._kept: dict[str, Tensor] = {}

    @property
    def reason(self) -> str | None:
        """Why there is none, as far as that is known without loading it; None if there is one."""
        vit = self._vit
        return None if vit.family == "clip" else f"{vit.ckpt} of {vit.family} has no text tower, only a CLIP has"

    def readouts(self, words: Sequence[str]) -> dict[str, Readout]:
        """Zero-shot probabilities of some words, and their cosines, which still tell where one word is all but certain.

        Raises:
            InputError: If the ViT has no text tower of its own.
        """
        with self._lock:
            self._clip = self._clip or clip_of(self._vit, self._weights)
            if new := [word for word in words if word not in self._kept]:
                texts_ce = texts_of(self._clip, new, TEMPLATE)
                if len(self._kept) + len(new) > MAX_KEPT_WORDS:
                    self._kept = {word: self._kept[word] for word in words if word in self._kept}
                self._kept |= dict(zip(new, texts_ce, strict=True))
            texts = torch.stack([self._kept[word] for word in words])
            classifier = ZeroShot(texts, self._clip.visual_projection()[1].float())
        return {
            "words": Readout("zero_shot", words, lambda x_ne: classifier.probabilities(x_ne).double().numpy()),
            "cosines": Readout("cosine", words, lambda x_ne: classifier.cosines(x_ne).double().numpy(), False),
        }


def random_latents(latents: Sequence[int], frequency_s: NDArray[np.floating]) -> NDArray[np.int64]:
    """The random latents (r, l) that an edit of some latents is compared with, the same ones each time.

    Raises:
        InputError: If there are not as many others that fire.
    """
    return matched_latents(latents, frequency_s, N_RANDOM, np.random.default_rng(0))


def effect(changed: Changed, readouts: Mapping[str, Readout | str]) -> dict[str, Any]:
    """What an edit does, as plain JSON.

    Args:
        changed: Final embeddings.
        readouts: By name, what is read of embeddings, or why nothing is.

    Returns:
        {"norm", "nTokens", "distance": {"edited", "random": [...]}, "length": the same, NAME: {"classes": [...]} or
        {"reason"}}. A distance is 1 - cosine of the final embedding with the untouched one, a length the norm
        of the difference over that of the untouched one. A class is {"name", "before", "after", "random": [...]}.
    """
    all_re = torch.cat([changed.after_e[None], changed.random_re]).double()
    before_e = changed.before_e.double()
    # Half the squared distance of unit vectors is 1 - cosine, and exactly 0 of equal ones.
    distances = ((normalize(all_re, dim=-1) - normalize(before_e, dim=-1)).square().sum(-1) / 2).tolist()
    lengths = ((all_re - before_e).norm(dim=-1) / before_e.norm()).tolist()
    return {
        "norm": changed.norm,
        "nTokens": changed.n_tokens,
        "distance": {"edited": distances[0], "random": distances[1:]},
        "length": {"edited": lengths[0], "random": lengths[1:]},
        **{name: _told(one, changed) for name, one in readouts.items()},
    }


def _told(readout: Readout | str, changed: Changed) -> dict[str, Any]:
    if isinstance(readout, str):
        return {"reason": readout}
    outputs_nc = readout.outputs(torch.cat([changed.before_e[None], changed.after_e[None], changed.random_re]))
    order = np.argsort(-np.abs(outputs_nc[1] - outputs_nc[0]), kind="stable")[:N_SHOWN]
    if int(outputs_nc[0].argmax()) not in order:  # what the picture is taken for is told in any case
        order = np.append(order[: N_SHOWN - 1], outputs_nc[0].argmax())
    rows = [
        {"name": readout.classes[c], "before": column[0], "after": column[1], "random": column[2:]}
        for c, column in ((int(c), outputs_nc[:, c].tolist()) for c in order)
    ]
    return {"classes": rows}
