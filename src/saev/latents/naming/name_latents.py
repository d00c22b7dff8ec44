"""Names for latents: the words that a CLIP finds in the crops on which they are strongest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from saev.latents.naming.calibration import BestWords, Pool, best_words
from saev.latents.naming.crops import Box, crop_box
from saev.latents.naming.elsewhere import Judges, PictureValues, holding
from saev.latents.naming.evidence import TopCrops, odds
from saev.latents.naming.words import EmbeddedWords, Embedder
from saev.progress import progress_bar

Heatmap = npt.NDArray[np.floating] | npt.NDArray[np.uint8]
FALSE_NAMES = 0.01  # Share of meaningless latents that get a name all the same.
MAX_CROPS = 16
_AT_ONCE = 64  # Crops that wait as pictures for being embedded.


@final
@dataclass(frozen=True)
class TopPicture:
    """A picture on which a latent is strong: its number, the latent's value, its patch values (h, w) or levels."""

    image_id: int
    value: float
    heatmap: Heatmap


@final
@dataclass(frozen=True)
class WordScore:
    """A word and its score: deviations above what the same word reaches for shuffled latents."""

    word: str
    z: float


@final
@dataclass(frozen=True)
class LatentName:
    """The words that fit a latent best.

    Args:
        words: Best first, five at most; none where none of the latent's pictures could be seen.
        p_value: Share of shuffled latents whose best word fits as well.
        holds: Unless the latent does not go with the best word on other pictures.
    """

    words: tuple[WordScore, ...]
    p_value: float
    holds: bool = True

    @property
    def name(self) -> str | None:
        """The best word, or None where a meaningless latent reaches as much (p above `FALSE_NAMES`), or none holds."""
        return self.words[0].word if self.words and self.p_value <= FALSE_NAMES and self.holds else None

    @property
    def runners_up(self) -> tuple[WordScore, ...]:
        """The words after the best one."""
        return self.words[1:]


def name_latents(
    tops: Mapping[int, Sequence[TopPicture]],
    pictures: Callable[[int], Image.Image | None],
    clip: Embedder,
    words: EmbeddedWords,
    values: PictureValues,
    seed: int = 0,
) -> dict[int, LatentName]:
    """Name latents by the crops on which they are strongest, after CLIP-Dissect (https://arxiv.org/abs/2204.10965).

    A name has to hold on other pictures, see `saev.latents.naming.elsewhere`. Each picture is opened once, each crop
    embedded once, and half as many whole pictures at most. Memory: 2 bytes x width of the embedding for each crop
    (`MAX_CROPS` a latent at most), and chunks. The more latents and pictures, the better is the estimate of chance;
    of a few latents on the same pictures none is named.

    Args:
        tops: For each latent the pictures on which it is strongest, each once, in any order.
        pictures: Gives a picture as the ViT saw it, or None where it is gone: a tile in its place would be named.
        clip: Embeds the crops.
        words: The words, embedded by the same CLIP.
        values: What the latents do on pictures, also on others than their strongest ones.
        seed: Draws the shuffled latents, and the whole pictures.
    """
    return named_by_crops(embedded_crops(tops, pictures, clip, values, seed), words, values, seed)


@final
@dataclass(frozen=True)
class Crops:
    """The crops on which latents are strongest, and whole pictures, each embedded once.

    Args:
        tops: Of each latent the strongest pictures, best first.
        places: The number of the crop of each latent and picture that could be seen.
        wholes: The number of the crop that is all of a picture, by picture.
        embeddings_ne: Of the crops, float16.
    """

    tops: Mapping[int, Sequence[TopPicture]]
    places: Mapping[tuple[int, int], int]
    wholes: Mapping[int, int]
    embeddings_ne: Tensor

    def of_latents(self) -> Iterator[tuple[int, list[int], npt.NDArray[np.float64]]]:
        """Latents that have crops, the numbers (k,) of these, and the odds (k,) that they are what it stands for."""
        for latent, top in self.tops.items():
            found = [one for one in top if (latent, one.image_id) in self.places]
            if found:
                crops = [self.places[latent, one.image_id] for one in found]
                yield latent, crops, odds(np.array([one.value for one in found], dtype=np.float64))


