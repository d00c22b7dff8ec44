"""Names from pictures: an embedder that knows colours, and a real CLIP with random weights."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse import csc_array
from tests.tiny_models import tiny_open_clip
from torch import Tensor
from torch.nn.functional import normalize

from saev.errors import InputError
from saev.latents.naming import Embedder, LatentName, TopPicture, WordScore, embed_words
from saev.latents.naming import name_latents as name_by_words
from saev.latents.naming.crop_means import CROPS_FILE, CropMeans, read_crops
from saev.latents.naming.elsewhere import PictureValues
from saev.latents.naming.name_latents import FALSE_NAMES, MAX_CROPS, embedded_crops
from saev.latents.naming.names_file import ClipId
from saev.latents.naming.words import embed_phrases
from saev.vit.text import load_clip

pytestmark = pytest.mark.slow

__all__ = ["tiny_open_clip"]

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
}
GRID = (3, 6)
SQUARE = 20
N_PICTURES = 60


class Colours:
    """Embeds pictures by their mean colour and texts by the colour in them; counts what it is asked."""

    def __init__(self) -> None:
        self.n_pictures: list[int] = []
        self.texts: list[str] = []

    def embed_images(self, pictures: Sequence[Image.Image]) -> Tensor:
        self.n_pictures.append(len(pictures))
        means = [np.asarray(picture.convert("RGB"), dtype=np.float32).mean((0, 1)) for picture in pictures]
        return normalize(torch.from_numpy(np.stack(means)) - 90, dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        self.texts += texts
        found = [next(c for name, c in COLOURS.items() if name in text) for text in texts]
        return normalize(torch.tensor(found, dtype=torch.float32) - 90, dim=-1)


def name_latents(
    tops: dict[int, list[TopPicture]],
    pictures: Callable[[int], Image.Image | None],
    clip: Embedder,
    vocabulary: Sequence[str],
) -> dict[int, LatentName]:
    return name_by_words(tops, pictures, clip, embed_words(clip, vocabulary), values())


def squares() -> np.ndarray:
    """The colour of each patch of each picture, (N_PICTURES, h, w)."""
    return np.random.default_rng(0).integers(len(COLOURS), size=(N_PICTURES, *GRID))


def values() -> PictureValues:
    """What latents do on pictures: 0 to 4 fire where there are many squares of their colour, others anywhere."""
    rng = np.random.default_rng(9)
    n_squares = (squares()[..., None] == np.arange(len(COLOURS))).sum((1, 2))
    fires = rng.random((N_PICTURES, 600)) * (rng.random((N_PICTURES, 600)) < 0.4)
    fires[:, : len(COLOURS)] = np.maximum(n_squares - 2, 0)
    order = rng.permutation(N_PICTURES)
    return PictureValues(order, csc_array(fires[order]))


def pictures(image_id: int) -> Image.Image:
    palette = np.array(list(COLOURS.values()), dtype=np.uint8)
    pixels = palette[squares()[image_id]].repeat(SQUARE, 0).repeat(SQUARE, 1)
    return Image.fromarray(pixels)


def top(image_id: int, place: tuple[int, int], value: float) -> TopPicture:
    heatmap = np.zeros(GRID, dtype=np.float32)
    heatmap[place] = value
    return TopPicture(image_id, value, heatmap)


def on_squares(is_wanted: Callable[[int], bool], n: int, seed: int) -> list[TopPicture]:
    """Tops on patches of the wanted colours, one a picture, of falling values."""
    rng = np.random.default_rng(seed)
    tops = []
    for image_id in rng.permutation(N_PICTURES)[:n].tolist():
        places = [p for p in np.ndindex(*GRID) if is_wanted(int(squares()[image_id][p]))]
        tops.append(top(image_id, places[rng.integers(len(places))], 2.0 - len(tops) / n))
    return tops


def latents(n_random: int) -> dict[int, list[TopPicture]]:
    """Latents 0 to 4 look at the squares of one colour, those from 100 at any."""
    looking = {c: on_squares(lambda found, c=c: found == c, 12, c) for c in range(len(COLOURS))}
    return looking | {100 + i: on_squares(lambda _found: True, 12, 50 + i) for i in range(n_random)}


def test_latents_are_named_by_what_they_look_at_and_not_by_the_rest_of_the_picture() -> None:
    names = name_latents(latents(200), pictures, Colours(), list(COLOURS))
    assert [names[c].name for c in range(len(COLOURS))] == list(COLOURS)
    assert len(names[0].runners_up) == len(COLOURS) - 1
    assert names[0].words[0].z > names[0].runners_up[0].z
    assert sum(names[100 + i].name is not None for i in range(200)) <= 8


def test_a_latent_of_a_place_is_not_called_by_the_colour_of_its_strongest_crops() -> None:
    red = [top(i, (0, 0), 2.0 - i / N_PICTURES) for i in range(N_PICTURES) if squares()[i, 0, 0] == 0]
    names = name_latents(latents(200) | {500: red}, pictures, Colours(), list(COLOURS))
    of_place = names[500]
    assert (of_place.words[0].word, of_place.p_value <= FALSE_NAMES) == ("red", True)
    assert (of_place.holds, of_place.name) == (False, None)


def test_whole_pictures_would_not_do() -> None:
    whole = {
        latent: [TopPicture(t.image_id, t.value, np.zeros(GRID)) for t in tops] for latent, tops in latents(50).items()
    }
    names = name_latents(whole, pictures, Colours(), list(COLOURS))
    assert [names[c].name for c in range(len(COLOURS))] != list(COLOURS)


def test_each_picture_is_opened_and_each_crop_embedded_once_and_half_as_many_whole_pictures() -> None:
    opened: list[int] = []
    clip = Colours()
    same = on_squares(lambda _: True, 30, 0)
    name_latents(
        {0: same, 1: same[:20], 2: same[10:]}, lambda i: opened.append(i) or pictures(i), clip, ["red", "blue"]
    )
    strongest = {t.image_id for tops in (same, same[:20], same[10:]) for t in tops[:MAX_CROPS]}
    assert opened == sorted(strongest)
    assert sum(clip.n_pictures) == len(strongest) + min(len(strongest), 3 * MAX_CROPS // 2)


def test_the_strongest_crops_are_taken_in_whatever_order_they_come() -> None:
    tops = latents(50)
    more = {k: [*v, *on_squares(lambda _: True, 0, 0)][::-1] for k, v in tops.items()}
    assert name_latents(more, pictures, Colours(), list(COLOURS)) == name_latents(
        tops, pictures, Colours(), list(COLOURS)
    )


def test_pictures_that_are_gone_are_left_out() -> None:
    tops = latents(100)
    names = name_latents(tops, lambda i: None if i % 6 == 0 else pictures(i), Colours(), list(COLOURS))
    assert [names[c].words[0].word for c in range(len(COLOURS))] == list(COLOURS)
    assert sum(names[c].name is not None for c in range(len(COLOURS))) >= 3  # fewer crops, less certain
    gone = name_latents(tops, lambda _: None, Colours(), list(COLOURS))
    assert set(gone) == set(tops)
    assert set(gone.values()) == {LatentName((), 1.0)}


def test_latents_that_never_fire_and_no_latents_at_all() -> None:
    names = name_latents(latents(50) | {7: [], 8: [top(3, (0, 0), 0.0)]}, pictures, Colours(), list(COLOURS))
    assert (names[7].name, names[8].name, names[7].runners_up) == (None, None, ())
    assert names[0].name == "red"
    assert name_latents({}, pictures, Colours(), list(COLOURS)) == {}


def test_a_few_latents_alone_get_no_name() -> None:
    alone = name_latents({0: on_squares(lambda c: c == 0, 12, 0)}, pictures, Colours(), list(COLOURS))
    assert alone[0].name is None
    assert alone[0].p_value > FALSE_NAMES


@pytest.mark.parametrize("vocabulary", [[], ["red"], ["red", "Red", ""]])
def test_one_word_is_refused(vocabulary: list[str]) -> None:
    with pytest.raises(InputError, match=r"[01] words are no vocabulary"):
        embed_words(Colours(), vocabulary)


def test_words_are_averages_over_templates() -> None:
    clip = Colours()
    words = embed_words(clip, ["red", "Red", "blue {}"], ["a {}", "{}"])
    assert words.words == ("red", "blue {}")
    assert clip.texts == ["a red", "a blue {}", "red", "blue {}"]
    assert torch.allclose(words.embeddings_ve, clip.embed_texts(["red", "blue"]))


def test_a_name_needs_to_exceed_chance_and_to_hold() -> None:
    words = (WordScore("red", 9.0), WordScore("blue", 1.0))
    assert LatentName(words, FALSE_NAMES).name == "red"
    assert LatentName(words, FALSE_NAMES + 1e-6).name is None
    assert LatentName(words, FALSE_NAMES, holds=False).name is None
    assert LatentName(words, 0.001).runners_up == words[1:]


def test_a_real_clip_end_to_end() -> None:
    clip = load_clip("tiny-CLIP/openai", "random")
    vocabulary = [*COLOURS, "stripes", "dog", "polka dots", "bokeh", "a very long phrase of many words"]
    names = name_latents(latents(100), pictures, clip, vocabulary)
    again = name_latents(latents(100), pictures, clip, vocabulary)
    assert names == again
    # Random weights know no words, but they do tell colours apart: which word comes is chance, that it fits is not.
    assert np.median([names[c].p_value for c in range(len(COLOURS))]) < 0.05
    assert 0.35 < np.mean([names[100 + i].p_value for i in range(100)]) < 0.65
    assert sum(names[100 + i].name is not None for i in range(100)) <= 6
    assert all(len(name.words) == 5 and np.isfinite(name.words[0].z) for name in names.values())


def test_any_text_is_compared_with_what_is_kept_of_the_crops(tmp_path: Path) -> None:
    clip, who = Colours(), ClipId("colours", "0" * 64)
    crops = embedded_crops(latents(400), pictures, clip, values(), 0)
    kept = [(latent, crops.embeddings_ne[numbers], odds_k) for latent, numbers, odds_k in crops.of_latents()]
    found = CropMeans.of(who, kept)
    assert found is not None
    (tmp_path / CROPS_FILE).write_bytes(found.to_bytes())
    read = read_crops(tmp_path)
    assert (read.clip, read.latents_l.tolist()) == (who, [latent for latent, _, _ in kept])
    pool_ne = torch.cat([crops_ke for _, crops_ke, _ in kept]).double()
    for colour, text in enumerate(COLOURS):
        text_e = embed_phrases(clip, [text])[0]
        scores_l = read.scores(text_e)
        assert scores_l.argmax() == colour  # the first five look at one colour each
        assert abs(scores_l[5:].mean()) < 0.2  # the others are as good as shuffled ones
        assert scores_l[5:].std() == pytest.approx(1, abs=0.15)
        cosines_n = pool_ne @ text_e.double()
        for place, (_, crops_ke, odds_k) in enumerate(kept[:9]):
            w_k = torch.from_numpy(odds_k / odds_k.sum())
            above = w_k @ (crops_ke.double() @ text_e.double()) - cosines_n.mean()
            by_hand = above / (cosines_n.std(correction=0) * w_k.square().sum().sqrt())
            assert float(scores_l[place]) == pytest.approx(float(by_hand), abs=0.01)  # means are kept in 16 bits
    for content in (b"", found.to_bytes()[:-9], found.to_bytes().replace(b"covariance", b"covarianze")):
        (tmp_path / CROPS_FILE).write_bytes(content)
        with pytest.raises(InputError, match="is damaged, or of another version"):
            read_crops(tmp_path)
    assert CropMeans.of(who, []) is None
