"""The last step: figures against the truth, beside those of controls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch

import saev
from saev.demo.figures import CONTROLS, SHUFFLED, Figure, table
from saev.demo.frozen import frozen
from saev.demo.known_scenes import PHRASES, VALUES, KnownScenes
from saev.demo.learning import named, predict_command, quality, trained
from saev.demo.places import UNTRAINED
from saev.demo.steps import CLIP, LAYER, Demo, Outcome, Step
from saev.demo.truth import average_precisions, best_units, right_by_chance, right_names
from saev.device import chosen_device
from saev.nn import SparseAutoencoder
from saev.probing.controls.pooled_activations import pooled_activations
from saev.probing.controls.views import Directions, Latents, View, random_sae
from saev.probing.statistics.arrays import Integers
from saev.shards.tokens import TokenSelection
from saev.training.evaluation import evaluated

MOST: Final = 2_000
"""Scenes that choose units, and that judge them."""
_LEAST_GOOD: Final = 22
_LEAST_RIGHT: Final = 0.8
_MOST_FVU: Final = 0.05
_MOST_DEAD: Final = 0.1


def measuring(demo: Demo) -> Step:
    """How much of it is right."""
    places = demo.places

    def work() -> Outcome:
        backbone = saev.load_backbone("clip", CLIP, weights="random")
        shards, fresh = (
            saev.record(scenes, backbone, LAYER, places.shards)[0] for scenes in (demo.scenes, demo.fresh_scenes)
        )
        control = trained(demo, shards, fresh, demo.seed)
        saev.save(control, places.sae(UNTRAINED), overwrite=True)
        found = _figures(demo, _Untrained(control, shards, fresh))
        return Outcome(table(found), {})

    return Step(
        "measure",
        "Compare: with the truth, and with what nobody trained",
        f"For each of the {len(VALUES)} values of factors, the latent that ranks the recorded scenes best by it is "
        "judged on the fresh ones by its average precision (AP): 1 if all scenes with the value come first. A name is "
        "right if no other value fits its latent much better, and it fits at all. FVU is the share of the variance "
        "that the SAE loses. Beside that: the neurons of the same layer, an SAE that was never trained, an SAE that "
        "was trained in the same way on a CLIP that was never trained, and the same names dealt out at random.",
        lambda: [
            predict_command(demo, scenes, "--model.weights", "random") for scenes in (demo.scenes, demo.fresh_scenes)
        ],
        work,
    )


@final
@dataclass(frozen=True)
class _Untrained:
    """A CLIP with random weights: an SAE of it, and its recordings."""

    sae: SparseAutoencoder
    shards: Path
    fresh: Path


def _figures(demo: Demo, untrained: _Untrained) -> Sequence[Figure]:
    sae = saev.load(demo.places.sae())
    fresh_x_nd = torch.cat(list(_tokens(demo.fresh).read(_images(demo.fresh)))).flatten(0, 1)
    blank = random_sae(sae, fresh_x_nd, demo.seed)
    views = {"latents": Latents(sae), CONTROLS[0]: Directions("neuron", None, sae.d_in), CONTROLS[1]: Latents(blank)}
    of_vit = {CONTROLS[2]: Latents(untrained.sae)}
    seen = _pooled(demo.shards, views) | _pooled(untrained.shards, of_vit)
    judged = _pooled(demo.fresh, views) | _pooled(untrained.fresh, of_vit)
    y_ij, fresh_y_ij = demo.known.y_ij[:MOST], KnownScenes(demo.fresh_scenes).y_ij[:MOST]
    n_good = {name: best_units(seen[name], y_ij, judged[name], fresh_y_ij).n_good for name in seen}
    names = {latent: PHRASES.index(name) for latent, name in named(demo).items()}
    judges = names, average_precisions(judged["latents"], fresh_y_ij), fresh_y_ij
    found: Any = evaluated(blank, [fresh_x_nd])
    quality_of = {CONTROLS[1]: (found["fvu"], found["dead"]), CONTROLS[2]: quality(untrained.sae)}
    return [
        _values(n_good),
        _names(right_names(*judges), right_by_chance(*judges, demo.seed)),
        *_of_sae(quality(sae), quality_of),
        _verdicts(demo),
    ]


def _values(n_good: Mapping[str, int]) -> Figure:
    n, beside = n_good["latents"], {name: str(n_good[name]) for name in CONTROLS}
    return Figure(
        "values with a latent of AP > .8", f">= {_LEAST_GOOD} of {len(VALUES)}", str(n), n >= _LEAST_GOOD, beside
    )


def _names(is_right: Mapping[int, bool], by_chance: float) -> Figure:
    n, n_right = len(is_right), sum(is_right.values())
    share = n_right / n if n else 0.0
    wanted, found = f">= {_LEAST_RIGHT:.0%}", f"{share:.0%} of {n}"
    return Figure("names that are right", wanted, found, share >= _LEAST_RIGHT, {SHUFFLED: f"{by_chance:.0%}"})


def _of_sae(own: tuple[float, float], others: Mapping[str, tuple[float, float]]) -> Iterable[Figure]:
    fvu, dead = ({name: one[number] for name, one in others.items()} for number in (0, 1))
    beside = {name: f"{value:.3f}" for name, value in fvu.items()}
    yield Figure("FVU", f"<= {_MOST_FVU:g}", f"{own[0]:.3f}", own[0] <= _MOST_FVU, beside)
    beside = {name: f"{value:.1%}" for name, value in dead.items()}
    yield Figure("dead latents", f"<= {_MOST_DEAD:.0%}", f"{own[1]:.1%}", own[1] <= _MOST_DEAD, beside)


def _verdicts(demo: Demo) -> Figure:
    claims, verdicts = frozen(demo).claims, demo.folder.facts("test", "verdicts").mapping("verdicts")
    n, n_all = sum(verdicts.get(one.id) == one.expected for one in claims), len(claims)
    return Figure("planted claims judged rightly", f"{n_all} of {n_all}", f"{n} of {n_all}", n == n_all)


def _tokens(shards: Path) -> TokenSelection:
    reader = saev.open_shards(shards)
    return TokenSelection.of([reader], _images(shards), "content")


def _images(shards: Path) -> Integers:
    return np.arange(min(MOST, saev.open_shards(shards).n_examples))


def _pooled(shards: Path, views: Mapping[str, View]) -> dict[str, Any]:
    """Values of units on scenes: for latents the largest of the patches, for neurons the mean, too, and both signs."""
    found = pooled_activations(_tokens(shards), _images(shards), views, chosen_device(None))
    return {
        name: one.values_is[:, : views[name].size] if isinstance(views[name], Latents) else one.values_is
        for name, one in found.items()
    }