def embedded_crops(
    tops: Mapping[int, Sequence[TopPicture]],
    pictures: Callable[[int], Image.Image | None],
    clip: Embedder,
    values: PictureValues,
    seed: int,
) -> Crops:
    """Cut out and embed the crops, and some of their pictures whole; arguments as for `name_latents`."""
    strongest = {latent: _strongest(top) for latent, top in tops.items()}
    shown = [one.image_id for top in strongest.values() for one in top]
    wholes = values.some(set(shown), len(shown) // 2, seed)
    return Crops(strongest, *_embedded_crops(strongest, set(wholes.tolist()), pictures, clip))


def named_by_crops(crops: Crops, words: EmbeddedWords, values: PictureValues, seed: int) -> dict[int, LatentName]:
    """Names by crops; other arguments as for `name_latents`."""
    places = crops.places
    pool = Pool(np.array(list(places.values()), dtype=np.int64), np.array([i for _, i in places], dtype=np.int64))
    rng = np.random.default_rng(seed)
    names = {latent: LatentName((), 1.0) for latent in crops.tops}
    for latents, group in progress_bar(_by_number(crops), desc="naming", unit=" groups"):
        best = best_words(crops.embeddings_ne, pool, words.embeddings_ve, group, rng)
        names.update(zip(latents, named_words(best, words), strict=True))
    judged = {latent: one for latent, one in names.items() if one.name is not None}
    held = _holding(crops, words, values, judged)
    return names | {latent: replace(one, holds=latent in held) for latent, one in judged.items()}


def _holding(crops: Crops, words: EmbeddedWords, values: PictureValues, names: Mapping[int, LatentName]) -> set[int]:
    if not crops.wholes:
        return set()
    number = {word: n for n, word in enumerate(words.words)}
    e_ie = crops.embeddings_ne[list(crops.wholes.values())]
    judges = Judges.of(np.array(list(crops.wholes)), e_ie, words.embeddings_ve)
    own = {latent: {one.image_id for one in crops.tops[latent]} for latent in names}
    return holding(values, judges, own, {latent: number[one.words[0].word] for latent, one in names.items()})


def _strongest(top: Sequence[TopPicture]) -> list[TopPicture]:
    assert len({one.image_id for one in top}) == len(top), "a latent's top pictures are different ones"
    return sorted((one for one in top if one.value > 0), key=lambda one: (-one.value, one.image_id))[:MAX_CROPS]


def _embedded_crops(
    tops: Mapping[int, Sequence[TopPicture]],
    whole: set[int],
    pictures: Callable[[int], Image.Image | None],
    clip: Embedder,
) -> tuple[dict[tuple[int, int], int], dict[int, int], Tensor]:
    """The number of each (latent, picture)'s crop, of each whole picture, and embeddings (n, e) in float16."""
    places: dict[tuple[int, int], int] = {}
    wholes: dict[int, int] = {}
    n_crops = 0
    embedded: list[Tensor] = []
    waiting: list[Image.Image] = []
    for image_id, picture, wanted in _seen(tops, pictures):
        numbers: dict[Box, int] = {}
        boxes = {latent: crop_box(heatmap, picture.size) for latent, heatmap in wanted}
        all_of_it = (0, 0, *picture.size)
        for box in dict.fromkeys([*boxes.values(), *([all_of_it] if image_id in whole else [])]):
            numbers[box] = n_crops + len(numbers)
            waiting.append(picture.crop(box))
        places.update({(latent, image_id): numbers[box] for latent, box in boxes.items()})
        if image_id in whole:
            wholes[image_id] = numbers[all_of_it]
        n_crops += len(numbers)
        while len(waiting) >= _AT_ONCE:
            embedded.append(clip.embed_images(waiting[:_AT_ONCE]).half())
            del waiting[:_AT_ONCE]
    if waiting:
        embedded.append(clip.embed_images(waiting).half())
    crops_ne = torch.cat(embedded) if embedded else torch.empty(0, 0)
    assert bool(crops_ne.isfinite().all()), "embeddings must be finite"
    return places, wholes, crops_ne


def _seen(
    tops: Mapping[int, Sequence[TopPicture]], pictures: Callable[[int], Image.Image | None]
) -> Iterator[tuple[int, Image.Image, list[tuple[int, Heatmap]]]]:
    """Each picture that can be seen, with the latents that are strong on it and their heatmaps."""
    wanted: dict[int, list[tuple[int, Heatmap]]] = {}
    for latent, top in tops.items():
        for one in top:
            wanted.setdefault(one.image_id, []).append((latent, one.heatmap))
    for image_id in progress_bar(sorted(wanted), desc="embedding crops", unit=" images"):
        picture = pictures(image_id)
        if picture is not None:
            yield image_id, picture, wanted[image_id]


def _by_number(crops: Crops) -> list[tuple[list[int], TopCrops]]:
    """The latents in groups of equally many crops: how much chance reaches depends on their number."""
    groups: dict[int, list[tuple[int, list[int], npt.NDArray[np.float64]]]] = {}
    for one in crops.of_latents():
        groups.setdefault(len(one[1]), []).append(one)
    return [
        (
            [latent for latent, _, _ in group],
            TopCrops(torch.tensor([c for _, c, _ in group]), torch.from_numpy(np.stack([o for _, _, o in group]))),
        )
        for _, group in sorted(groups.items())
    ]


def named_words(best: BestWords, words: EmbeddedWords) -> Iterator[LatentName]:
    """The words by name, latent by latent."""
    for words_b, z_b, p in zip(best.words_lb.tolist(), best.z_lb.tolist(), best.p_l.tolist(), strict=True):
        yield LatentName(tuple(WordScore(words.words[w], z) for w, z in zip(words_b, z_b, strict=True)), p)
