"""`saev downstream`: what an SAE's reconstructions cost the ViT that they are spliced into."""

import argparse
import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from saev.cli.given_facts import add_facts, with_given
from saev.cli.parsing.errors import parsed
from saev.errors import InputError
from saev.files import check_writable, write_whole
from saev.threads import check_threads

MAX_IMAGES_FOR_MEAN = 256


def _parser(with_class: bool = False) -> ArgumentParser:
    parser = ArgumentParser(
        prog="saev downstream",
        description="Put an SAE's reconstructions in place of the activations inside the running ViT, and measure what "
        "becomes of its final embedding: cosine to the original, agreement of nearest neighbours, accuracy of a linear "
        "probe and, with a CLIP, of zero-shot classification; beside it, what the mean in their place costs. "
        "docs/metrics.md defines the figures. Take images that the SAE was not trained on.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--sae", type=Path, required=True, help="directory of an SAE: RUN/saes/NAME")
    parser.add_argument(
        "--shards",
        type=Path | None,
        default=None,
        help="a recording of the ViT, which says what the SAE does not say of itself: ViT, layer and preprocessing",
    )
    add_facts(parser)
    what = (
        "folder of pictures, the first folder level is the class; or a class of sources with its options, as of predict"
    )
    if with_class:
        from saev.vit.images import ImageSource

        parser.add_subclass_arguments(ImageSource, "images", required=True, help=what)
    else:
        parser.add_argument("--images", type=Path, required=True, help=what)
    parser.add_argument("--n_images", type=int, default=2000, help="upper bound of the images, a random choice")
    parser.add_argument("--batch_size", type=int, default=32, help="images of a forward pass")
    parser.add_argument(
        "--weights",
        type=str | None,
        default=None,
        help="the ViT's weights as `saev predict` took them: a .safetensors or .pt file, or random; by default they "
        "come from the network",
    )
    parser.add_argument("--k", type=int, default=10, help="nearest neighbours that are compared")
    parser.add_argument(
        "--zero_shot",
        type=str | None,
        default=None,
        help="also measure the accuracy of zero-shot classification, for a CLIP of open_clip: the sentence for a "
        "class, with {} for the name of its folder, such as 'a photo of a {}.'",
    )
    parser.add_argument("--num_workers", type=int, default=2, help="processes that decode; 0 decodes in the main one")
    parser.add_argument(
        "--device", type=str | None, default=None, help="cpu, cuda, ...; by default a GPU if there is one"
    )
    parser.add_argument("--seed", type=int, default=0, help="fixes the choice of images and the probe's halves")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for all figures")
    return parser


def main(argv: list[str]) -> int:
    """Run `saev downstream ARGV` and return the exit status.

    Raises:
        InputError: If the SAE, the ViT or the pictures cannot be had, or do not belong together.
        SystemExit: For `--help` (0).
    """
    parser = _parser(_names_class(argv))
    options = parsed(parser, argv)
    _check(options)
    if not isinstance(options.images, Path):
        options = parser.instantiate_classes(options)
    # Here and not above, as in the functions below: the help answers without torch.
    from saev.cli.downstream_report import table

    report = evaluate(options)
    print(table(report))
    write_whole(options.out, (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
    return 0


def _names_class(argv: list[str]) -> bool:
    """Whether the pictures are those of a class of sources, and not a folder."""
    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    known.add_argument("--images", default="")
    given: str = known.parse_known_args(argv)[0].images
    return any(option.startswith("--images.") for option in argv) or ("." in given and not Path(given).exists())


def _check(options: Namespace) -> None:
    for name, least in (("n_images", 1), ("batch_size", 1), ("k", 1), ("seed", 0)):
        if options[name] < least:
            raise InputError(f"--{name} {options[name]} must be {least} or more")
    check_threads("--num_workers", options.num_workers, least=0)
    check_writable(options.out.absolute().parent)
    if not options.out.absolute().parent.is_dir():
        raise InputError(f"--out {options.out}: there is no directory {options.out.absolute().parent}")
    if options.out.exists() and not options.out.is_file():
        raise InputError(f"--out {options.out} is no regular file: name another one")


def evaluate(options: Namespace) -> dict[str, Any]:
    """All figures, as plain JSON.

    Raises:
        InputError: If the SAE, the ViT or the pictures cannot be had, or do not belong together.
    """
    from saev.artifacts import load_sae, provenance_of
    from saev.cli.downstream_report import figures
    from saev.device import chosen_device
    from saev.shards.reading.open import open_shards
    from saev.shards.tokens import random_subset
    from saev.splicing.attach import token_layout
    from saev.splicing.downstream import mean_token, measure
    from saev.splicing.recorded_backbone import attach_recorded, load_recorded_backbone
    from saev.splicing.zero_shot import zero_shot_rows
    from saev.vit.dataset import ImageDataset, image_batches
    from saev.vit.images import ImageFolder, ImageSource

    sae = load_sae(options.sae)
    reader = None if options.shards is None else open_shards(options.shards, options.model.layer)
    provenance = with_given(provenance_of(sae), options, reader)
    vit = provenance.one_layer
    source = options.images if isinstance(options.images, ImageSource) else ImageFolder(options.images)
    name = str(options.images) if isinstance(options.images, Path) else source.location
    source.check_known()
    chosen = random_subset(len(source), options.n_images, options.seed)
    if len(chosen) <= options.k:
        raise InputError(f"{len(chosen)} images of {name}: for --k {options.k} neighbours more are needed")
    device = chosen_device(options.device)
    backbone = load_recorded_backbone(vit, options.weights)
    labels = [source.record(index).label for index in chosen.tolist()]
    zero_shot = None
    if options.zero_shot is not None:
        classes = source.class_names
        if len(classes) < 2:
            raise InputError(f"--zero_shot needs two folders (classes) or more, {name} has {len(classes)}")
        if not any(labels):
            raise InputError("--zero_shot: none of the chosen images is in a folder of its class, raise --n_images")
        zero_shot = classes, zero_shot_rows(vit, options.weights, classes, options.zero_shot)
    items = ImageDataset(source, backbone.preprocessing, backbone.grid)
    few = chosen[random_subset(len(chosen), MAX_IMAGES_FOR_MEAN, options.seed)]
    # What stands for a whole image at this layer.
    whole = token_layout(backbone).positions("cls" if backbone.cls else "content")
    loading = options.batch_size, options.num_workers
    with attach_recorded(sae.to(device), provenance, backbone.to(device)) as inside:
        mean_d = mean_token(inside, image_batches(items, few.tolist(), *loading, "mean"))
        batches = image_batches(items, chosen.tolist(), *loading, "downstream")
        found = measure(inside, batches, mean_d, whole)
    assert vit.layer is not None, "attached to it"
    facts: dict[str, Any] = {
        "sae": str(options.sae),
        "model": f"{backbone.family} {backbone.ckpt}",
        "layer": vit.layer % backbone.n_layers,
        "tokens": provenance.tokens,
        "images": name,
        "n_images": len(chosen),
    }
    if zero_shot is not None:
        facts["zero_shot"] = {"template": options.zero_shot, "n_classes": len(zero_shot[0])}
    return facts | figures(found, labels, sae.W_dec, options.k, options.seed, zero_shot)
