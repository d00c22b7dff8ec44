"""Latents whose meaning is known, through what looks at latents: heatmaps, names, interventions, and whole tests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.scenes.known_latents import CKPT, LAYER, VALUES, KnownScenes, known_scenes, shares
from torch import Tensor
from torch.nn.functional import normalize

import saev
from saev.latents.codes import open_codes
from saev.latents.heatmaps import heatmaps
from saev.latents.naming.names_file import NAMES_FILE, read_names
from saev.pages.heatmap import overlay
from saev.probing import build, freeze, test
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.sets.files import read_set
from saev.probing.verdicts.files import read_verdicts
from saev.probing.verdicts.result import Result
from saev.scenes.captions import prompt
from saev.scenes.drawing import object_mask
from saev.scenes.factors import FACTORS
from saev.serving.text_search import TextSearch
from saev.splicing.measure_downstream import measure_downstream
from saev.vit.images import DemoScenes
from saev.vit.text import load_clip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> KnownScenes:
    return known_scenes(tmp_path_factory.mktemp("known"))


def lit(map_hw: np.ndarray) -> np.ndarray:
    """(64, 64) how bright a heatmap is over a black picture."""
    drawn = overlay(Image.new("RGB", (64, 64)), map_hw.astype(float), 255.0, opacity=1.0)
    return np.asarray(drawn).astype(float).sum(axis=2)


def test_heat_lies_on_the_objects_that_a_latent_stands_for(known: KnownScenes) -> None:
    codes = open_codes(known.codes)
    for factor, value in (one for one in VALUES if one[0] not in ("position", "background")):
        latent, images = VALUES.index((factor, value)), known.having(factor, value)
        maps = heatmaps(codes, {latent: images}, np.full(len(VALUES), 100, np.float32))[latent]
        on, transposed = [], []
        for image in images:
            things = known.source.scene(image).objects
            own = [number + 1 for number, thing in enumerate(things) if getattr(thing, factor) == value]
            touched = np.isin(object_mask(known.source.scene(image)), own).reshape(8, 8, 8, 8).any(axis=(1, 3))
            where, heat = np.kron(touched, np.ones((8, 8), dtype=bool)), lit(maps[image])
            if not heat.any():
                continue
            on.append(heat[where].sum() / heat.sum())
            transposed.append(heat.T[where].sum() / heat.sum())
        assert len(on) > 0.9 * len(images), value
        assert np.mean(on) > 0.95, value
        assert np.mean(transposed) < 0.75, value


PHRASES = [prompt(*one) for one in VALUES]


@pytest.fixture(scope="module")
def galleries(known: KnownScenes) -> Path:
    """Galleries of a run, in which the CLIP that was recorded gave the names."""
    (known.root / "phrases.txt").write_text("\n".join(PHRASES))
    found = known.root / "run" / "features"
    saev.render(
        {"known": known.sae}, known.shards, found, codes=[known.codes], namer=CKPT,
        vocabulary=known.root / "phrases.txt", n_latents=len(VALUES), n_picture_pages=0, device="cpu",
    )  # fmt: skip
    return found


def test_names_are_right(galleries: Path) -> None:
    names = {latent: name for latent, (name, _) in read_names(galleries / "known" / NAMES_FILE).names.items()}
    assert len(names) >= 10
    assert np.mean([name == PHRASES[latent] for latent, name in names.items()]) >= 0.8
    of_colours = [VALUES.index(("colour", colour)) for colour in FACTORS["colour"]]
    assert [names[latent] for latent in of_colours] == [PHRASES[latent] for latent in of_colours]


def test_texts_find_their_latents(galleries: Path) -> None:
    search = TextSearch(galleries)
    right = []
    for latent in (VALUES.index((factor, value)) for factor in ("colour", "background") for value in FACTORS[factor]):
        found = search.search("known", json.dumps({"text": PHRASES[latent]}).encode())
        right.append(found["latents"][int(np.argmax(found["scores"]))] == latent)
    assert np.mean(right) >= 0.6


def test_the_cost_of_a_reconstruction_is_seen_in_what_the_clip_calls_scenes(known: KnownScenes) -> None:
    images = DemoScenes(n_scenes=60, seed=9, n_objects=(1, 1), label="colour")
    vit = {"shards": known.shards, "n_images": 60, "num_workers": 0, "device": "cpu"}
    report = measure_downstream(known.sae, images, zero_shot="a {} shape", **vit)
    found = report["downstream"]["zero_shot_accuracy"]
    assert found["original"] > 0.9 > 0.5 > found["ablated"]


def test_switching_a_latent_off_takes_its_value_out_of_what_the_clip_sees(known: KnownScenes) -> None:
    clip, single = load_clip(CKPT), DemoScenes(n_scenes=120, seed=9, n_objects=(1, 1))
    projection = clip.visual_projection()[1].float()
    texts = {factor: clip.embed_texts([prompt(factor, value) for value in FACTORS[factor]]) for factor in FACTORS}
    shown = torch.from_numpy(np.stack([shares(single.scene(index)).any(axis=0) for index in range(len(single))]))

    def margins(z: Tensor, factor: str, which: Tensor) -> Tensor:
        """How much nearer pictures are to the text of the value that they have than to those of the others."""
        own = shown[which][:, [one[0] == factor for one in VALUES]]
        cosines = normalize(z @ projection, dim=-1) @ texts[factor].T
        return cosines[own] - (cosines * ~own).sum(1) / (~own).sum(1)

    x = torch.stack([known.backbone.preprocessing.tensor(single.read(index)) for index in range(len(single))])
    kept = {factor: {name: [] for name in FACTORS} for factor in FACTORS}
    with saev.attach(known.backbone, saev.load(known.sae), LAYER, tokens="content") as inside, torch.no_grad():
        before = known.backbone.embed(x)
        for latent, (factor, _) in enumerate(VALUES):
            has = shown[:, latent]
            after = inside.edited(x[has], [saev.Edit([latent], "zero")])
            for name, all_of in kept[factor].items():
                all_of.append(float((margins(after, name, has) / margins(before[has], name, has).mean()).mean()))
    for factor in ("shape", "colour", "texture", "size", "background"):
        own, *others = sorted(np.mean(all_of) for all_of in kept[factor].values())
        assert own == np.mean(kept[factor][factor])
        assert own < 0.7, factor
        assert others[0] > own + 0.15, factor


@dataclass(frozen=True)
class Chain:
    """From drafts to verdicts."""

    known: KnownScenes
    root: Path

    def verdicts(self, name: str, hypotheses: Sequence[Hypothesis], metadata: Path | None = None) -> Sequence[Result]:
        place, own = self.root / name, (self.known.sae, self.known.shards)
        place.mkdir()
        Draft(tuple(hypotheses), halves=Halves(0, ())).write(place / "draft.json")
        freeze(*own, place / "frozen.json", file=place / "draft.json", codes=self.known.codes, metadata=metadata)
        build(place / "frozen.json", *own, place / "sets", codes=self.known.codes, metadata=metadata)
        test(
            place / "frozen.json", *own, place / "sets", place / "report", codes=self.known.codes, metadata=metadata,
            n_permutations=999, controls=False,
        )  # fmt: skip
        return read_verdicts(place / "report").results


def test_what_the_clip_says_of_scenes_labels_a_set(known: KnownScenes, tmp_path: Path) -> None:
    red = VALUES.index(("colour", "red"))
    words = Hypothesis("red", AttributeName("words", PHRASES[red]), Latents((red,), (), (1.0,)), text=PHRASES[red])
    own = saev.load(known.sae)
    frozen = Draft((words,)).frozen(own, known.reader.recording.content_id, datetime.now(UTC))
    (tmp_path / "phrases.txt").write_text("\n".join(PHRASES))
    (made,) = build(
        frozen, own, known.shards, tmp_path / "sets", codes=known.codes, labeller=CKPT,
        vocabulary=tmp_path / "phrases.txt", device="cpu",
    )  # fmt: skip
    has = set(known.having("colour", "red"))
    right = [one.label == (one.image in has) for one in read_set(made).pictures]
    assert np.mean(right) > 0.85


def claim(latent: int, attribute: str) -> Hypothesis:
    source, _, name = attribute.partition(":")
    return Hypothesis(f"latent-{latent}", AttributeName(source, name), Latents((latent,), (), None), text=attribute)


def test_what_latents_stand_for_is_confirmed_and_what_nobody_can_see_is_not(known: KnownScenes, tmp_path: Path) -> None:
    chain = Chain(known, tmp_path)
    some = [latent for latent, (factor, _) in enumerate(VALUES) if factor != "position"][::2]
    planted = chain.verdicts("planted", [claim(latent, known.source.attribute(*VALUES[latent])) for latent in some])
    assert np.mean([one.verdict == "confirmed" for one in planted]) >= 0.9
    coins = np.random.default_rng(0).random((len(known.source), len(VALUES))) < 0.4
    lines = [f"{known.source.record(i).path},{','.join(map(str, row.astype(int)))}" for i, row in enumerate(coins)]
    heading = ",".join(f"coin {latent}" for latent in range(len(VALUES)))
    (tmp_path / "coins.csv").write_text("\n".join([f"path,{heading}", *lines]))
    tossed = [
        chain.verdicts(f"tossed{part}", [claim(latent, f"metadata:coin {latent}") for latent in some[part::2]],
                       tmp_path / "coins.csv")
        for part in range(2)
    ]  # fmt: skip
    # Of twelve p values at most three are below .05 in 999 of 1,000 tables.
    assert not any(one.verdict == "confirmed" for part in tossed for one in part)
    assert sum(one.p <= 0.05 for part in tossed for one in part) <= 3
