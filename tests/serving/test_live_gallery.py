"""What is computed for a picture, against a computation by hand."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.cli.recording import huge_png
from tests.serving.conftest import CPU, N_IMAGES, edit_of, file_of, gallery_of, own_picture
from torch import Tensor

from saev.errors import InputError
from saev.serving import kept_pictures, live_gallery
from saev.serving.asked import BadRequest
from saev.serving.kept_pictures import Forgotten
from saev.serving.live_gallery import LiveGallery
from saev.serving.open_run import OpenedSae, recorded_images
from saev.serving.recorded_means import RecordedMeans, chosen_images
from saev.shards.reading.open import open_shards
from saev.vit.backbone import Backbone

D_SAE = 48


@pytest.fixture(scope="module")
def codes(opened: OpenedSae, backbone: Backbone) -> Tensor:
    """Codes (patches, 48) of the own picture, by hand: the second-last of 6 blocks, one CLS token first."""
    image = backbone.preprocessing.tensor(own_picture())[None]
    outputs: list[Tensor] = []
    hook = backbone.block(4).register_forward_hook(lambda _m, _i, out: outputs.append(out))
    with torch.no_grad():
        backbone.embed(image)
        hook.remove()
        return opened.sae.encode(outputs[0][0, 1:])


def unpacked(value: dict[str, str | int], n_patches: int) -> np.ndarray:
    """Levels (patches, 48) of what the page gets."""
    raw = {name: base64.b64decode(str(value[name])) for name in ("latents", "offsets", "entries", "levels")}
    latents, offsets = (np.frombuffer(raw[name], "<u4") for name in ("latents", "offsets"))
    entries = latents[np.frombuffer(raw["entries"], "<u2")]
    levels = np.zeros((n_patches, D_SAE), dtype=np.uint8)
    assert len(offsets) == n_patches + 1
    for patch in range(n_patches):
        part = slice(offsets[patch], offsets[patch + 1])
        levels[patch, entries[part]] = np.frombuffer(raw["levels"], np.uint8)[part]
    return levels


def test_codes_are_those_of_the_recorded_layer(live: LiveGallery, opened: OpenedSae, codes: Tensor) -> None:
    found = live.look(file_of(own_picture()))
    n_patches = opened.provenance.one_layer.more["layout"]["grid"][0] ** 2
    assert len(codes) == n_patches
    top_s = opened.overview.max_value
    shares = np.divide(codes.numpy(), top_s, out=(codes.numpy() > 0) * 1.0, where=top_s > 0)
    expected = (255 * np.clip(shares, 0, 1)).round()
    got = unpacked(found["codes"], n_patches)
    assert np.abs(got - expected).max() <= 1  # rounding of a value on the edge
    assert (got > 0).sum() > n_patches
    whole = expected.max(0)
    assert {latent for latent, _ in found["strongest"]} == set(np.flatnonzero(codes.numpy().max(0)))
    assert all(abs(level - whole[latent]) <= 1 for latent, level in found["strongest"])
    told = [level for _, level in found["strongest"]]
    assert told == sorted(told, reverse=True)


def test_the_view_is_what_the_vit_saw(live: LiveGallery, backbone: Backbone) -> None:
    found = live.look(file_of(own_picture()))
    view = Image.open(io.BytesIO(live.view(found["id"])))
    assert np.array_equal(np.asarray(view), np.asarray(backbone.preprocessing.view(own_picture())))
    assert (found["width"], found["height"]) == view.size


def points_by_hand(shards: Path, opened: OpenedSae) -> Tensor:
    """The mean reconstruction of the patches of each recorded image, from what is decoded of each patch."""
    x_ntd = open_shards(shards).read(0, N_IMAGES)[:, 1:].float()
    with torch.no_grad():
        return torch.stack([opened.sae(x_td).mean(0) for x_td in x_ntd])


def nearest_by_hand(points_nd: Tensor, point_d: Tensor) -> list[tuple[int, float]]:
    centred_nd, centred_d = points_nd.double() - points_nd.double().mean(0), point_d - points_nd.double().mean(0)
    cosines = [float(one @ centred_d / one.norm() / centred_d.norm()) for one in centred_nd]
    return sorted(enumerate(cosines), key=lambda pair: -pair[1])


@pytest.mark.parametrize("factors", [[], [(0, 0.0)], [(0, 5.0), (1, 0.0), (2, 0.5)]])
def test_neighbours_equal_a_look_at_all_images(
    live: LiveGallery, opened: OpenedSae, shards: Path, codes: Tensor, factors: list[tuple[int, float]]
) -> None:
    firing = codes.mean(0).argsort(descending=True).tolist()
    own = [(firing[rank], factor) for rank, factor in factors]
    key = live.look(file_of(own_picture()))["id"]
    found = live.edit(edit_of(key, [list(pair) for pair in own], 7))
    changed = codes.clone()
    for latent, factor in own:
        changed[:, latent] *= factor
    names = [record.path for record in open_shards(shards).examples()]
    points = points_by_hand(shards, opened)
    with torch.no_grad():
        before_d, after_d = (opened.sae.decode(f).mean(0).double() for f in (codes, changed))
    for told, point_d in ((found["before"], before_d), (found["after"], after_d)):
        expected = nearest_by_hand(points, point_d)[:7]
        assert [(image, name) for image, name, _ in told] == [(image, names[image]) for image, _ in expected]
        assert [cosine for *_, cosine in told] == pytest.approx([cosine for _, cosine in expected], abs=2e-4)
    assert (found["before"] == found["after"]) == (not factors)


def test_a_recorded_picture_is_nearest_to_itself(live: LiveGallery, shards: Path) -> None:
    pictures = shards.parent.parent / "pictures"
    for image, record in list(enumerate(open_shards(shards).examples()))[::4]:
        key = live.look((pictures / record.path).read_bytes())["id"]
        (nearest,) = live.edit(edit_of(key, [], 1))["before"]
        assert nearest[:2] == [image, record.path]
        assert nearest[2] == pytest.approx(1, abs=1e-3)


def test_an_sae_of_the_cls_token_has_no_patches(opened: OpenedSae, backbone: Backbone, shards: Path) -> None:
    provenance = replace(opened.provenance, tokens="cls")
    of_cls = replace(opened, provenance=provenance)
    (recorded,) = recorded_images({"one": of_cls}, open_shards(shards), 100, CPU).values()
    live = gallery_of(of_cls, backbone, recorded, shards)
    found = live.look(file_of(own_picture()))
    assert found["codes"] is None
    with torch.no_grad():
        x_td = backbone(backbone.preprocessing.tensor(own_picture())[None], [4])[4][0]
        f_s = opened.sae.encode(x_td[0])
        points = torch.cat([opened.sae(x.float()) for x in open_shards(shards).read(0, N_IMAGES)[:, :1]])
        expected = nearest_by_hand(points, opened.sae.decode(f_s).double())
    assert {latent for latent, _ in found["strongest"]} == set(f_s.nonzero()[:, 0].tolist())
    told = live.edit(edit_of(found["id"], [], N_IMAGES))["before"]
    assert [image for image, *_ in told] == [image for image, _ in expected]


def test_what_is_no_picture_is_told_in_words_for_the_page(live: LiveGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    for data, said in ((b"", "empty"), (b"<svg/>", "no known picture format"), (huge_png(), "enormous")):
        with pytest.raises(InputError, match=said) as error:
            live.look(data)
        assert "--data" not in str(error.value)
    monkeypatch.setattr(live_gallery, "MAX_PIXELS", 90 * 70 - 1)
    with pytest.raises(InputError, match="90 x 70 pixels; at most 6299"):
        live.look(file_of(own_picture()))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"picture": "x", "factors": [[1]], "k": 3}',
     edit_of("x", [[48, 1]]), edit_of("x", [[-1, 1]]), edit_of("x", [[True, 1]]), edit_of("x", [[1.0, 1]]),
     edit_of("x", [[1, -1]]), edit_of("x", [[1, 1001]]), edit_of("x", [[1, "2"]]), edit_of("x", [[1, float("nan")]]),
     edit_of("x", [[1, True]]), edit_of(3, []), edit_of("x", [], 0), edit_of("x", [], 101), edit_of("x", [], True),
     edit_of("x", [[1, 2]] * 65)],
)  # fmt: skip
def test_edits_that_make_no_sense_are_refused(live: LiveGallery, body: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        live.edit(body)
    assert not isinstance(error.value, Forgotten)


def test_only_the_last_pictures_are_kept(live: LiveGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pictures, "MAX_PICTURES", 3)
    first, second, *_ = keys = [live.look(file_of(own_picture(40 + i)))["id"] for i in range(3)]
    live.view(first)  # is now the one used last
    last = live.look(file_of(own_picture()))["id"]
    assert len({*keys, last}) == 4
    live.edit(edit_of(first, []))
    for ask in (lambda: live.view(second), lambda: live.edit(edit_of(second, [])), lambda: live.view("../x")):
        with pytest.raises(Forgotten, match="open this one again"):
            ask()


def test_no_recorded_images_are_said(opened: OpenedSae, backbone: Backbone, shards: Path) -> None:
    live = gallery_of(opened, backbone, "gone", shards)
    assert live.state()["neighbours"] == "gone"
    key = live.look(file_of(own_picture()))["id"]
    with pytest.raises(BadRequest, match="gone"):
        live.edit(edit_of(key, []))


def test_shards_of_another_layer_are_refused(opened: OpenedSae, shards: Path) -> None:
    layers = [replace(opened.provenance.one_layer, layer=2)]
    other = replace(opened, provenance=replace(opened.provenance, layers=layers))
    with pytest.raises(InputError, match=r"layer 2, .* has 4"):
        recorded_images({"one": other}, open_shards(shards), 100, CPU)


def test_saes_of_one_run_may_take_other_tokens_and_other_layers(opened: OpenedSae, shards: Path) -> None:
    of_cls = replace(opened, provenance=replace(opened.provenance, tokens="cls"))
    layers = [replace(opened.provenance.one_layer, layer=2)]
    elsewhere = replace(opened, provenance=replace(opened.provenance, layers=layers))
    saes: dict[str, OpenedSae | str] = {"patches": opened, "cls": of_cls, "elsewhere": elsewhere}
    found = recorded_images(saes, open_shards(shards), 100, CPU)
    assert "layer 2" in str(found["elsewhere"])
    for name in ("patches", "cls"):
        (alone,) = recorded_images({name: saes[name]}, open_shards(shards), 100, CPU).values()
        both = [one.means.nearest(torch.ones(64), N_IMAGES) for one in (alone, found[name]) if not isinstance(one, str)]
        assert len(both) == 2
        assert both[0] == both[1]


def test_few_images_are_compared_with_those_of_the_gallery_first(opened: OpenedSae, shards: Path) -> None:
    names = [record.path for record in open_shards(shards).examples()]
    thumbnails = {3: names[3], 8: names[8], 5: "another.jpg", 500: "gone.jpg"}
    gallery = replace(opened, overview=opened.overview._replace(thumbnails=thumbnails))
    (recorded,) = recorded_images({"one": gallery}, open_shards(shards), 4, CPU).values()
    assert not isinstance(recorded, str)
    assert len(recorded.means.images) == 4
    assert {3, 8} <= set(recorded.means.images.tolist())


@given(st.integers(1, 40), st.integers(1, 50), st.lists(st.integers(0, 60), max_size=20), st.integers(0, 3))
def test_preferred_images_come_first(n: int, most: int, preferred: list[int], seed: int) -> None:
    chosen = chosen_images(n, most, preferred, seed).tolist()
    wanted = {image for image in preferred if image < n}
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(n, most)
    assert all(0 <= image < n for image in chosen)
    assert wanted <= set(chosen) if len(wanted) <= most else set(chosen) <= wanted


def test_ties_go_to_the_lower_id() -> None:
    means = RecordedMeans(np.array([2, 5, 9]), torch.tensor([[1.0, 0], [1, 0], [-2, 0]]))
    assert [one.image_id for one in means.nearest(torch.tensor([3.0, 0]), 3)] == [2, 5, 9]


def test_edits_are_json(live: LiveGallery) -> None:
    key = live.look(file_of(own_picture()))["id"]
    assert json.loads(json.dumps(live.edit(edit_of(key, [[0, 2]])), allow_nan=False))["after"]
