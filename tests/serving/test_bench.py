"""Variants, effects and the probe behind the bench, against computations by hand."""

import base64
import hashlib
import io
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.serving.conftest import CPU, ask, error, file_of, own_picture
from tests.tiny_models import tiny_open_clip  # noqa: F401 - a fixture

import saev
from saev.artifacts import Provenance, RecordedLayer
from saev.errors import InputError
from saev.metrics.embeddings import probe_halves
from saev.serving import kept_pictures, recorded_probe
from saev.serving.asked import BadRequest
from saev.serving.effects import Words, random_latents
from saev.serving.kept_pictures import Forgotten
from saev.serving.live_gallery import Behind, LiveGallery
from saev.serving.live_sae import LiveSae
from saev.serving.open_run import OpenedSae
from saev.serving.recorded_probe import RecordedProbe
from saev.serving.server import GalleryServer
from saev.serving.turn import Turn
from saev.shards.reading.open import open_shards
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone
from saev.vit.text import load_clip

REGION = [0, 1, 11, 12]
"""The first two patches of a grid of 10 by 10, and those below and to the right of them."""


def asked(**what: object) -> bytes:
    return json.dumps(what).encode()


def variant_of(picture: str, kind: str, patches: list[int] | None = None, onto: str | None = None) -> bytes:
    return asked(picture=picture, kind=kind, patches=patches or [], onto=onto)


def pixels(picture: Image.Image | bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture)


