"""A set that was tested on is spent."""

from pathlib import Path

import pytest

from saev.errors import InputError
from saev.lock import FileLock
from saev.probing.hypotheses.ledger import LEDGER_FILE, LedgerEntry, is_spent, note_test, read_ledger

FIRST = LedgerEntry("2026-03-01T10:00:00+00:00", "1" * 64, "latent-17", "2" * 64, "undecided", False)
SECOND = LedgerEntry("2026-03-02T10:00:00+00:00", "3" * 64, "latent-17", "2" * 64, "confirmed", True)


def test_tests_are_noted_in_their_order(tmp_path: Path) -> None:
    assert not is_spent(tmp_path)
    for one in (FIRST, SECOND):
        note_test(tmp_path, one)
        assert is_spent(tmp_path)
    assert read_ledger(tmp_path) == [FIRST, SECOND]
    assert [path.name for path in tmp_path.iterdir()] == [LEDGER_FILE]


@pytest.mark.parametrize(("line", "message"), [("{", "line 2: not valid JSON"), ("{}", "line 2: missing keys")])
def test_a_ledger_with_a_mistake_is_refused_and_stays(tmp_path: Path, line: str, message: str) -> None:
    note_test(tmp_path, FIRST)
    path = tmp_path / LEDGER_FILE
    path.write_text(path.read_text() + line)
    for use in (is_spent, lambda directory: note_test(directory, SECOND)):
        with pytest.raises(InputError, match=message):
            use(tmp_path)
    assert path.read_text().endswith(line)


def test_two_tests_are_not_noted_at_once(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / f".{LEDGER_FILE}.lock", "")
    lock.claim()
    with pytest.raises(InputError, match="another test is being noted"):
        note_test(tmp_path, FIRST)
    lock.release()
    note_test(tmp_path, FIRST)
