"""Units are never parted, and the half of one depends on no other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.errors import InputError
from saev.latents.metadata import Column
from saev.probing.pictures.units import Units, check_sides, in_test_half
from saev.shards.format.examples import ExampleRecord

SITES = ["ash", "birch", "cedar", "doum", "elm"]
# Pictures as (content, site or -1, burst or -1).
PICTURES = st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 4), st.integers(-1, 3)), min_size=1, max_size=30)
Picture = tuple[int, int, int]


def recorded(pictures: list[Picture]) -> tuple[list[ExampleRecord], list[Column]]:
    records = [ExampleRecord(f"{i}.png", None, 8, 8, 100, f"{one[0]:064x}") for i, one in enumerate(pictures)]
    numbers = np.array(pictures, dtype=np.int64)
    return records, [Column("site", SITES, numbers[:, 1]), Column("burst", [*"wxyz"], numbers[:, 2])]


def held_together(one: Picture, other: Picture) -> bool:
    return one[0] == other[0] or one[1] == other[1] >= 0 or one[2] == other[2] >= 0


@given(PICTURES, st.integers(0, 2**32))
def test_what_belongs_together_falls_into_one_half(pictures: list[Picture], seed: int) -> None:
    units = Units.of(*recorded(pictures))
    test_i = [in_test_half(units.names[group], seed) for group in units.group_i]
    for i, one in enumerate(pictures):
        for j, other in enumerate(pictures):
            if held_together(one, other):
                assert units.group_i[i] == units.group_i[j]
                assert test_i[i] == test_i[j]


@given(PICTURES)
def test_what_nothing_holds_together_is_apart(pictures: list[Picture]) -> None:
    units = Units.of(*recorded(pictures))
    unit = [{i} for i in range(len(pictures))]
    for _ in pictures:  # until nothing grows
        unit = [
            set().union(*(unit[j] for j, other in enumerate(pictures) if held_together(one, other))) for one in pictures
        ]
    assert [set(np.flatnonzero(units.group_i == group)) for group in units.group_i] == unit
    assert sorted(set(units.group_i.tolist())) == list(range(len(units.names)))
    assert len(set(units.names)) == len(units.names)


@given(PICTURES, st.data())
def test_the_half_of_a_unit_depends_on_no_other_picture(pictures: list[Picture], data: st.DataObject) -> None:
    whole = Units.of(*recorded(pictures))
    kept = data.draw(st.sets(st.sampled_from(range(len(whole.names))), min_size=1))
    rows = [i for i, group in enumerate(whole.group_i) if group in kept]
    records, _ = recorded(pictures)
    numbers = np.array(pictures, dtype=np.int64)[rows]
    columns = [Column("site", SITES, numbers[:, 1]), Column("burst", [*"wxyz"], numbers[:, 2])]
    part = Units.of([records[row] for row in rows], columns)
    assert [part.names[group] for group in part.group_i] == [whole.names[whole.group_i[row]] for row in rows]


@given(st.lists(st.integers(0, 30), min_size=2, max_size=40), st.data())
def test_by_content_the_half_is_the_contents_alone(contents: list[int], data: st.DataObject) -> None:
    records, _ = recorded([(content, -1, -1) for content in contents])
    shuffled = data.draw(st.permutations(records))
    units = Units.of(shuffled)
    assert [units.names[group] for group in units.group_i] == [record.digest for record in shuffled]


def test_names_say_what_the_pictures_share() -> None:
    units = Units.of(*recorded([(1, 2, 0), (1, -1, -1), (2, 1, -1), (3, 1, 0), (4, -1, -1)]))
    assert units.names == ["burst=w", f"{4:064x}"]
    assert units.group_i.tolist() == [0, 0, 0, 0, 1]


def test_pictures_whose_bytes_are_not_known_stand_for_themselves() -> None:
    records = [ExampleRecord(f"example {i}", None, 0, 0, 0, "") for i in range(3)]
    assert Units.of(records).names == ["example 0", "example 1", "example 2"]


def test_halves_are_about_equal_and_another_seed_gives_others() -> None:
    records, _ = recorded([(i, -1, -1) for i in range(2000)])
    units = Units.of(records)
    first, second = units.halves(0), units.halves(1)
    assert abs(first.mean() - 0.5) < 0.05
    assert abs((first == second).mean() - 0.5) < 0.05
    assert np.array_equal(first, units.halves(0))
    assert first.tolist() == [in_test_half(record.digest, 0) for record in records]


def test_too_few_units_for_two_halves_are_refused() -> None:
    records, (site, _) = recorded([(i, 0, -1) for i in range(40)])
    with pytest.raises(InputError, match=r"1 units of 40 pictures all fall into one half with seed 3: record more"):
        Units.of(records, [site]).halves(3)


def test_a_half_without_one_of_the_sides_is_refused() -> None:
    units = Units.of(recorded([(i // 2, -1, -1) for i in range(16)])[0])
    is_test_i = np.repeat([False, True], 8)
    y_i = np.tile(np.array([1, 1, 0, 0], np.int8), 4)
    check_sides("stripes", y_i, units, is_test_i)
    with pytest.raises(InputError, match=r"stripes: the proposal half has 2 units with it, 3 are needed: label or"):
        check_sides("stripes", y_i, units, is_test_i, at_least=3)
    y_i[is_test_i & (y_i == 0)] = -1
    with pytest.raises(InputError, match=r"stripes: the test half has 0 units without it, 2 are needed"):
        check_sides("stripes", y_i, units, is_test_i)


def test_a_table_of_another_recording_is_refused() -> None:
    records, (site, _) = recorded([(i, 0, -1) for i in range(4)])
    with pytest.raises(InputError, match=r"column 'site' is of 3 pictures, the recording has 4: read the table for"):
        Units.of(records, [replace(site, numbers_i=site.numbers_i[:3])])
