"""The classifier that the text tower of a CLIP makes of the names of classes."""

from collections.abc import Sequence

from torch import Tensor

from saev.artifacts import RecordedLayer
from saev.errors import InputError
from saev.vit.refusals import RECORDED
from saev.vit.text import load_clip

PLACE = "{}"


def zero_shot_rows(vit: RecordedLayer, weights: str | None, classes: Sequence[str], template: str) -> Tensor:
    """A direction (n_classes, d_model) for each class: the one with the largest product with a final embedding wins.

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
    if vit.family != "clip" or vit.ckpt is None:
        raise InputError(f"--zero_shot needs a CLIP, the SAE was trained on {vit.ckpt} of {vit.family}")
    clip = load_clip(vit.ckpt, weights, RECORDED)
    _, projection_de = clip.visual_projection()
    texts_ce = clip.embed_texts([template.replace(PLACE, name.replace("_", " ")) for name in classes])
    return texts_ce @ projection_de.float().T
