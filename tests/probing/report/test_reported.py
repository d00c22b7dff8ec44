"""Which pictures a report shows, and what it draws of them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.probing.report.reports import N_HARD, N_SAMPLE, make_reported, make_values

from saev.probing.controls.control import Control
from saev.probing.report.badges import badges
from saev.probing.report.edits import edits
from saev.probing.report.forest import MOST_CONFOUNDERS, Row, axis_of, rows_of
from saev.probing.report.page import command
from saev.probing.report.plots import bin_edges, curve, distribution
from saev.probing.report.reported import MOST_OF_ONE, MOST_PICTURES, chosen, kinds_of, pictures_of_each
from saev.probing.verdicts.edit_effects import EditEffect
from saev.probing.verdicts.result import Confounder


def test_kinds_are_the_cells_of_the_claim() -> None:
    values = make_values()
    sample_k = np.arange(N_SAMPLE + N_HARD) < N_SAMPLE
    has_k, fires_k = values.y_k == 1, values.fires_k
    hits, misses, alarms, hard = kinds_of(values).values()
    assert hits.tolist() == (sample_k & has_k & fires_k).tolist()
    assert misses.tolist() == (sample_k & has_k & ~fires_k).tolist()
    assert alarms.tolist() == (sample_k & ~has_k & fires_k).tolist()
    assert hard.tolist() == (~sample_k & fires_k).tolist()
    turned = make_values("does not fire on")
    silent, firing, elsewhere, _ = kinds_of(turned).values()
    assert silent.tolist() == misses.tolist()
    assert firing.tolist() == hits.tolist()
    assert elsewhere.tolist() == (sample_k & ~has_k & ~fires_k).tolist()


def test_hard_pictures_of_the_sample_are_shown_as_hard_ones_too() -> None:
    values = make_values()
    pictures = [replace(one, roles=(*one.roles, "same-class")) if k >= 30 else one for k, one in
                enumerate(values.made.pictures[:N_SAMPLE])]  # fmt: skip
    made = replace(values.made, pictures=(*pictures, *values.made.pictures[N_SAMPLE:]))
    *_, alarms, hard = kinds_of(replace(values, made=made)).values()
    assert hard.tolist() == ((np.arange(N_SAMPLE + N_HARD) >= 30) & values.fires_k).tolist()
    assert (alarms & hard).any()


@pytest.mark.parametrize("most", [0, 1, 3, 9, 100])
def test_pictures_come_evenly_from_the_largest_value_to_the_smallest(most: int) -> None:
    values = make_values()
    masks, found = kinds_of(values), chosen(values, most)
    n = sum(int(mask_k.sum()) for mask_k in masks.values())
    assert sum(map(len, found.values())) == min(most, n)
    for title, some in found.items():
        own = values.a_k[masks[title]]
        assert masks[title][some].all()
        assert len(set(some.tolist())) == len(some)
        assert (np.diff(values.a_k[some]) <= 0).all()
        assert values.a_k[some[0]] == own.max()
        if len(some) > 1:
            assert values.a_k[some[-1]] == own.min()


def test_a_report_has_room_for_so_many_pictures() -> None:
    assert [pictures_of_each(n) for n in (0, 1, 16, 17, 2000)] == [MOST_OF_ONE, 60, 60, 58, 0]
    for n in range(1, 100):
        assert n * pictures_of_each(n) <= MOST_PICTURES


@pytest.mark.parametrize(("top", "threshold"), [(12.0, 3.0), (2.0, 0.0), (0.0, 0.0), (1.0, 5.0), (1e6, 1e-3)])
def test_bins_ascend_and_the_threshold_is_an_edge(top: float, threshold: float) -> None:
    edges = bin_edges(top, threshold)
    assert (np.diff(edges) > 0).all()
    assert (edges[0], threshold in edges, edges[-1] >= top) == (0, True, True)
    assert len(edges) == 25


def test_rows_of_the_distribution_are_shares() -> None:
    drawn = distribution(make_reported())
    heights = [float(height) for height in re.findall(r'class="share \w+".*?height="([\d.]+)"', drawn)]
    yes, no = sum(heights[:25]), sum(heights[25:])
    assert len(heights) == 50
    assert yes == pytest.approx(no, abs=0.5)  # both add up to 100 %


def test_the_curve_ends_where_all_fire() -> None:
    one = make_reported()
    places = re.search(r'class="curve" d="M(.*?)"', curve(one))
    assert places is not None
    x, y = map(float, places[1].split("L")[-1].split())
    assert x == 256
    assert y == pytest.approx(226 - 212 * one.result.scores.prevalence, abs=0.01)


def test_an_axis_holds_all_rows_and_chance() -> None:
    axis = axis_of([Row("a", 0.31, (0.1, 0.62)), Row("b", -0.33)])
    assert (axis.low, axis.high) == (-0.4, 0.8)
    assert axis_of([Row("a", -1.0, (-1, 1))]).low == -1
    assert axis_of([]).at(0) > 2


def test_a_command_says_what_was_handed_over_in_python() -> None:
    found = command({"sae": make_values(), "controls": False, "labels": ["image", "patch"], "out": "x"})
    assert found == (
        "saev probe test --sae '(SetValues in memory)' --no_controls --labels image --labels patch --out x"
    )


def test_a_command_gives_an_empty_list_as_what_it_is() -> None:
    assert command({"labels": [], "answers": None}) == "saev probe test --labels '[]'"


@pytest.mark.parametrize(
    ("name", "mcc", "verdict", "said"),
    [
        ("best latent of an SAE with random weights", 0.7, "confirmed", "(an untrained SAE does as well)"),
        ("best random direction", 0.62, "confirmed", "(a random direction does as well)"),
        ("best random direction", 0.61, "confirmed", None),
        ("best random direction", 0.7, "undecided", None),
        ("linear probe", 0.7, "confirmed", None),
    ],
)
def test_a_badge_says_what_does_as_well_without_training(name: str, mcc: float, verdict: str, said: str | None) -> None:
    control = Control(name, mcc, 0.5, 0.85, 0.9, 0.8, "best of 256")
    found = badges(make_reported(verdict=verdict, controls=(control,)).result)
    assert f"{verdict}</span>" in found
    assert ("does as well" in found) == (said is not None)
    assert (said or "") in found


def test_effects_of_edits_that_are_a_share_of_nothing_are_given_as_they_are() -> None:
    kind = EditEffect(
        name="grey", expected="removes", n=20, before=0.0, after=1.5, placebo=0.0, fires_before=0.0, fires_after=1.0,
        fires_placebo=0.0, effect=1.5, low=1.0, high=2.0, share_as_claimed=1.0, p=0.01, p_corrected=0.01, reference=0.0,
        strength=9.0, placebo_strength=9.0, finding="as claimed",
    )  # fmt: skip
    assert "1.5 <small>not in %</small>" in edits(make_reported(edits=(kind,)))
    assert "nothing fires" in edits(make_reported(edits=(replace(kind, effect=0.0, after=0.0),)))
    assert "<strong>300</strong> <small>200 to 400</small>" in edits(
        make_reported(edits=(replace(kind, reference=0.5),))
    )


def test_of_many_confounders_those_are_shown_that_tell_the_most() -> None:
    mccs = np.random.default_rng(0).permutation(20) / 20
    found = tuple(Confounder(f"column {mcc:g}", mcc, "guessed") for mcc in mccs.tolist())
    rows = [row for row in rows_of(make_reported(confounders=found)) if "onfounder" in row.name]
    assert [row.name for row in rows] == [
        *(f"Confounder: column {mcc:g}" for mcc in (0.95, 0.9, 0.85, 0.8, 0.75)), "15 other confounders",
    ]  # fmt: skip
    assert rows[-1].mcc == 0.7
    few = found[: MOST_CONFOUNDERS + 1]
    assert [row.mcc for row in rows_of(make_reported(confounders=few)) if "onfounder" in row.name] == [
        one.mcc for one in few
    ]
