"""Latents by a text: how near it is to what the namer of a gallery saw of them."""

import json
from pathlib import Path
from typing import Any, Final, final

from saev.artifacts import RunDirectory
from saev.errors import InputError
from saev.files import UnreadableFile
from saev.latents.naming.crop_means import CROPS_FILE, CropMeans, read_crops
from saev.latents.naming.words import embed_phrases
from saev.serving.asked import BadRequest
from saev.serving.site import gallery_names
from saev.serving.turn import Turn
from saev.vit.refusals import Options
from saev.vit.text import Clip, load_clip

MAX_TEXT: Final = 200
"""Characters of a text."""
MAX_BODY_BYTES: Final = 2**12
_OPTIONS: Final = Options(ckpt="the namer", weights="--namer_weights")


@final
class TextSearch:
    """The galleries of a run, whose namers are loaded when the first text comes. Safe for several threads.

    Args:
        features: RUN/features.
        weights: The namer's weights, as `saev render` took them; by default from the network.
    """

    def __init__(self, features: Path, weights: str | None = None) -> None:
        self._features, self._weights, self._lock = features, weights, Turn()
        self._clips: dict[str, Clip] = {}

    def check(self) -> None:
        """Load the namers now.

        Raises:
            InputError: If no gallery was made with a namer, or one of them cannot be had.
        """
        names = [name for name in gallery_names(self._features) if (self._features / name / CROPS_FILE).exists()]
        if not names:
            raise InputError(f"--namer_weights: {_none(self._features.parent)}")
        for name in names:
            self._clip(read_crops(self._features / name))

    def state(self, name: str) -> dict[str, Any]:
        """What the page of a gallery can ask for: {"reason": why nothing or null, "clip": what finds the latents}."""
        try:
            return {"reason": None, "clip": self._crops(name).clip.ckpt}
        except InputError as error:
            return {"reason": " ".join(str(error).split())}

    def finish(self, timeout: float = 10) -> None:
        """Search nothing any more, and wait for the search that goes on, for so many seconds at most."""
        self._lock.end(timeout)

    def search(self, name: str, body: bytes) -> dict[str, Any]:
        """How well a text fits latents.

        Args:
            name: The gallery.
            body: JSON {"text"}.

        Returns:
            {"latents": their numbers, "scores": deviations above what the text reaches for shuffled latents}.

        Raises:
            BadRequest: If the body says something else.
            InputError: If the gallery has no namer, or it cannot be had.
        """
        text = _parsed(body)
        crops = self._crops(name)
        with self._lock:
            scores_l = crops.scores(embed_phrases(self._clip(crops), [text])[0])
        return {"latents": crops.latents_l.tolist(), "scores": [round(one, 3) for one in scores_l.tolist()]}

    def _crops(self, name: str) -> CropMeans:
        if not (self._features / name / CROPS_FILE).exists():
            raise InputError(_none(self._features.parent))
        try:
            return read_crops(self._features / name)
        except UnreadableFile as error:
            raise InputError(f"{CROPS_FILE} of this gallery cannot be read: render it again") from error

    def _clip(self, crops: CropMeans) -> Clip:
        """The CLIP that saw the crops."""
        ckpt, digest = crops.clip.ckpt, crops.clip.weights_digest
        if ckpt not in self._clips:
            self._clips[ckpt] = load_clip(ckpt, self._weights, _OPTIONS)
        if self._clips[ckpt].digest != digest:
            raise InputError(
                f"the weights of {ckpt} are others than those that looked at the latents: give --namer_weights as "
                "--visualizer.namer_weights was given"
            )
        return self._clips[ckpt]


def _none(run: Path) -> str:
    where = RunDirectory(run).path
    return (
        "nothing was kept of what a namer saw of the latents: "
        f"`saev render --run_dir {where} --visualizer.namer ViT-B-32/openai` makes it"
    )


def _parsed(body: bytes) -> str:
    try:
        raw: Any = json.loads(body)
        text = raw["text"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadRequest("a search is {text}") from error
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= MAX_TEXT:
        raise BadRequest(f"text is a text of 1 to {MAX_TEXT} characters")
    return text.strip()
