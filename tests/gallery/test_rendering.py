"""What a gallery says of the latents of an SAE, against a look at all codes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards
from tests.latents.survey.brute_force import arrays_of

from saev.errors import InputError
from saev.gallery import LatentPage, Pages, RenderOptions, Source, Subject
from saev.gallery.image_sets import ImageSet, sae_id
from saev.gallery.labels import LatentLabels
from saev.gallery.render import chosen_latents, render_galleries
from saev.latents.encoding import Encoding
from saev.latents.heatmaps import heatmaps, in_parts, patch_codes, quantise
from saev.latents.labels import Labels
from saev.latents.pictures import RecordedPictures
from saev.latents.sparse import SparseCodes
from saev.latents.survey import survey_images
from saev.nn import ARCHITECTURES, TopK
from saev.shards.format.layout import TokenKind
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

N, GRID, D_SAE, TOP = 23, (2, 3), 24, 4
N_PREFIX = 3  # CLS and two registers


@pytest.fixture(scope="module")
def reader(make_shards: MakeShards) -> ShardReader:
    patch_labels = torch.randint(0, 3, (N, 6), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    patch_labels[0, 0] = 255
    return open_shards(make_shards(N, grid=GRID, n_registers=2, labels=patch_labels)[0])


@pytest.fixture
def sae() -> TopK:
    torch.manual_seed(1)
    return TopK(8, D_SAE, k=2)


def selection(reader: ShardReader, kind: TokenKind) -> TokenSelection:
    """All images but the first."""
    return TokenSelection((reader,), np.arange(1, N), reader.layout.tokens.positions(kind))


def codes_of(reader: ShardReader, sae: TopK, tokens: TokenSelection) -> np.ndarray:
    """(images, tokens, latents) of all images."""
    acts = reader.read(0, N)[:, tokens.positions.start : tokens.positions.stop]
    return sae.encode(acts).detach().numpy()


def subject_of(sae: TopK, tokens: TokenSelection, top_k: int = TOP, n_images: int = N) -> Subject:
    codes = Encoding(sae, tokens)
    images = tokens.subset(n_images, 0).examples
    survey = survey_images({"one": codes}, images, Labels.of(tokens.reader), top_k=top_k)["one"]
    return Subject(sae, codes, survey)


def pages_of(reader: ShardReader, sae: TopK, kind: TokenKind, **options: Any) -> tuple[list[LatentPage], np.ndarray]:
    tokens = selection(reader, kind)
    chosen = RenderOptions(top_k=TOP, **({"n_latents": -1} | options))
    subject = subject_of(sae, tokens, n_images=chosen.n_images)
    labels = LatentLabels(subject.survey, Labels.of(reader))
    pages = Pages(subject, chosen_latents(subject.survey, chosen), labels, chosen.sort_by)
    return list(pages), codes_of(reader, sae, tokens)


def strongest(value_n: np.ndarray) -> list[int]:
    """Ids of the images but the first, by value, ties to the lower id."""
    order = np.argsort(-value_n[1:], kind="stable")[:TOP] + 1
    return [int(i) for i in order if value_n[i] > 0]


@pytest.mark.parametrize(("kind", "first_patch"), [("content", 0), ("all", N_PREFIX)])
def test_pages_equal_a_look_at_all_codes(
    reader: ShardReader,
    sae: TopK,
    kind: TokenKind,
    first_patch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("saev.nn.functional.CODES_BYTES", 4 * D_SAE * 9 * 5)  # five images at a time
    monkeypatch.setattr("saev.latents.heatmaps.HEATMAP_BYTES", 6 * 20)
    pages, f_nts = pages_of(reader, sae, kind)
    assert sorted(page.index for page in pages) == np.flatnonzero((f_nts[1:] > 0).any((0, 1))).tolist()
    for page in pages:
        f_np = f_nts[:, first_patch:, page.index]
        expected = {"patch": strongest(f_np.max(1)), "img": strongest(f_np.sum(1))}
        if kind == "all":
            expected["cls"] = strongest(f_nts[:, 0, page.index])
        assert {order: [e.image_id for e in examples] for order, examples in page.top.items()} == expected
        for example in page.top["patch"]:
            assert example.value == pytest.approx(float(f_np[example.image_id].max()), rel=1e-5)
        assert set(page.heatmaps) == page.shown
        top = float(f_nts[1:, :, page.index].max())
        assert page.percentiles and max(page.percentiles.values()) <= top * (1 + 1e-6)
        for image, levels in page.heatmaps.items():
            exact = quantise(f_np[image].reshape(GRID), top)
            assert np.abs(levels.astype(int) - exact).max() <= 1  # rounding differs between batches
        sampled = [example.image_id for group in page.samples for example in group.examples]
        assert set(sampled) <= set((np.flatnonzero(f_np[1:].max(1) > 0) + 1).tolist())
        strengths = [max(example.value for example in group.examples) for group in page.samples]
        assert strengths == sorted(strengths)
        assert page.histogram is not None
        assert page.histogram.sum() == (f_nts[1:, :, page.index] > 0).sum()


def test_labels_are_counted(reader: ShardReader, sae: TopK) -> None:
    """Which, and with which figures, is told by tests/gallery/test_labels.py."""
    pages, _ = pages_of(reader, sae, "content")
    labels = reader.patch_labels()
    assert labels is not None
    for page in pages:
        assert {one.label for one in page.patch_labels} <= {f"label {i}" for i in range(3)}
        assert sum(one.purity for one in page.patch_labels) == pytest.approx(1)
        strongest = {image: labels[image, levels.argmax()] for image, levels in page.heatmaps.items()}
        assert page.peaks == {image: f"label {label}" for image, label in strongest.items() if label != 255}


def test_cls_tokens_have_no_heatmaps(reader: ShardReader, sae: TopK) -> None:
    pages, f_nts = pages_of(reader, sae, "cls", sort_by="cls")
    assert pages
    for page in pages:
        assert next(iter(page.top)) == "cls"
        assert page.top["cls"][0].value == pytest.approx(float(f_nts[1:, 0, page.index].max()), rel=1e-5)
        assert not any(levels.any() for levels in page.heatmaps.values())


def test_ranges_choose_latents(reader: ShardReader, sae: TopK) -> None:
    _, f_nts = pages_of(reader, sae, "content")
    frequency = (f_nts[1:] > 0).mean((0, 1))
    middle = float(np.log10(np.median(frequency[frequency > 0])))
    pages, _ = pages_of(reader, sae, "content", log_freq_range=(-9, middle))
    within = np.flatnonzero((frequency > 0) & (frequency <= 10**middle + 1e-9)).tolist()
    assert sorted(page.index for page in pages) == within
    with pytest.raises(InputError, match=r"none of \d+ latents .* log10 frequency within \(-9, -8\).*: theirs are -"):
        pages_of(reader, sae, "content", log_freq_range=(-9, -8))
    pages, _ = pages_of(reader, sae, "content", log_freq_range=(-9, -8), include_latents=[3])
    assert [page.index for page in pages] == [3]


def test_latents_that_are_asked_for_are_shown(reader: ShardReader, sae: TopK) -> None:
    with torch.no_grad():
        sae.b_enc[7] = -1e6
    pages, _ = pages_of(reader, sae, "content", n_latents=2, include_latents=[7, 3])
    by_index = {page.index: page for page in pages}
    assert {3, 7} <= set(by_index)
    assert len(by_index) <= 4
    assert not by_index[7].shown


def test_images_may_be_bounded(reader: ShardReader, sae: TopK) -> None:
    pages, _ = pages_of(reader, sae, "content", n_images=5)
    assert len(set.union(*(page.shown for page in pages))) <= 5


def test_processes_divide_the_images(reader: ShardReader, sae: TopK) -> None:
    tokens, labels = selection(reader, "all"), Labels.of(reader)
    codes = {"one": Encoding(sae, tokens)}
    alone, *parts = [
        survey_images(codes, tokens.examples, labels, top_k=TOP, rank=rank, world_size=n)["one"]
        for rank, n in [(0, 1), (0, 3), (1, 3), (2, 3)]
    ]
    parts[0].merge(parts[1])
    parts[0].merge(parts[2])
    found, expected = arrays_of(parts[0]), arrays_of(alone)
    assert found.keys() == expected.keys()
    largest = [key for key in found if key.endswith("._largest")]
    assert len([key for key in largest if "TopImages" in key]) == 3
    assert all(np.array_equal(found[key], expected[key]) for key in largest)


def test_patch_codes_are_sorted_by_their_share_of_the_largest_value() -> None:
    f_ps = torch.tensor([[0.0, 2.0, 1.0], [0.0, 0.0, 0.0], [3.0, 4.0, 0.5]])
    codes = patch_codes(SparseCodes.of(f_ps[None]), np.array([3.0, 8.0, 1.0], dtype=np.float32))
    assert codes.offsets.tolist() == [0, 2, 2, 5]
    assert codes.latents.tolist() == [2, 1, 0, 1, 2]
    assert codes.levels.tolist() == [255, 64, 255, 128, 128]


def test_a_latent_that_was_silent_before_is_as_strong_as_can_be() -> None:
    codes = patch_codes(SparseCodes.of(torch.tensor([[[9.0, 1.0]]])), np.array([0.0, 4.0], dtype=np.float32))
    assert codes.latents.tolist() == [0, 1]
    assert codes.levels.tolist() == [255, 64]


def test_codes_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="the codes must be finite: latent 1 has nan"):
        SparseCodes.of(torch.tensor([[[1.0, float("nan")]]]))


def test_heatmaps_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.latents.heatmaps.HEATMAP_BYTES", 12)
    monkeypatch.setattr("saev.latents.heatmaps.BYTES_BESIDE", 0)
    shown = {0: [1, 2], 3: [1], 4: [1, 2, 3], 5: []}
    assert list(in_parts(shown, (2, 2))) == [{0: [1, 2], 3: [1]}, {4: [1, 2, 3], 5: []}]
    assert list(in_parts({}, (2, 2))) == []


def test_a_latent_that_shows_nothing_has_no_heatmaps(reader: ShardReader, sae: TopK) -> None:
    tokens = selection(reader, "content")
    assert heatmaps(Encoding(sae, tokens), {5: []}, np.ones(D_SAE, dtype=np.float32)) == {5: {}}


def test_saes_are_matched_and_told_apart(reader: ShardReader, sae: TopK, tmp_path: Path) -> None:
    torch.manual_seed(2)
    order = torch.randperm(D_SAE)
    other = TopK(8, D_SAE, k=2)
    with torch.no_grad():
        for mine, theirs in ((sae.W_dec, other.W_dec), (sae.W_enc.T, other.W_enc.T)):
            theirs[:] = mine[order]
    assert sae_id(sae) != sae_id(other)
    assert sae_id(sae) == sae_id(sae)
    assert len(sae_id(ARCHITECTURES["BatchTopK"](8, d_sae=4, k=2))) == 16  # its state has a number besides
    saes, tokens = {"a": sae, "b": other}, selection(reader, "content")
    source = Source(tokens, RecordedPictures(reader), Labels.of(reader), ImageSet.of(tokens, saes.values()))
    subjects = {name: subject_of(one, tokens) for name, one in saes.items()}
    first, second = render_galleries(subjects, source, RenderOptions(top_k=TOP, n_latents=5), tmp_path)
    assert second.gallery.others[0].matched.tolist() == order.tolist()
    assert first.gallery.others[0].matched[order].tolist() == list(range(D_SAE))
    np.testing.assert_allclose(first.gallery.others[0].cosine, 1, atol=1e-5)
    matched = first.gallery.others[0].matched
    assert {page.index for page in second.pages} == {int(matched[page.index]) for page in first.pages}
    assert len(first.pages) == 5
    assert (tmp_path / "a" / "data" / "pictures").is_dir()
    assert second.index == tmp_path / "b" / "index.html"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k=0"),
        ({"n_latents": -2}, "n_latents=-2"),
        ({"log_freq_range": (1.0, 0.0)}, "the lower one first"),
        ({"log_value_range": (0.0, float("nan"))}, "log_value_range"),
        ({"sort_by": "size"}, "one of patch, img, cls"),
        ({"vocabulary": Path("words.txt")}, "no use without a namer"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RenderOptions(**options)
