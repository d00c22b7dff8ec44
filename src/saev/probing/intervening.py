"""`saev.probing.intervene`: change latents inside the running ViT, and measure what becomes of its output."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

from saev.artifacts import provenance_of
from saev.device import chosen_device
from saev.errors import InputError
from saev.latents.encoding import sae_digest
from saev.nn import SparseAutoencoder
from saev.nn.evaluating import evaluating
from saev.probing.interventions.files import check_out, write_study
from saev.probing.interventions.passes import Place
from saev.probing.interventions.pictures import Chosen, chosen_pictures, picture_source
from saev.probing.interventions.study import Request, check_mask_meets_patches, study
from saev.probing.subject import loaded, opened
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader
from saev.splicing.attach import token_layout
from saev.splicing.edits import Edit, How
from saev.splicing.given_facts import NOTHING_GIVEN, GivenVit, with_given
from saev.splicing.recorded_backbone import attach_recorded, load_recorded_backbone
from saev.splicing.zero_shot import zero_shot_classifier
from saev.threads import check_threads
from saev.vit.images import ImageSource
from saev.vit.images.base import NO_LABEL

Where = Literal["all", "mask"] | Sequence[int]
CURVES: Final = (1, 2, 5, 10, 20)


def intervene(
    sae: SparseAutoencoder | str | Path,
    images: ImageSource | str | Path,
    latents: Sequence[int],
    out: str | Path,
    *,
    edit: How = "zero",
    value: float | None = None,
    tokens: Where = "all",
    masks: str | Path | None = None,
    target: str | None = None,
    zero_shot: str | None = None,
    head: str | Path | None = None,
    shards: ShardReader | str | Path | None = None,
    model: GivenVit = NOTHING_GIVEN,
    sae_tokens: TokenKind | None = None,
    weights: str | None = None,
    n_images: int = 500,
    n_random: int = 20,
    curves: Sequence[int] | None = None,
    n_maps: int = 4,
    block: int = 2,
    batch_size: int = 16,
    num_workers: int = 0,
    device: str | None = None,
    seed: int = 0,
) -> Path:
    """Change latents inside the running ViT, and measure on each picture what becomes of its output.

    What the SAE does not explain stays. Beside the edit stand changes as large along random latents that fire on about
    as many pictures. docs/probing.md says what is measured and docs/files.md what is written.

    Args:
        sae: An SAE of one layer, or the directory of one.
        images: The pictures, or a folder whose first level of folders names their classes.
        latents: The latents that change, together.
        out: A directory that is not there yet.
        edit: "zero", "set", "scale" or "add", as of `saev.Edit`.
        value: For all but "zero": a code, or for "scale" a multiplier.
        tokens: "all", places among the tokens that the SAE takes, or "mask": the patches of the target in the masks,
            without a target those of all classes but the background.
        masks: A folder of masks of the same relative names as the pictures (8-bit PNG: 0 background, 255 no label).
        target: A class of pictures or of masks that is told from all others.
        zero_shot: A sentence with {} for the name of a class, for a CLIP of open_clip.
        head: A safetensors file of a linear head on the final embedding: `weight` (outputs, width), `bias` (outputs).
        shards: A recording of the ViT, which says what the SAE does not say of itself: ViT, layer and preprocessing.
        model: The ViT, where neither the SAE nor the shards say it.
        sae_tokens: Tokens that the SAE takes, where it does not say it; by default content, the patches.
        weights: The ViT's weights: a .safetensors or .pt file, or "random"; by default they come from the network.
        n_images: Upper bound of the pictures, a random choice. With classes or masks about half of them are measured.
        n_random: Draws of random latents.
        curves: Numbers of each class's latents that are switched off, or alone on, by default
            1, 2, 5, 10 and 20; an empty list for no curves.
        n_maps: Pictures of each latent of which maps are made.
        block: Patches on a side of what is grey at once.
        batch_size: Images of a forward pass.
        num_workers: Processes that decode, forked; 0 decodes in this one.
        device: Where to compute; by default a GPU if there is one.
        seed: Fixes the choice of pictures, their halves, random latents and flips of signs.

    Returns:
        The directory.

    Raises:
        InputError: If the SAE, the ViT, the pictures or the masks cannot be had or do not belong together, a latent or
            token does not exist, there are too few pictures, or `out` is there already.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> sae, vit = saev.TopK(d_in=64, d_sae=128, k=4), GivenVit(family="timm", ckpt="test_vit", layer=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     found = intervene(
    ...         sae, DemoScenes(20), [3], f"{directory}/out", model=vit, sae_tokens="content",
    ...         weights="random", n_random=2, curves=[], n_maps=1, block=5,
    ...     )
    ...     sorted(path.name for path in found.iterdir())
    ['effects.csv', 'index.html', 'interventions.json']
    """
    place, ks = check_out(Path(out)), CURVES if curves is None else curves
    _check_numbers(
        n_images=n_images,
        n_random=n_random,
        block=block,
        batch_size=batch_size,
        seed=seed,
        n_maps=n_maps,
        curves=ks,
    )
    check_threads("--num_workers", num_workers, least=0)
    own = loaded(sae)
    made = _edit(latents, edit, value, tokens, own.d_sae)
    reader = None if shards is None else opened(shards, model.layer)
    provenance = with_given(provenance_of(own), model, sae_tokens, reader, "--sae_tokens")
    vit = provenance.one_layer
    source = picture_source(images, masks)
    if tokens == "mask" and not source.has_masks:
        raise InputError("--tokens mask needs a folder of masks: --masks DIR")
    chosen = chosen_pictures(source, source.location if source is images else str(images), n_images, seed)
    target_value = _target_value(target, chosen)
    computes = chosen_device(device, "--device")
    backbone = load_recorded_backbone(vit, weights)
    classifier = None
    if zero_shot is not None:
        if len(source.class_names) < 2:
            raise InputError(f"--zero_shot needs two folders (classes) or more, {chosen.where} has fewer")
        classifier = source.class_names, zero_shot_classifier(vit, weights, source.class_names, zero_shot)
    request = Request(
        made, tokens == "mask", target, target_value, None if head is None else Path(head), n_random, list(ks),
        n_maps, block, batch_size, num_workers, seed,
    )  # fmt: skip
    with (
        evaluating(own, computes) as ready,
        attach_recorded(ready, provenance, backbone.to(computes)) as inside,
    ):
        assert vit.layer is not None, "attached to it"
        at = Place(inside, backbone, vit.layer % backbone.n_layers, token_layout(backbone).positions("content"))
        if request.in_mask:
            check_mask_meets_patches(at)
        found = study(at, chosen, request, classifier)
    facts: dict[str, Any] = {
        "sae": sae_digest(own),
        "model": f"{backbone.family} {backbone.ckpt}",
        "layer": at.layer,
        "sae_tokens": provenance.tokens,
        "images": chosen.where,
        "masks": source.has_masks,
        "seed": seed,
        "edit": {
            "latents": request.latents,
            "how": edit,
            "value": value,
            "tokens": tokens if isinstance(tokens, str) else list(tokens),
        },
        "target": target,
        "zero_shot": zero_shot,
        "head": None if head is None else str(head),
        "block": block,
    }
    return write_study(place, facts, found, chosen)


def _check_numbers(*, n_maps: int, seed: int, curves: Sequence[int], **positive: int) -> None:
    for option, value, least in (("n_maps", n_maps, 0), ("seed", seed, 0), *((*one, 1) for one in positive.items())):
        if value < least:
            raise InputError(f"--{option} {value} must be {least} or more")
    if wrong := [k for k in curves if k < 1]:
        raise InputError(f"--curves: {wrong[0]} latents of a class must be 1 or more")


def _edit(latents: Sequence[int], how: How, value: float | None, tokens: Where, d_sae: int) -> Edit:
    own = list(dict.fromkeys(latents))
    if wrong := [latent for latent in own if not 0 <= latent < d_sae]:
        raise InputError(f"--latents: latent {wrong[0]} does not exist: the SAE has latents 0 to {d_sae - 1}")
    if value is None and how in get_args(How) and how != "zero":
        what = "a multiplier" if how == "scale" else "a code"
        raise InputError(f"--edit {how} needs {what}: --value 2.0")
    if isinstance(tokens, str) and tokens not in ("all", "mask"):
        raise InputError(f"--tokens {tokens}: give all, mask, or places such as '[0, 5]'")
    return Edit(own, how, 0.0 if value is None else value, None if isinstance(tokens, str) else list(tokens))


def _target_value(target: str | None, chosen: Chosen) -> int | None:
    """The value of the masks that a target has, if it has one."""
    if target is None:
        return None
    names, classes = chosen.source.patch_class_names, {label for label in chosen.labels if label is not None}
    if target in names:
        return names.index(target)
    if chosen.source.has_masks and not names and target.isdecimal() and int(target) < NO_LABEL:
        return int(target)
    if target not in classes:
        known = sorted({*names, *classes})
        raise InputError(
            f"--target {target}: no chosen picture and no mask is of this class, but {', '.join(known[:5]) or 'none'}"
            f"{', ...' if len(known) > 5 else ''}"
        )
    return None