def test_variants_equal_those_of_pillow_on_what_the_vit_saw(
    live: LiveGallery, opened: OpenedSae, backbone: Backbone
) -> None:
    ids = [live.look(file_of(own_picture(*size)))["id"] for size in ((90, 70), (50, 80))]
    view, other = (backbone.preprocessing.view(own_picture(*size)) for size in ((90, 70), (50, 80)))
    columns, side = backbone.grid[1], view.width // backbone.grid[1]
    is_in = np.zeros((view.height, view.width, 1), dtype=bool)
    for patch in REGION:
        top, left = side * (patch // columns), side * (patch % columns)
        is_in[top : top + side, left : left + side] = True
    mean = np.asarray(view).reshape(-1, 3).mean(0).round()
    box = (0, 0, 3 * side, 3 * side)  # three columns and two rows: the height grows to the shape of the picture
    expected = {
        "mirror": np.asarray(view)[:, ::-1],
        "rotate_90": np.rot90(np.asarray(view), -1),
        "rotate_180": np.rot90(np.asarray(view), 2),
        "rotate_270": np.rot90(np.asarray(view)),
        "grey": np.repeat(np.asarray(view.convert("L"))[..., None], 3, 2),
        "blur": np.asarray(view.filter(ImageFilter.GaussianBlur(view.width / 56))),
        "crop": np.asarray(view.resize(view.size, Image.Resampling.BICUBIC, box)),
        "cut_out": np.where(is_in, mean, np.asarray(view)),
        "keep_only": np.where(is_in, np.asarray(view), mean),
        "paste": np.where(is_in, np.asarray(view), np.asarray(other)),
    }
    for kind, by_hand in expected.items():
        found = live.variant(variant_of(ids[0], kind, REGION, ids[1]))
        png = live.view(found["id"])
        assert np.array_equal(pixels(png), by_hand), kind
        assert found["sha256"] == hashlib.sha256(png).hexdigest()
        with torch.no_grad():
            image = backbone.preprocessing.tensor_of_view(Image.fromarray(by_hand.astype(np.uint8)))
            largest_s = opened.sae.encode(backbone(image[None], [4])[4][0, 1:]).amax(0).numpy()
        latents, values = (
            np.frombuffer(base64.b64decode(found["largest"][name]), kind_of)
            for name, kind_of in (("latents", "<u4"), ("values", "<f4"))
        )
        assert latents.tolist() == np.flatnonzero(largest_s).tolist()
        assert values == pytest.approx(largest_s[latents], rel=1e-4)
        assert json.loads(live.again(found["id"])) == found


def relative(after_e: torch.Tensor, before_e: torch.Tensor) -> tuple[float, float]:
    after_e, before_e = after_e.double(), before_e.double()
    distance = 1 - torch.cosine_similarity(after_e, before_e, dim=0)
    return distance.item(), ((after_e - before_e).norm() / before_e.norm()).item()


@pytest.mark.parametrize("patches", [None, REGION])
def test_effects_equal_an_edit_by_attach(
    live: LiveGallery, opened: OpenedSae, backbone: Backbone, patches: list[int] | None
) -> None:
    key = live.look(file_of(own_picture()))["id"]
    image = backbone.preprocessing.tensor(own_picture())[None]
    sae = opened.sae
    with saev.attach(backbone, sae, 4) as inside:
        x_pd = inside.activations(image)[0]
        where = slice(None) if patches is None else patches
        one, other = inside.codes(image)[0, where].amax(0).argsort(descending=True)[:2].tolist()
        edits = [saev.Edit(one, "zero", tokens=patches), saev.Edit(other, "scale", 3.0, tokens=patches)]
        (before_e,), (after_e,) = backbone.embed(image), inside.edited(image, edits)
        f_ps = inside.codes(image)[0]
        change_pl = torch.zeros(len(f_ps), 2)
        change_pl[where] = torch.stack([-f_ps[where, one], 2 * f_ps[where, other]], 1)
        W_sd = sae.W_dec * sae.scale_d
        added_pd = change_pl @ W_sd[[one, other]]
        drawn = random_latents([one, other], opened.overview.image_frequency).tolist()
        by_hand = []
        for latents in drawn:
            along_pd = change_pl @ W_sd[latents]
            along_pd *= added_pd.norm(dim=1, keepdim=True) / along_pd.norm(dim=1, keepdim=True).clamp(min=1e-30)

            def moved(x_btd: torch.Tensor, along_pd: torch.Tensor = along_pd) -> dict[str, torch.Tensor]:
                return {"": x_btd + torch.cat([torch.zeros(1, along_pd.shape[1]), along_pd])}

            by_hand.append(relative(inside.variants(image, moved)[""][0], before_e))
    found = live.effect(asked(picture=key, factors=[[one, 0], [other, 3]], patches=patches, words=[]))
    assert relative(after_e, before_e) == pytest.approx(
        (found["distance"]["edited"], found["length"]["edited"]), rel=1e-3, abs=1e-9
    )
    for name, numbers in zip(("distance", "length"), zip(*by_hand, strict=True), strict=True):
        assert found[name]["random"] == pytest.approx(numbers, rel=1e-2, abs=1e-7)
        assert min(found[name]["random"]) > 0
    is_changed_p = added_pd.norm(dim=1) > 0
    assert found["nTokens"] == is_changed_p.sum().item() <= (len(x_pd) if patches is None else len(patches))
    assert found["norm"] == pytest.approx((added_pd.norm() / x_pd[is_changed_p].norm()).item(), rel=1e-4)
    assert set(found) == {"norm", "nTokens", "distance", "length", "probe"}
    assert not {one, other} & set(np.ravel(drawn).tolist())


def test_what_does_not_fire_has_no_effect(live: LiveGallery, opened: OpenedSae, backbone: Backbone) -> None:
    key = live.look(file_of(own_picture()))["id"]
    with torch.no_grad():
        x_td = backbone(backbone.preprocessing.tensor(own_picture())[None], [4])[4][0, 1:]
        silent = int(opened.sae.encode(x_td).amax(0).argmin())
    found = live.effect(asked(picture=key, factors=[[silent, 0]], patches=None, words=[]))
    assert (found["norm"], found["nTokens"]) == (0, 0)
    assert found["distance"] == found["length"] | {"edited": 0} == {"edited": 0, "random": [0] * 20}


def test_zero_shot_probabilities_are_those_of_the_clip() -> None:
    backbone, clip = load_backbone("clip", "tiny-CLIP/openai", "random"), load_clip("tiny-CLIP/openai", "random")
    torch.manual_seed(0)
    sae = saev.TopK(d_in=backbone.d_model, d_sae=40, k=3).eval()
    vit = RecordedLayer(family="clip", ckpt="tiny-CLIP/openai", layer=0)
    behind = LiveSae(sae, Provenance([vit], "content"), backbone, CPU)
    probe, words = RecordedProbe(InputError("gone"), behind.prepared, behind.embed, Turn()), Words(vit, "random")
    ones = np.ones(40, dtype=np.float32)
    live = LiveGallery(Behind(behind, ones, ones, "gone", words, probe), Turn())
    key = live.look(file_of(own_picture()))["id"]
    assert live.state()["words"] is None
    names = ["a cat", "sea_horse", "dog"]
    image = backbone.preprocessing.tensor(own_picture())[None]
    with saev.attach(backbone, sae, 0) as inside:
        latent = int(inside.codes(image)[0].amax(0).argmax())
        embedded = [backbone.embed(image)[0], inside.edited(image, saev.Edit(latent, "zero"))[0]]
    texts = torch.nn.functional.normalize(
        clip.embed_texts([f"a photo of a {name.replace('_', ' ')}." for name in names]), dim=-1
    )
    for _ in range(2):  # the second time with words that are kept
        found = live.effect(asked(picture=key, factors=[[latent, 0]], patches=None, words=names))
        told = {row["name"]: [row["before"], row["after"]] for row in found["words"]["classes"]}
        cosines = {row["name"]: [row["before"], row["after"]] for row in found["cosines"]["classes"]}
        for place, one_e in enumerate(embedded):
            image_e = torch.nn.functional.normalize(one_e @ clip.visual_projection()[1], dim=-1)
            by_hand = (100 * image_e @ texts.T).softmax(-1).tolist()
            assert [told[name][place] for name in names] == pytest.approx(by_hand, abs=1e-4)
            assert [cosines[name][place] for name in names] == pytest.approx((image_e @ texts.T).tolist(), abs=1e-5)
    assert [len(row["random"]) for row in found["words"]["classes"]] == [20] * 3
    assert found["probe"] == {"reason": "gone"}
    assert live.probe(start=True)["reason"] == "gone"


def test_the_probe_is_that_of_the_recorded_pictures(
    backbone: Backbone, shards: Path, server: GalleryServer, name: str
) -> None:
    live = server.live[name]
    assert isinstance(live, LiveGallery)
    key = live.look(file_of(own_picture()))["id"]
    ask_effect = asked(picture=key, factors=[[0, 0]], patches=None, words=["cat", "dog"])
    assert live.effect(ask_effect)["probe"] == {"reason": "no probe is fitted yet"}
    assert "has no text tower" in str(live.state()["words"])
    assert "--zero_shot needs a CLIP" in live.effect(ask_effect)["words"]["reason"]
    records, pictures = open_shards(shards).examples(), shards.parent.parent / "pictures"
    embedded = [backbone.embed(backbone.preprocessing.tensor(Image.open(pictures / one.path))[None]) for one in records]
    states = [json.loads(ask(server, "POST", f"/{name}/live/probe", b"")[1])]
    live._behind.probe._thread.join()  # type: ignore[union-attr] # it was started
    states.append(json.loads(ask(server, "GET", f"/{name}/live/probe")[1]))
    assert [state["reason"] for state in states] == [None, None]
    assert (states[1]["done"], states[1]["total"], states[1]["isRunning"]) == (12, 12, False)
    # The order of the pictures decides which half of a class teaches.
    used = [record.path for record in live._behind.probe._records]
    labels = [path.split("/")[0] for path in used]
    by_path = {record.path: one for record, one in zip(records, embedded, strict=True)}
    all_ne = torch.cat([by_path[path] for path in used]).double().numpy()
    learned, tested = probe_halves(labels)
    scaler = StandardScaler().fit(all_ne[learned])
    fitted = LogisticRegression(max_iter=1000).fit(scaler.transform(all_ne[learned]), [labels[one] for one in learned])
    accuracy = fitted.score(scaler.transform(all_ne[tested]), [labels[one] for one in tested])
    known = fitted.classes_.tolist()  # a class of one picture is not learned
    assert states[1]["fitted"] == {"classes": known, "nMissing": 0, "accuracy": pytest.approx(accuracy)}
    own_e = backbone.embed(backbone.preprocessing.tensor(own_picture())[None]).double().numpy()
    by_hand = dict(zip(fitted.classes_, fitted.predict_proba(scaler.transform(own_e))[0], strict=True))
    told = live.effect(ask_effect)["probe"]["classes"]
    assert {row["name"]: row["before"] for row in told} == pytest.approx(by_hand, abs=1e-4)


def test_of_large_recorded_pictures_the_probe_holds_one_at_a_time(
    live: LiveGallery, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes, held, most = 3 * 700 * 600, 0, 0

    def let_go() -> None:
        nonlocal held
        held -= n_bytes

    def decoded(*_: object) -> Image.Image:
        nonlocal held, most
        picture = Image.new("RGB", (700, 600))
        weakref.finalize(picture, let_go)
        held += n_bytes
        most = max(most, held)
        return picture

    monkeypatch.setattr(recorded_probe, "decode", decoded)
    probe = RecordedProbe(open_shards(shards), live._sae.prepared, live._sae.embed, Turn())
    probe.start()
    probe.join(60)
    assert probe.state()["done"] == 12
    assert most == n_bytes


def test_what_cannot_be_asked_is_refused(server: GalleryServer, name: str) -> None:
    live = server.live[name]
    assert isinstance(live, LiveGallery)
    key = live.look(file_of(own_picture()))["id"]
    effect: dict[str, Any] = {"picture": key, "factors": [[0, 0]], "patches": None, "words": []}
    bad = [
        {"factors": []}, {"factors": [[48, 0]]}, {"factors": [[0]]}, {"patches": []}, {"patches": [100]},
        {"patches": [True]}, {"patches": "all"}, {"words": ["one"]}, {"words": ["x", " "]}, {"words": ["x" * 201, "y"]},
        {"words": [str(n) for n in range(65)]}, {"words": None}, {"picture": 1}, {"more": 1},
    ]  # fmt: skip
    for change in bad:
        with pytest.raises(BadRequest):
            live.effect(asked(**(effect | change)))
    for kind, patches, onto in [("x", [1], None), (3, [1], None), ("crop", [], None), ("paste", [1], None)]:
        body = asked(picture=key, kind=kind, patches=patches, onto=onto)
        assert ask(server, "POST", f"/{name}/live/variants", body)[0].status == 400
    response, content = ask(server, "POST", f"/{name}/live/variants", variant_of(key, "paste", [1], "0" * 16))
    assert response.status == 410
    assert "open this one again" in error(content)
    made = json.loads(ask(server, "POST", f"/{name}/live/variants", variant_of(key, "mirror"))[1])
    assert json.loads(ask(server, "GET", f"/{name}/live/pictures/{made['id']}.json")[1]) == made
    assert json.loads(ask(server, "POST", f"/{name}/live/effects", asked(**effect))[1])["nTokens"] >= 0


def test_what_is_kept_is_bounded_by_bytes(live: LiveGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    first = live.look(file_of(own_picture()))["id"]
    monkeypatch.setattr(kept_pictures, "MAX_KEPT_BYTES", int(2.5 * live._kept.find(first).n_bytes))
    second, third = (live.variant(variant_of(first, kind))["id"] for kind in ("mirror", "rotate_180"))
    assert [key in live._kept._kept for key in (first, second, third)] == [True, False, True]  # the ones used last
    with pytest.raises(Forgotten):
        live.again(second)
