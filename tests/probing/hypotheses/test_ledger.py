"""Pictures that were tested on are spent."""

from pathlib import Path

import pytest

from saev.errors import InputError
from saev.lock import FileLock
from saev.probing.hypotheses.ledger import LEDGER_FILE, TESTED_FILE, LedgerEntry, Ledgers, SetInUse, read_ledger

FIRST = LedgerEntry("2026-03-01T10:00:00+00:00", "1" * 64, "latent-17", "2" * 64, "undecided", False)
SECOND = LedgerEntry("2026-03-02T10:00:00+00:00", "3" * 64, "latent-17", "2" * 64, "confirmed", True)
ZEBRA = "label: zebra"


@pytest.fixture
def ledgers(tmp_path: Path) -> Ledgers:
    for name in ("shards", "sets/a", "sets/b"):
        (tmp_path / name).mkdir(parents=True)
    return Ledgers(tmp_path / "shards", tmp_path / "sets")


def in_use(ledgers: Ledgers, name: str, pictures: str, attribute: str = ZEBRA) -> SetInUse:
    return SetInUse(ledgers.sets / name, attribute, frozenset(one * 64 for one in pictures))


def note(ledgers: Ledgers, one: SetInUse, entry: LedgerEntry) -> None:
    with ledgers.noting(ledgers.writable(), [one], [entry], ledgers.tried([one])):
        pass


def files(ledgers: Ledgers) -> set[str]:
    return {path.name for root in (ledgers.beside, ledgers.sets) for path in root.rglob("*") if path.is_file()}


def test_tests_are_noted_in_their_order(ledgers: Ledgers) -> None:
    one = in_use(ledgers, "a", "12")
    for entry in (FIRST, SECOND):
        note(ledgers, one, entry)
    assert ledgers.tried([one]) == [[FIRST, SECOND]]
    assert read_ledger(one.directory) == [FIRST, SECOND]
    assert files(ledgers) == {LEDGER_FILE, TESTED_FILE}


def test_a_picture_is_spent_for_an_attribute_wherever_the_set_lies(ledgers: Ledgers, tmp_path: Path) -> None:
    note(ledgers, in_use(ledgers, "a", "12"), FIRST)
    elsewhere = Ledgers(ledgers.beside, tmp_path / "other")
    spent, disjoint = in_use(elsewhere, "a", "23"), in_use(elsewhere, "a", "34")
    other = in_use(elsewhere, "a", "12", "label: horse")
    assert elsewhere.tried([spent, disjoint, other]) == [[FIRST], [], []]


def test_tests_are_noted_among_the_sets_where_the_recording_cannot_be_written(
    ledgers: Ledgers, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = Ledgers(ledgers.sets / "no directory", ledgers.sets)
    blocked.beside.write_text("")
    note(blocked, in_use(ledgers, "a", "12"), FIRST)
    assert "cannot be written: sets outside" in capsys.readouterr().err
    blocked.beside.unlink()
    assert (ledgers.sets / TESTED_FILE).exists()
    assert ledgers.tried([in_use(ledgers, "b", "2")]) == [[FIRST]]


@pytest.mark.parametrize("name", [LEDGER_FILE, TESTED_FILE])
@pytest.mark.parametrize(("line", "message"), [("{", "line 2: not valid JSON"), ("{}", "line 2: missing keys")])
def test_a_ledger_with_a_mistake_is_refused_and_stays(ledgers: Ledgers, name: str, line: str, message: str) -> None:
    one = in_use(ledgers, "a", "12")
    note(ledgers, one, FIRST)
    path = (one.directory if name == LEDGER_FILE else ledgers.beside) / name
    path.write_text(path.read_text() + line)
    with pytest.raises(InputError, match=message):
        note(ledgers, one, SECOND)
    assert path.read_text().endswith(line)


def test_two_tests_are_not_noted_at_once(ledgers: Ledgers) -> None:
    one, two = in_use(ledgers, "a", "1"), in_use(ledgers, "b", "2")
    lock = FileLock(two.directory / f".{LEDGER_FILE}.lock", "")
    lock.claim()
    with (
        pytest.raises(InputError, match="another test is being noted"),
        ledgers.noting(ledgers.beside, [one, two], [FIRST, SECOND], [[], []]),
    ):
        pytest.fail("nothing is noted")
    lock.release()
    assert files(ledgers) == set()


def test_of_two_tests_that_began_at_once_the_second_is_refused(ledgers: Ledgers) -> None:
    one, two = in_use(ledgers, "a", "12"), in_use(ledgers, "b", "23")
    seen = ledgers.tried([two])
    note(ledgers, one, FIRST)
    with (
        pytest.raises(InputError, match="while this one ran, so that this is not the first: test again"),
        ledgers.noting(ledgers.beside, [two], [SECOND], seen),
    ):
        pytest.fail("the other one is the first")
    assert read_ledger(two.directory) == []
    assert ledgers.tried([two]) == [[FIRST]]


def test_a_test_that_fails_is_taken_out_of_all_ledgers(ledgers: Ledgers) -> None:
    one, two = in_use(ledgers, "a", "12"), in_use(ledgers, "b", "23")
    note(ledgers, one, FIRST)
    before = ledgers.tried([one, two])
    with pytest.raises(KeyboardInterrupt), ledgers.noting(ledgers.beside, [one, two], [SECOND, SECOND], before):
        assert ledgers.tried([one]) == [[FIRST, SECOND]]
        raise KeyboardInterrupt
    assert ledgers.tried([one, two]) == before
    (two.directory / f".{LEDGER_FILE}.partial").mkdir()  # the disk does not take the second one
    with pytest.raises(InputError), ledgers.noting(ledgers.beside, [one, two], [SECOND, SECOND], before):
        pytest.fail("not all is noted")
    assert ledgers.tried([one, two]) == before
