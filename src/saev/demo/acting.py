"""The last steps of the walk: what the CLIP does with latents, and the gallery with all that was found."""

from collections.abc import Sequence
from typing import Any, Final

import saev.probing
from saev.demo.frozen import frozen
from saev.demo.pictures import write_by_colour, write_by_shape
from saev.demo.places import CLAIMS, FIRST
from saev.demo.steps import Argv, Demo, Outcome, Step
from saev.splicing.interventions_file import Effect, read_interventions

SENTENCES: Final = {"colour": "a {} shape", "shape": "a {}"}
"""For each factor whose values the CLIP is asked for."""
N_OF_EACH: Final = 48
"""Fresh scenes for each value; a small demo has fewer."""
_FIGURE: Final = "zero_shot: own class"


def switching_off(demo: Demo) -> Step:
    """The latents of a colour."""
    places = demo.places

    def options(factor: str) -> dict[str, Any]:
        target = {"target": frozen(demo).colour} if factor == "colour" else {}
        return {"edit": "zero", "zero_shot": SENTENCES[factor], **target, "curves": [], "n_maps": 2, "seed": demo.seed}

    def command(factor: str) -> Argv:
        given = [part for key, value in options(factor).items() for part in (f"--{key}", str(value))]
        return [
            "probe", "intervene", "--sae", str(places.sae()), "--images", str(places.sorted(factor)),
            "--latents", str(frozen(demo).of_colour), *given, "--out", str(places.switched_off(factor)),
        ]  # fmt: skip

    def work() -> Outcome:
        n = min(N_OF_EACH, demo.options.n_scenes // 25)
        write_by_colour(places.sorted("colour"), n, demo.seed)
        write_by_shape(places.sorted("shape"), frozen(demo).colour, n, demo.seed)
        for factor in SENTENCES:
            saev.probing.intervene(
                places.sae(), places.sorted(factor), frozen(demo).of_colour, places.switched_off(factor),
                **options(factor),
            )  # fmt: skip
        return Outcome(_said(demo), {})

    return Step(
        "intervene",
        "Intervene: does the CLIP use it?",
        "All latents of that colour are switched off inside the running CLIP. What does it then take for the colour of "
        "things, and for the shape of things of that colour? Beside them random latents, whose change is as large.",
        lambda: [command(factor) for factor in SENTENCES],
        work,
        lambda: [places.out / "pictures", places.out / "interventions"],
    )


def _said(demo: Demo) -> Sequence[str]:
    colour = frozen(demo).colour
    of_colour, of_others, of_shape = (
        _effect(demo, *one)
        for one in (("colour", f"{_FIGURE}, target"), ("colour", f"{_FIGURE}, others"), ("shape", _FIGURE))
    )
    return [
        f"the probability of '{colour}' for things of that colour: {_moved(of_colour)}",
        f"that of their own colour for all others: {_moved(of_others)}",
        f"that of their own shape for {colour} things: {_moved(of_shape)}",
    ]


def _effect(demo: Demo, factor: str, figure: str) -> Effect:
    return next(one for one in read_interventions(demo.places.switched_off(factor)).effects if one.figure == figure)


def _moved(one: Effect) -> str:
    return f"{one.untouched:.2f} before, {one.edited:.2f} after ({one.random:.2f} with random latents)"


def showing(demo: Demo) -> Step:
    """The gallery again."""
    places = demo.places
    reports, changes = [places.report(name) for name in CLAIMS], [places.switched_off(factor) for factor in SENTENCES]

    def work() -> Outcome:
        saev.annotate({FIRST: places.sae()}, places.features, verdicts=reports, interventions=changes)
        return Outcome([], {})

    return Step(
        "show",
        "Look again: verdicts beside latents",
        "The gallery gets the verdicts on the latents' cards, and what switching them off does.",
        lambda: [
            [
                "annotate", "--sae", str(places.sae()), "--out", str(places.out),
                *(part for one in reports for part in ("--verdicts", str(one))),
                *(part for one in changes for part in ("--interventions", str(one))),
            ]
        ],
        work,
    )  # fmt: skip
