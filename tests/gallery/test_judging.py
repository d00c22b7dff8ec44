"""What latents are judged by where there is too much of it, against a look at all codes and pre-activations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards

from saev.gallery import judging
from saev.gallery.judged import Judged
from saev.gallery.judging import Judging
from saev.gallery.judging_scripts import judged_value
from saev.gallery.label_counts import BestLabels, LabelCount, kind_of_column
from saev.gallery.near_misses import NearMisses
from saev.latents.encoding import Encoding
from saev.latents.labels import Labels
from saev.latents.metadata import read_metadata
from saev.latents.survey import survey_images
from saev.nn import TopK
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection

N, D_SAE, MOST = 60, 12, 4


def test_of_too_many_pictures_there_are_the_strongest_and_the_nearest_of_its_labels(
    make_shards: MakeShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "MAX_PAIRS", MOST * D_SAE)
    monkeypatch.setattr(judging, "MAX_FIRES", 5)
    path, acts = make_shards(N)
    torch.manual_seed(1)
    sae = TopK(8, D_SAE, k=2)
    with torch.no_grad():
        f_ns = sae.encode(acts[:, 1:]).numpy().max(1)
        h_nps = sae.pre_activations(sae.normalize(acts[:, 1:])).numpy()
    table = tmp_path / "table.csv"
    strong = f_ns[:, 0] > np.median(f_ns[:, 0])
    strong[np.flatnonzero(f_ns[:, 0] == 0)[:9]] = True
    table.write_text("path,images\n" + "".join(f"{i:05d}.png,{'yes' if strong[i] else 'no'}\n" for i in range(N)))
    reader = open_shards(path)
    tokens = TokenSelection((reader,), np.arange(N), reader.layout.tokens.positions("content"))
    labels = Labels.of(reader, read_metadata(table, reader.examples()).columns)
    codes = Encoding(sae, tokens)
    survey = survey_images({"one": codes}, tokens.examples, labels, top_k=3)["one"]
    best = [BestLabels(kind_of_column("images"), {0: LabelCount("yes", 9, 1.0, 2.0, 0.0)})]
    found = Judging(sae, codes.spots, survey, labels, tokens, best)
    found.look_at_silent(range(D_SAE))
    judged = found.of(0)
    fires = np.flatnonzero(f_ns[:, 0] > 0)
    assert judged.n_fires == len(fires)
    assert judged.places_p.tolist() == sorted(fires[np.argsort(-f_ns[fires, 0], kind="stable")][:5].tolist())
    assert judged.values_p.tolist() == f_ns[judged.places_p, 0].tolist()
    near = judged.silent
    assert near is not None
    assert len(near.places_q) == MOST
    assert (strong[near.places_q] & (f_ns[near.places_q, 0] == 0)).all()
    np.testing.assert_allclose(near.values_q, h_nps[near.places_q, :, 0].max(1), rtol=1e-5)
    assert near.patches_q.tolist() == h_nps[near.places_q, :, 0].argmax(1).tolist()
    assert judged.near == set(near.places_q.tolist())
    # One that is looked at alone: all silent pictures of few, and of more those of its labels.
    monkeypatch.setattr(judging, "MAX_PAIRS", 2**20)
    for most, expected in ((N, f_ns[:, 0] == 0), (N - 1, strong & (f_ns[:, 0] == 0))):
        monkeypatch.setattr(judging, "MAX_WHOLE", most)
        found.look_alone(0, D_SAE)
        alone = found.of(0).silent
        assert alone is not None
        assert alone.places_q.tolist() == np.flatnonzero(expected).tolist()


@pytest.mark.parametrize(("n", "is_told"), [(5, True), (3, False)])
def test_places_are_told_unless_all_silent_pictures_are_looked_at(n: int, is_told: bool) -> None:
    """The first pictures may be those of its label, as where they lie in folders, and the rest is not looked at."""
    silent = NearMisses(np.array([0, 2]), np.array([-1, 1], np.float32), np.array([0, 0]))
    value = judged_value(Judged(np.array([1]), np.ones(1, np.float32), 1, n, silent))
    assert ("places" in value["silent"]) == is_told
