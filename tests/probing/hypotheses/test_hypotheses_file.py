"""Files of hypotheses: drafts, freezing, and what is refused."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.errors import InputError
from saev.latents.encoding import sae_digest
from saev.nn import TopK
from saev.probing.hypotheses.file import Draft, Frozen, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.hypotheses.reading import _draft, _frozen, read_frozen, read_hypotheses

SHARDS = "5" * 64
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
HEAD = {"format": "saev-hypotheses", "version": 1}
SAE = TopK(d_in=4, d_sae=50, k=2)
YAML = """\
format: saev-hypotheses
version: 1
hypotheses:
  - latent: 17
    threshold: 1
    text: stripes
  - latents: {any: [3, 8], unless: [5]}
    thresholds: [2, 4.5, 1]
    attribute: {source: label, name: zebra}
    claim: does not fire on
    id: no-zebra
    smallest_effect: 0.3
"""


def write(directory: Path, value: object, name: str = "h.json") -> Path:
    path = directory / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def frozen(directory: Path) -> Frozen:
    draft = read_hypotheses(write(directory, YAML, "h.yaml"))
    assert isinstance(draft, Draft)
    return draft.frozen(SAE, SHARDS, NOON)


def test_a_draft_has_defaults_for_what_it_does_not_say(tmp_path: Path) -> None:
    draft = read_hypotheses(write(tmp_path, YAML, "h.yaml"))
    assert isinstance(draft, Draft)
    first, second = draft.hypotheses
    assert (draft.alpha, draft.halves, draft.sae, draft.shards) == (0.05, Halves(0, ()), None, None)
    assert (first.id, first.text, first.attribute) == ("latent-17", "stripes", AttributeName("words", "stripes"))
    assert first.latents == Latents((17,), (), (1.0,))
    assert (first.claim, first.tokens, first.pooling) == ("fires on", "content", "max")
    assert (first.count_above, first.smallest_effect) == (0, 0.2)
    assert (second.id, second.text, second.claim) == ("no-zebra", "zebra", "does not fire on")
    assert second.latents == Latents((3, 8), (5,), (2.0, 4.5, 1.0))


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    import yaml

    draft = read_hypotheses(write(tmp_path, YAML, "h.yaml"))
    assert read_hypotheses(write(tmp_path, yaml.safe_load(YAML))) == draft


def test_frozen_hypotheses_come_back_with_date_and_hash(tmp_path: Path) -> None:
    made = frozen(tmp_path)
    assert "strata" not in made.to_dict()  # as before there were any: such files keep their hash
    within = replace(made, strata="label")
    within.write(tmp_path / "within.json")
    assert read_frozen(tmp_path / "within.json") == within
    assert within.hash != made.hash
    made.write(tmp_path / "frozen.json")
    assert read_frozen(tmp_path / "frozen.json") == made
    assert (made.date, made.sae, made.shards) == ("2026-03-01T10:00:00+00:00", sae_digest(SAE), SHARDS)
    assert json.loads((tmp_path / "frozen.json").read_bytes())["hash"] == made.hash
    with pytest.raises(InputError, match="is there already: what is frozen is not overwritten"):
        made.write(tmp_path / "frozen.json")


def test_frozen_hypotheses_without_date_and_hash_are_a_draft_again(tmp_path: Path) -> None:
    made = frozen(tmp_path)
    value = {key: one for key, one in made.to_dict().items() if key not in ("date", "hash")}
    draft = read_hypotheses(write(tmp_path, value))
    assert isinstance(draft, Draft)
    assert draft.frozen(SAE, SHARDS, NOON) == made
    with pytest.raises(InputError, match="is a draft: freeze it first"):
        read_frozen(tmp_path / "h.json")
    with pytest.raises(InputError, match=r"are on the SAE .*, not on"):
        draft.frozen(TopK(d_in=4, d_sae=50, k=3), SHARDS, NOON)
    with pytest.raises(InputError, match=f"are on the recording {SHARDS}, not on 6666"):
        draft.frozen(SAE, "6" * 64, NOON)


@pytest.mark.parametrize(
    "key", ["sae", "shards", "date", "alpha", "strata", "halves", "hash", "threshold", "effect", "text"]
)
def test_an_edited_file_is_refused(tmp_path: Path, key: str) -> None:
    value: Any = frozen(tmp_path).to_dict()
    edits = {
        "date": lambda: value.update(date="2026-03-02T10:00:00+00:00"),
        "alpha": lambda: value.update(alpha=0.1),
        "halves": lambda: value["halves"].update(seed=1),
        "threshold": lambda: value["hypotheses"][0].update(thresholds=[0.9]),
        "effect": lambda: value["hypotheses"][1].update(smallest_effect=0.1),
        "text": lambda: value["hypotheses"][0].update(text="stripes!"),
    }
    edits.get(key, lambda: value.update({key: "6" * 64}))()
    with pytest.raises(InputError, match="edited after it was frozen"):
        read_hypotheses(write(tmp_path, value))


def test_nothing_is_frozen_without_a_threshold_or_on_an_unknown_latent(tmp_path: Path) -> None:
    draft = read_hypotheses(write(tmp_path, HEAD | {"hypotheses": [{"latent": 17, "text": "stripes"}]}))
    assert isinstance(draft, Draft)
    with pytest.raises(InputError, match="latent-17 has no threshold"):
        draft.frozen(SAE, SHARDS, NOON)
    with pytest.raises(InputError, match="latent 17: the SAE has latents 0 to 9"):
        draft.frozen(TopK(d_in=4, d_sae=10, k=2), SHARDS, NOON)


def test_whole_numbers_and_those_of_numpy_are_frozen_as_they_are_read(tmp_path: Path) -> None:
    latents = Latents((np.int64(3),), (np.int32(4),), (1, np.float32(0.5)))  # type: ignore[arg-type]
    name = AttributeName("words", "a")
    one = Hypothesis("one", name, latents, pooling="count", count_above=2, smallest_effect=np.float32(0.25), text="a")
    made = Draft((one,), halves=Halves(np.int64(7))).frozen(SAE, SHARDS, NOON)  # type: ignore[arg-type]
    made.write(tmp_path / "frozen.json")
    assert read_frozen(tmp_path / "frozen.json").hash == made.hash


def test_a_small_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    names = "abcdefgh"
    lines = [f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]" for last, name in pairwise(names)]
    bomb = "\n".join(["format: saev-hypotheses", "a: &a [x]", *lines, "version: [*h]"])
    with pytest.raises(InputError, match=r"not valid YAML .*line 3: an alias \(\*\) is not read"):
        read_hypotheses(write(tmp_path, bomb, "h.yaml"))
    with pytest.raises(InputError, match="its version is") as refused:
        read_hypotheses(write(tmp_path, HEAD | {"version": ["x" * 1000] * 1000}))
    assert len(str(refused.value)) < 500 + len(str(tmp_path))


ONE = {"latent": 1, "text": "a"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[]", "is no file of hypotheses"),
        ("{", "not valid JSON"),
        (HEAD | {"version": 2, "hypotheses": [ONE]}, "its version is 2, this saev reads version 1"),
        (HEAD, "missing keys"),
        (HEAD | {"hypotheses": []}, "there is no hypothesis"),
        (HEAD | {"hypotheses": [3]}, r"hypotheses\[0\]: expected an object"),
        (HEAD | {"hypotheses": [ONE | {"latents": {"any": [1]}}]}, "unknown keys"),
        (HEAD | {"hypotheses": [{"latent": 1}]}, "missing keys"),
        (
            HEAD | {"hypotheses": [ONE | {"treshold": 1}]},
            r"\]: unknown keys \['treshold'\]; did you mean 'threshold'\?",
        ),
        (HEAD | {"hypotheses": [ONE, ONE]}, "two hypotheses have the id latent-1"),
        (HEAD | {"hypotheses": [ONE | {"latent": "1"}]}, "'any' must be an integer"),
        (HEAD | {"hypotheses": [ONE | {"latent": True}]}, "'any' must be an integer"),
        (HEAD | {"hypotheses": [ONE | {"threshold": "high"}]}, "'thresholds' must be a number"),
        (HEAD | {"hypotheses": [ONE | {"threshold": True}]}, "'thresholds' must be a number"),
        (HEAD | {"hypotheses": [ONE | {"threshold": 1e300}]}, "'thresholds' must be a number"),
        (HEAD | {"hypotheses": [ONE | {"threshold": -1}]}, r"hypotheses\[0\]: latents: thresholds \[-1.0\]"),
        (HEAD | {"hypotheses": [ONE | {"pooling": "min"}]}, "'pooling' must be one of max, mean, sum, count"),
        (HEAD | {"hypotheses": [ONE | {"attribute": {"source": "dream", "name": "a"}}]}, "'source' must be one of"),
        (HEAD | {"hypotheses": [ONE], "alpha": 1}, "alpha 1.0: give a probability"),
        (HEAD | {"hypotheses": [ONE], "halves": {"sed": 1}}, r"halves: unknown keys \['sed'\]; did you mean 'seed'"),
        (HEAD | {"hypotheses": [ONE], "hash": "0"}, "missing keys"),
    ],
)
def test_files_with_a_mistake_are_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_hypotheses(write(tmp_path, value))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "a key stands twice"),
        ("{1: 2}", "a key is no text"),
        ("a: [", "not valid YAML"),
        ("a: 2026-99-99", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("a", "is no file of hypotheses"),
        (YAML.replace("threshold: 1", "threshold: .nan"), "'thresholds' must be a number"),
        (YAML.replace("text: stripes", "text: no"), "'text' must be a string"),
        (YAML + "x: &x [*x]\n", "an alias"),
    ],
)
def test_yaml_is_read_as_strictly(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_hypotheses(write(tmp_path, text, "h.yml"))
    assert "\n" not in str(error.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["sae", "shards", "alpha", "halves", "hypotheses", "date", "hash"]
OF_ONE = ["latent", "latents", "threshold", "thresholds", "text", "attribute", "id", "claim", "tokens", "pooling"]


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, values)),
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(OF_ONE, values)), max_size=2),
)
def test_random_values_are_refused_cleanly(body: dict[str, Any], hypotheses: list[Any]) -> None:
    for value in (HEAD | body, HEAD | {"hypotheses": hypotheses}):
        for read in (_draft, _frozen):
            try:
                found = read(value, "here")
            except InputError as error:
                assert str(error).startswith("here")
            else:
                assert found.hypotheses
