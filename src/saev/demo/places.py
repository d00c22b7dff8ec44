"""Where everything of a demo lies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

FIRST: Final = "first"
SECOND: Final = "second"
UNTRAINED: Final = "untrained-vit"
"""SAEs: the one that all is about, one that differs in its seed, and one of a CLIP with random weights."""
CLAIMS: Final = ("colour", "several", "season")
"""Files of hypotheses, each tested by itself."""


@final
@dataclass(frozen=True)
class Places:
    """Paths below the directory of a demo; they need not be there."""

    out: Path

    @property
    def shards(self) -> Path:
        """Recordings."""
        return self.out / "shards"

    def sae(self, name: str = FIRST) -> Path:
        """An SAE: the first, the one of another seed, or a control."""
        return self.out / "saes" / name

    @property
    def codes(self) -> Path:
        """What the latents of the first SAE do on the recorded scenes."""
        return self.out / "codes"

    @property
    def table(self) -> Path:
        """What is in each recorded scene."""
        return self.out / "scenes.csv"

    @property
    def vocabulary(self) -> Path:
        """Phrases that may become names."""
        return self.out / "vocabulary.txt"

    @property
    def features(self) -> Path:
        """Galleries."""
        return self.out / "features"

    @property
    def gallery(self) -> Path:
        """The gallery of the first SAE."""
        return self.features / FIRST

    @property
    def proposed(self) -> Path:
        """Candidates."""
        return self.out / "proposed"

    def claims(self, name: str) -> Path:
        """A draft of claims."""
        return self.out / "claims" / f"{name}.json"

    def frozen(self, name: str) -> Path:
        """The same frozen."""
        return self.out / "frozen" / f"{name}.json"

    def sets(self, name: str) -> Path:
        """The sets of a frozen file."""
        return self.out / "sets" / name

    def answers(self, name: str, hypothesis: str) -> Path:
        """What the truth answered to the page of a set."""
        return self.out / "answers" / name / f"{hypothesis}.csv"

    def pairs(self, name: str) -> Path:
        """Pictures "with" the claimed colour, or the same ones "without"."""
        return self.out / "pairs" / name

    def report(self, name: str) -> Path:
        """The report of a frozen file's test."""
        return self.out / "reports" / name

    def sorted(self, factor: str) -> Path:
        """Fresh scenes of one object in folders of a factor's values."""
        return self.out / "pictures" / f"by-{factor}"

    def switched_off(self, factor: str) -> Path:
        """What an intervention did to these."""
        return self.out / "interventions" / factor
