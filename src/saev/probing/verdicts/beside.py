"""The controls that stand beside the number of each hypothesis, where labels of the proposal half are known."""

from collections.abc import Sequence

import numpy as np

from saev.errors import tell
from saev.latents.codes import Codes
from saev.nn import SparseAutoencoder
from saev.probing.controls.control import Control, ControlTask, LabelledPictures
from saev.probing.controls.measuring import measured_controls
from saev.probing.proposal_half import ProposalHalf
from saev.probing.verdicts.values import SetValues
from saev.shards.reading.reader import ShardReader


def controls_beside(
    tested: Sequence[SetValues],
    half: ProposalHalf,
    reader: ShardReader,
    sae: SparseAutoencoder,
    codes: Codes,
    seed: int,
    device: str | None = None,
) -> list[tuple[Control, ...]]:
    """The controls of each hypothesis: chosen on the proposal half, judged on the recorded pictures of its sample.

    None for a claim in words, for an attribute whose labels are not given, and where one of the two sides has pictures
    of one label alone: controls are chosen by labels. A line names these.

    Args:
        tested: Hypotheses on their sets.
        seed: Of all chance.

    Raises:
        InputError: As `measured_controls`.
    """
    tasks = [_task(one, half) for one in tested]
    found: list[tuple[Control, ...]] = [() for _ in tested]
    if without := [one.hypothesis.id for one, task in zip(tested, tasks, strict=True) if task is None]:
        tell(f"{', '.join(without)}: no controls: these are chosen by labels of both kinds, on the proposal half, too")
    for tokens in dict.fromkeys(one.hypothesis.tokens for one in tested):
        own = {
            place: task
            for place, (one, task) in enumerate(zip(tested, tasks, strict=True))
            if one.hypothesis.tokens == tokens and task is not None
        }
        if own:
            some = measured_controls(
                reader, list(own.values()), tokens=tokens, sae=sae, codes=codes, seed=seed, device=device
            )
            for place, controls in zip(own, some, strict=True):
                found[place] = tuple(controls)
    return found


def _task(values: SetValues, half: ProposalHalf) -> ControlTask | None:
    attribute, attributes = values.hypothesis.attribute, half.known.attributes
    binary = [] if attributes is None else [(one.source, one.name) for one in attributes.binary]
    if attributes is None or (attribute.source, attribute.name) not in binary:
        return None
    y_i = attributes.labels_of(attribute.source, attribute.name)
    proposal_i = half.images[y_i[half.images] >= 0]
    image_k = np.array([-1 if one.image is None else one.image for one in values.made.pictures])
    used_k = values.used_k & (image_k >= 0)
    y_k = values.y_k[used_k] == 1
    if any(len(np.unique(one)) < 2 for one in (y_i[proposal_i], y_k)):
        return None
    fires = values.hypothesis.claim == "fires on"
    return ControlTask(
        LabelledPictures(proposal_i, (y_i[proposal_i] == 1) == fires, half.units.group_i[proposal_i]),
        LabelledPictures(
            image_k[used_k], y_k == fires, values.group_k[used_k], values.weights_k[used_k],
            values.drawn_from_k[used_k], values.is_by_label, values.stratum_k[used_k],
        ),
    )  # fmt: skip
