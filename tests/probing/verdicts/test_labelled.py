"""Sets whose labels are known, and pictures that were never recorded."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_array
from tests.probing.sets.small_sets import make_pictures, picture
from tests.probing.verdicts.planted import PROXY, TRUE, Study, make_study

import saev
import saev.probing
from saev.artifacts import Provenance, save_sae
from saev.errors import InputError
from saev.probing.hypotheses.coalitions import joined
from saev.probing.hypotheses.file import Draft, Frozen
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.pictures.units import Units
from saev.probing.sets.files import write_set
from saev.probing.sets.image_set import ImageSet, Role, SetPicture
from saev.probing.sets.sampling import Stratum
from saev.probing.verdicts.files import read_verdicts
from saev.probing.verdicts.result import Result
from saev.probing.verdicts.unrecorded import codes_of_new, of_set


def labelled(
    study: Study,
    frozen: Frozen,
    hard: Sequence[int] = (),
    y_i: np.ndarray | None = None,
    images: np.ndarray | None = None,
) -> None:
    """A set of all pictures of the test half, with labels, for the one hypothesis; some of them are no sample."""
    (one,) = frozen.hypotheses
    units, y_i = Units.of(study.records), study.y_i if y_i is None else y_i
    images = study.test_half if images is None else images
    roles: dict[int, tuple[Role, ...]] = dict.fromkeys(hard, ("hard-near",))
    pictures = tuple(
        picture(
            study.records, k, image, units.names[units.group_i[image]], None if image in roles else 0,
            roles.get(image, ("sample",)), bool(y_i[image]),
        )
        for k, image in enumerate(images.tolist(), 1)
    )  # fmt: skip
    n = sum(one.stratum is not None for one in pictures)
    made = ImageSet(
        pictures=pictures, strata=(Stratum(0.0, 3.0, n, n),), hypothesis=one.id, hypotheses=frozen.hash,
        sae=frozen.sae, shards=frozen.shards, text=one.text, recipe={"kind": "labelled"}, seed=0,
    )  # fmt: skip
    write_set(study.root / "sets" / one.id, made, lambda one: study.root / "all" / one.path)


def verdict(study: Study, frozen: Frozen, **options: object) -> Result:
    out = saev.probing.test(
        frozen, study.sae, study.shards, study.root / "sets", study.root / "report", device="cpu", n_permutations=499,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    (found,) = read_verdicts(out).results
    return found


def test_labels_of_the_set_are_taken(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    frozen = study.freeze(TRUE)
    labelled(study, frozen)
    found = verdict(study, frozen)
    assert (found.verdict, found.n, found.roles) == ("confirmed", len(study.test_half), ())
    assert found.n_positive == study.y_i[study.test_half].sum()


def test_controls_are_measured_where_labels_of_the_proposal_half_are_known(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    is_a_i = np.array([one.label == "a" for one in study.records])
    frozen = study.freeze(PROXY, attribute=AttributeName("label", "a"), claim="does not fire on")
    labelled(study, frozen, y_i=is_a_i)
    found = verdict(study, frozen)
    controls = {one.name: one for one in found.controls}
    # The planted latents are the raw neurons.
    assert controls["best neuron"].mcc == pytest.approx(found.effect) == pytest.approx(1.0)
    assert {"linear probe", "best random direction", "best latent of an SAE with random weights"} <= controls.keys()
    assert found.confounders == ()  # the class is what the claim is about


@pytest.mark.parametrize("fires", [True, False])
def test_hard_negatives_on_which_it_fires_speak_against_a_claim(tmp_path: Path, fires: bool) -> None:
    study = make_study(tmp_path)
    frozen = study.freeze(TRUE)
    on_i, y_i = study.values_il[:, TRUE] > 0.5, study.y_i.copy()
    hard = [image for image in study.test_half.tolist() if on_i[image] == fires][:12]
    y_i[hard] = False
    labelled(study, frozen, hard, y_i)
    found = verdict(study, frozen)
    (role,) = found.roles
    assert (role.role, role.n, role.rate) == ("hard-near", 12, float(fires))
    assert role.difference == pytest.approx(found.scores.recall - fires)
    assert (role.difference <= 0, role.low <= 0) == (fires, fires)
    assert found.n == len(study.test_half) - 12
    assert found.verdict == ("undecided" if fires else "confirmed")
    assert ("it fires no less on pictures that look similar" in found.reason) == fires


def test_a_set_with_one_label_and_one_of_the_other_half_are_refused(tmp_path: Path) -> None:
    study = make_study(tmp_path / "one")
    frozen = study.freeze(TRUE)
    labelled(study, frozen, (), np.ones_like(study.y_i))
    with pytest.raises(InputError, match="pictures of the set have the same label: nothing can be compared"):
        verdict(study, frozen)
    study = make_study(tmp_path / "other")
    frozen = study.freeze(TRUE)
    labelled(study, frozen, images=np.setdiff1d(np.arange(len(study.y_i)), study.test_half))
    with pytest.raises(InputError, match="picture p001 is in the half that proposed the hypotheses"):
        verdict(study, frozen)
    assert not (study.root / "report").exists()


def test_the_best_latent_for_shuffled_labels_is_hardly_ever_confirmed(tmp_path: Path) -> None:
    study, rng = make_study(tmp_path), np.random.default_rng(0)
    n_confirmed, n_covered = 0, 0
    for search in range(12):
        y_i = rng.permutation(study.y_i)
        own = replace(study, root=tmp_path / f"{search}", y_i=y_i)
        own.root.mkdir()
        (own.root / "all").symlink_to(tmp_path / "all")
        proposal = np.setdiff1d(np.arange(len(y_i)), study.test_half)
        best = joined(csc_array(study.values_il[proposal]), y_i[proposal], most=1, least_gain=-1.0)
        frozen = own.freeze(*best.latents.any)
        labelled(own, frozen)
        found = verdict(own, frozen)
        n_confirmed += found.verdict == "confirmed"
        n_covered += found.interval[0] <= 0 <= found.interval[1]
    assert n_confirmed <= 1
    assert n_covered >= 10


def test_pictures_that_were_never_recorded_go_through_the_recorded_vit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = make_pictures(tmp_path / "all", [f"{number:03d}.png" for number in range(60)])
    more = make_pictures(tmp_path / "new", [f"{number:03d}.png" for number in range(120)])[60:]
    backbone = saev.load_backbone("timm", "test_vit", weights="random")
    (shards,) = saev.record(tmp_path / "all", backbone, [-2], tmp_path / "shards")
    reader = saev.open_shards(shards)
    sae = saev.TopK(backbone.d_model, d_sae=128, k=8).eval()
    save_sae(sae, tmp_path / "sae", Provenance.of([reader], "content"))
    codes = saev.encode(tmp_path / "sae", shards, device="cpu")
    latent = int(np.bincount(codes.of_images(range(60)).latents_n).argmax())
    claim = Hypothesis("x", AttributeName("words", "red"), Latents((latent,), (), (0.01,)), text="red")
    frozen = Draft((claim,)).frozen(saev.load(tmp_path / "sae"), reader.recording.content_id, datetime.now(UTC))
    pictures = tuple(
        SetPicture(f"p{k:03d}.png", None, f"new/{one.path}", one.digest, one.digest, ("sample",), 0, k % 2 == 0)
        for k, one in enumerate(more)
    )
    made = ImageSet(
        "x", frozen.hash, frozen.sae, frozen.shards, "red", {"kind": "own"}, 0, (Stratum(0.0, 1.0, 60, 60),), pictures
    )
    write_set(tmp_path / "sets/x", made, lambda one: tmp_path / one.path)
    out = saev.probing.test(
        frozen, tmp_path / "sae", shards, tmp_path / "sets", tmp_path / "report", weights="random", device="cpu"
    )
    (found,) = read_verdicts(out).results
    assert (found.n, found.n_unrecorded) == (60, 60)
    assert "60 pictures were never recorded: they are run through test_vit" in capsys.readouterr().err

    # What was recorded has the same values when it comes that way.
    recorded = [
        SetPicture(f"p{k:03d}.png", None, one.path, one.digest, one.digest, ("sample",), 0, None)
        for k, one in enumerate(records)
    ]
    (tmp_path / "again").mkdir()
    (tmp_path / "again/pictures").symlink_to(tmp_path / "renamed")
    (tmp_path / "renamed").mkdir()
    for one, record in zip(recorded, records, strict=True):
        (tmp_path / "renamed" / one.file).symlink_to(tmp_path / "all" / record.path)
    pictures_again = [of_set(tmp_path / "again", one) for one in recorded]
    of_new = codes_of_new(pictures_again, saev.load(tmp_path / "sae"), reader, "content", "random", "cpu")
    values = [claim.pooled(one, range(60)).toarray() for one in (of_new, codes)]
    np.testing.assert_allclose(values[0], values[1], atol=1e-4)
