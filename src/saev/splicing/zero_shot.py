"""The classifier that the text tower of a CLIP makes of the names of classes.

Shape suffixes: n = pictures, c = classes, d = width of the vision tower, e = width of the common space.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from torch import Tensor
from torch.nn.functional import normalize

from saev.artifacts import RecordedLayer
from saev.errors import InputError
from saev.vit.refusals import RECORDED
from saev.vit.text import Clip, load_clip

PLACE = "{}"
LOGIT_SCALE: Final = 100.0
"""What CLIPs multiply cosines by at the end of their training, the bound that their authors set."""


class ZeroShot(NamedTuple):
    """Texts of classes, and what carries final embeddings to them."""

    texts_ce: Tensor  # A unit vector for each class.
    projection_de: Tensor  # From an embedding of `Backbone.embed` to the space of the texts.

    @property
    def rows_cd(self) -> Tensor:
        """A direction for each class: the one with the largest product with a final embedding wins."""
        return self.texts_ce @ self.projection_de.T

    def cosines(self, embeddings_nd: Tensor) -> Tensor:
        """Cosine (n, c) of each picture with the text of each class."""
        return normalize(embeddings_nd.float() @ self.projection_de, dim=-1) @ self.texts_ce.T

    def probabilities(self, embeddings_nd: Tensor) -> Tensor:
        """Probability (n, c) of each class, a softmax over 100 times the cosines; those of a picture add up to 1."""
        return (LOGIT_SCALE * self.cosines(embeddings_nd)).softmax(-1)


def zero_shot_classifier(vit: RecordedLayer, weights: str | None, classes: Sequence[str], template: str) -> ZeroShot:
    """The zero-shot classifier of some classes.

    The embedding is that of `Backbone.embed`, before the projection to the space of the text. Radford et al. 2021,
    section 3.1, https://arxiv.org/abs/2103.00020, with one template.

    Args:
        vit: What the SAE takes the activations of: a ViT that open_clip itself implements, with a text tower beside it.
        weights: What `load_recorded_backbone` took, which found that these are the recorded ones.
        classes: Names of folders; underscores become spaces.
        template: A sentence with {} in the place of the name.

    Raises:
        InputError: If the template has no such place, or the ViT no text tower of its own.
    """
    if template.count(PLACE) != 1:
        raise InputError(
            f"--zero_shot {template!r} must have one {PLACE} in the place of the class, 'a photo of a {{}}.'"
        )
    clip = clip_of(vit, weights)
    return ZeroShot(texts_of(clip, classes, template), clip.visual_projection()[1].float())


def clip_of(vit: RecordedLayer, weights: str | None) -> Clip:
    """The ViT with the text tower beside it.

    Args:
        vit: What the SAE takes the activations of.
        weights: What `load_recorded_backbone` took.

    Raises:
        InputError: If the ViT has no text tower of its own, or no projection into the space of the text.
    """
    if vit.family != "clip" or vit.ckpt is None:
        raise InputError(f"--zero_shot needs a CLIP, the SAE was trained on {vit.ckpt} of {vit.family}")
    clip = load_clip(vit.ckpt, weights, RECORDED)
    clip.visual_projection()
    return clip


def texts_of(clip: Clip, classes: Sequence[str], template: str) -> Tensor:
    """A unit vector for each class (c, e): of the template with its name, underscores as spaces."""
    return clip.embed_texts([template.replace(PLACE, name.replace("_", " ")) for name in classes])
