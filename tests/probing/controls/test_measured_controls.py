"""Controls find what is planted, judge it on the other half, and find nothing where nothing is."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards
from tests.probing.controls.planted import NEURON, TEST_I, Y_I, D, N, half, planted, task

import saev
from saev.errors import InputError
from saev.nn import TopK
from saev.probing.controls import measuring
from saev.probing.controls.control import Control, ControlOptions, ControlTask, LabelledPictures
from saev.probing.controls.measuring import measured_controls
from saev.shards.reading.reader import ShardReader

SMALL = ControlOptions(n_directions=16, n_components=8, n_centres=8, sparse_ks=(1, 2), compared_ks=(1,), n_draws=200)
QUICK = ControlOptions(n_directions=0, n_components=0, n_centres=0, linear=False, sparse_ks=(), compared_ks=())


@pytest.fixture(scope="module")
def reader(make_shards: MakeShards) -> ShardReader:
    return planted(make_shards)


@pytest.fixture(scope="module")
def sae() -> TopK:
    torch.manual_seed(1)
    return TopK(D, 32, k=3)


@pytest.fixture(scope="module")
def found(reader: ShardReader, sae: TopK) -> dict[str, Control]:
    torch.manual_seed(2)
    other = TopK(D, 16, k=2)
    [controls] = measured_controls(reader, [task()], sae=sae, others={"another SAE": other}, options=SMALL)
    return {control.name: control for control in controls}


def test_every_kind_is_there_once_and_within_its_interval(found: dict[str, Control]) -> None:
    assert list(found) == [
        "best neuron", "best random direction", "best principal component", "best centre of k-means", "best latent",
        "best latent of another SAE", "best latent of an SAE with random weights", "difference of class means",
        "linear probe", "sparse probe, 1 latents", "sparse probe, 2 latents", "sparse probe, 1 neurons",
        "sparse probe, 1 latents of an SAE with random weights",
    ]  # fmt: skip
    assert all(-1 <= one.low <= one.mcc <= one.high <= 1 for one in found.values())
    assert all(0 <= one.auroc <= 1 and 0 <= one.average_precision <= 1 for one in found.values())


def test_the_planted_neuron_is_found_with_its_sign(found: dict[str, Control]) -> None:
    best = found["best neuron"]
    assert (best.mcc, best.auroc, best.average_precision) == (1, 1, 1)
    assert best.low > 0.8
    assert best.note == f"neuron {NEURON}, largest (turned) of the tokens; of {4 * D}"


def test_the_linear_probe_finds_it_in_the_means(found: dict[str, Control]) -> None:
    assert found["linear probe"].auroc > 0.7
    assert found["linear probe"].low > 0


def test_labels_that_nothing_knows_are_told_by_nothing(reader: ShardReader, sae: TopK) -> None:
    rng = np.random.default_rng(0)
    tasks = [task(rng.permutation(Y_I)) for _ in range(10)]
    all_found = measured_controls(reader, tasks, sae=sae, options=SMALL)
    for controls in zip(*all_found, strict=True):
        mcc = np.array([control.mcc for control in controls])
        assert abs(mcc.mean()) < 3 * max(mcc.std(), 0.05) / np.sqrt(10), controls[0].name
        assert np.mean([control.low <= 0 <= control.high for control in controls]) >= 0.7, controls[0].name


def test_saved_codes_give_what_encoding_gives(reader: ShardReader, sae: TopK, found: dict[str, Control]) -> None:
    codes = saev.encode(sae, reader, tokens="all")  # and of these the patches
    [controls] = measured_controls(reader, [task()], codes=codes, options=SMALL)
    by_name = {control.name: control for control in controls}
    for name in ("best latent", "sparse probe, 2 latents"):
        own, other = asdict(by_name[name]), asdict(found[name])
        assert own.keys() == other.keys()
        assert {key: own[key] for key in own if key != "note"} == pytest.approx(
            {key: other[key] for key in other if key != "note"}
        )
        assert own["note"] == other["note"]


def test_several_passes_give_what_one_gives(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [task(), task(~Y_I), task()]
    together = measured_controls(reader, tasks, options=QUICK)
    monkeypatch.setattr(measuring, "AT_ONCE", N - 1)
    assert measured_controls(reader, tasks, options=QUICK) == together
    assert together[1][0].note.startswith(f"neuron {NEURON}, mean of")  # the other label has the larger values


def test_a_sample_stands_for_all_by_its_weights(reader: ShardReader) -> None:
    options = replace(QUICK, n_pictures=30)
    [[found]] = measured_controls(reader, [task()], options=options)
    assert found.mcc == 1
    some = half(~TEST_I).balanced(30, np.random.default_rng(0))
    assert (int(some.y_i.sum()), len(some.y_i)) == (15, 30)
    assert some.weights_i is not None
    assert some.weights_i[some.y_i].sum() == pytest.approx(20)
    assert some.weights_i.sum() == pytest.approx(60)


def test_without_enough_groups_there_are_no_probes(reader: ShardReader) -> None:
    few = half(~TEST_I)
    few = LabelledPictures(few.images, few.y_i, few.y_i.astype(np.int64))
    [controls] = measured_controls(reader, [ControlTask(few, half(TEST_I))], options=SMALL)
    assert not [control for control in controls if "probe" in control.name]


def test_the_cls_token(reader: ShardReader) -> None:
    [[found]] = measured_controls(reader, [task()], tokens="cls", options=QUICK)
    assert found.mcc < 0.9  # nothing is planted there


def test_bad_input(reader: ShardReader) -> None:
    with pytest.raises(InputError, match=r"the SAE takes activations of width 9, .* have 8"):
        measured_controls(reader, [task()], sae=TopK(9, 16, k=2))
    with pytest.raises(InputError, match="no registers tokens"):
        measured_controls(reader, [task()], tokens="registers")
    with pytest.raises(InputError, match="60 pictures are in both halves, such as number 1"):
        ControlTask(half(TEST_I), half(TEST_I))
    with pytest.raises(InputError, match="0 of 80 pictures have the attribute"):
        half(~Y_I)
    with pytest.raises(InputError, match="k is 1 or more"):
        ControlOptions(sparse_ks=(0,))
    with pytest.raises(InputError, match="n_pictures=3"):
        ControlOptions(n_pictures=3)
