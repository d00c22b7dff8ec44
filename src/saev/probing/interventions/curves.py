"""Accuracy of each class when its most typical latents are switched off, or alone are on.

After PatchSAE (Lim et al. 2025, https://arxiv.org/abs/2412.05276). Here the latents of a class are chosen on other
pictures than those on which accuracy is measured, and what the SAE does not explain stays.

Shape suffixes: b = images of a batch, i = measured pictures, k = numbers of latents, s = d_sae.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.probing.interventions.changes import Batch, alone_on, switched_off
from saev.probing.interventions.effects import N_FLIPS, as_json
from saev.probing.interventions.matching import matched_latents
from saev.probing.interventions.outcome import UNTOUCHED, Outcome, right_column
from saev.probing.interventions.passes import Arms, Seen
from saev.probing.interventions.readouts import Readout
from saev.probing.statistics.arrays import Floats
from saev.probing.statistics.paired import paired_effect

N_DRAWS: Final = 3
"""Draws of random latents that stand beside those of a class."""
KINDS: Final = ("off", "alone")


@final
@dataclass(frozen=True)
class Curves:
    """The latents of classes, and what they are compared with."""

    ks: Sequence[int]  # Numbers of latents, ascending.
    latents: Mapping[str, Sequence[int]]
    """By class its latents, the most typical first, as many as the largest of `ks`."""
    random: Mapping[str, Sequence[Sequence[int]]]  # By class `N_DRAWS` lists of latents of about the same frequencies.

    @classmethod
    def of(cls, seen: Seen, ks: Sequence[int], rng: np.random.Generator) -> Self:
        """Choose the latents whose mean code is the most above that of the other classes' pictures.

        Args:
            seen: What was there on the pictures of the other half.
            ks: Numbers of latents; those that are more than half of the SAE's are left out.
        """
        kept = _kept(ks, len(seen.frequency_s))
        if len(seen.mean_cs) < 2 or not kept:
            return cls([], {}, {})
        latents = {name: [int(one) for one in np.argsort(-_above_s(seen, name), kind="stable")[: kept[-1]]]
                   for name in seen.mean_cs}  # fmt: skip
        random = {name: matched_latents(own, seen.frequency_s, N_DRAWS, rng).tolist() for name, own in latents.items()}
        return cls(kept, latents, random)

    @staticmethod
    def n_changes(ks: Sequence[int], d_sae: int) -> int:
        """How many changes of each picture they need, where there are classes to tell apart."""
        return len(KINDS) * len(_kept(ks, d_sae)) * (1 + N_DRAWS)

    @property
    def needed(self) -> set[int]:
        """All latents that occur."""
        lists = [*self.latents.values(), *(one for draws in self.random.values() for one in draws)]
        return {latent for one in lists for latent in one}

    def arms(self, batch: Batch, labels_b: Sequence[str | None]) -> Arms:
        """The changes of a batch, each picture by the latents of its class; others stay as they are."""
        for kind, change in zip(KINDS, (switched_off, alone_on), strict=True):
            for k in self.ks:
                own = [self._latents(label, k) for label in labels_b]
                yield _name(kind, k), change(batch, own)
                for draw in range(N_DRAWS):
                    others = [self._latents(label, k, draw) for label in labels_b]
                    yield _name(kind, k, draw), change(batch, others)

    def _latents(self, label: str | None, k: int, draw: int | None = None) -> Sequence[int]:
        if label not in self.latents:
            return []
        assert label is not None, "it is a class"
        return (self.latents[label] if draw is None else self.random[label][draw])[:k]

    def results(
        self,
        outcome: Outcome,
        readouts: Sequence[Readout],
        labels: Sequence[str | None],
        digests: Sequence[str],
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """The curves as plain JSON.

        Args:
            outcome: Of the measured pictures.
            readouts: The classifiers among them are used.
            labels: Classes of the pictures.
            digests: Of the pictures: equal ones are one observation.
        """
        own = [label if label in self.latents else None for label in labels]
        rows = []
        for readout in readouts:
            if readout.is_classifier and self.ks and any(label in readout.classes for label in own):
                rows += self._rows(outcome, readout, own, digests, rng)
        return {"ks": list(self.ks), "latents": {name: list(one) for name, one in self.latents.items()}, "rows": rows}

    def _rows(
        self,
        outcome: Outcome,
        readout: Readout,
        labels: Sequence[str | None],
        digests: Sequence[str],
        rng: np.random.Generator,
    ) -> list[dict[str, Any]]:
        right = right_column(readout.name)
        is_known_i = np.array([label is not None for label in labels]) & ~np.isnan(outcome.values(UNTOUCHED, right))
        known = np.flatnonzero(is_known_i).tolist()

        def right_i(name: str) -> Floats:
            return outcome.values(name, right)[known]

        before_i = right_i(UNTOUCHED)
        class_i = np.array([str(labels[place]) for place in known])
        groups = [digests[place] for place in known]
        after = {}
        for kind in KINDS:
            after[kind] = [right_i(_name(kind, k)) for k in self.ks]
            drawn = [[right_i(_name(kind, k, draw)) for draw in range(N_DRAWS)] for k in self.ks]
            after[f"{kind}_random"] = [np.mean(each, axis=0) for each in drawn]
        beyond = {
            f"{kind}_beyond_random": [
                as_json(paired_effect(other_i, own_i, N_FLIPS, rng, group_i=groups))
                for own_i, other_i in zip(after[kind], after[f"{kind}_random"], strict=True)
            ]
            for kind in KINDS
        }
        return [
            {
                "readout": readout.name,
                "class": name,
                "n": int(is_in_i.sum()),
                "untouched": float(before_i[is_in_i].mean()),
                **{key: [float(one[is_in_i].mean()) for one in columns] for key, columns in after.items()},
                **({} if name is not None else beyond),
            }
            for name, is_in_i in _classes(class_i)
        ]


def _kept(ks: Sequence[int], d_sae: int) -> list[int]:
    return [k for k in sorted(set(ks)) if 2 * k <= d_sae]


def _classes(class_i: NDArray[Any]) -> list[tuple[str | None, NDArray[np.bool_]]]:
    """All pictures together, and then those of each class."""
    return [(None, np.ones(len(class_i), dtype=np.bool_)), *((str(one), class_i == one) for one in np.unique(class_i))]


def _above_s(seen: Seen, name: str) -> Floats:
    """How much the mean code on a class is above that on the pictures of all others."""
    others = [other for other in seen.mean_cs if other != name]
    weights = [seen.counts[other] for other in others]
    found: Floats = seen.mean_cs[name] - np.average([seen.mean_cs[other] for other in others], axis=0, weights=weights)
    return found


def _name(kind: str, k: int, draw: int | None = None) -> str:
    return f"{kind} {k}" if draw is None else f"{kind} {k} random {draw}"
