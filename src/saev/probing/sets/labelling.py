"""What a set says of the CLIP that labelled its pictures, and whether a test on these labels is circular."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, final

from saev.artifacts.typed_json import from_json
from saev.latents.naming.names_file import ClipId
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.sets.image_set import ImageSet

LABELLER: Final = "labeller"
"""Where a set's recipe has it."""


@final
@dataclass(frozen=True)
class Labelling:
    """How a CLIP decided which pictures have what a phrase says; `saev.probing.sets.labeller` has the formula."""

    clip: ClipId  # The CLIP.
    tower_digest: str  # Of its image tower, as a recording by that tower has it as the digest of its weights.
    prompts: tuple[str, ...]  # The texts whose mean embedding stands for the phrase.
    vocabulary: str  # SHA-256 of the words whose mean embedding is taken off.
    cut: float  # The z that pictures with the phrase exceed.
    median: float  # The median of the similarities of the proposal half's pictures.
    spread: float  # Their spread.
    n_proposal: int  # How many pictures of that half these are.
    proposal_rate: float  # The share of them that the rule calls pictures with the phrase.
    n_test: int  # How many pictures of the test half were labelled.
    test_rate: float  # The share of them that has the phrase.

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"prompts": list(self.prompts)}

    def circular(self, hypothesis: Hypothesis, vit: Mapping[str, object]) -> str | None:
        """Why agreement with these labels says less than it seems to, in words; None where it is not circular.

        Args:
            hypothesis: The claim that is tested.
            vit: Name ("ckpt") and "weights_digest" of the ViT whose activations the SAE takes, as a recording has them.
        """
        why, namer = [], hypothesis.named_by
        if namer is not None and self.clip.is_like(namer.ckpt, namer.weights_digest):
            why.append("that gave the name")
        if replace(self.clip, weights_digest=self.tower_digest).is_like(str(vit["ckpt"]), str(vit["weights_digest"])):
            why.append("whose image tower is the ViT whose activations the SAE takes")
        who = "the pictures were labelled by what is, by its weights or its name, the CLIP"
        return f"{who} {' and '.join(why)}" if why else None


def labelling_of(made: ImageSet) -> Labelling | None:
    """What labelled a set; None where that is no CLIP.

    Raises:
        InputError: If the set says it in another way.
    """
    value = made.recipe.get(LABELLER)
    return None if value is None else from_json(Labelling, value, f"the set's {LABELLER}")
