"""The way of a demo, from pictures to verdicts that are compared with the truth."""

from collections.abc import Sequence

from saev.demo.acting import SENTENCES, showing, switching_off
from saev.demo.claiming import building, freezing, proposing, testing
from saev.demo.folder import DemoFolder
from saev.demo.learning import looking, recording, training
from saev.demo.measuring import measuring
from saev.demo.places import CLAIMS, Places
from saev.demo.steps import Demo, Step


def steps(folder: DemoFolder) -> Sequence[Step]:
    """All steps in order; the last one is the table of figures."""
    demo = Demo(folder)
    parts = (
        recording, training, looking, proposing, freezing, building, testing, switching_off, showing, measuring
    )  # fmt: skip
    return [part(demo) for part in parts]


def to_open(folder: DemoFolder) -> Sequence[tuple[str, str]]:
    """What a finished demo has to show: what it is, and the page."""
    places = Places(folder.path)
    pages = [
        ("the gallery: latents, their scenes, names, seeds, verdicts", places.gallery),
        ("candidates for hypotheses", places.proposed),
        *((f"the verdicts: {name}", places.report(name)) for name in CLAIMS),
        *((f"the {factor} that the CLIP sees without latents", places.switched_off(factor)) for factor in SENTENCES),
    ]
    return [(what, str(page / "index.html")) for what, page in pages]
