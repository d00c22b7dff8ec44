"""`saev render`: the galleries of trained SAEs anew."""

import contextlib
import sys
from pathlib import Path
from typing import Final, Literal

from jsonargparse import ArgumentParser, Namespace

from saev.artifacts import RunDirectory
from saev.cli.given_saes import OF_TRAINING, GivenSaes
from saev.cli.parsing.command_line import refuse_options, wants_help
from saev.cli.parsing.errors import parsed
from saev.cli.parsing.files import check_given_files
from saev.cli.parsing.short_help import answer_help, offer_full_help
from saev.cli.parsing.typed import appending
from saev.cli.runs.lock import alone_in
from saev.cli.runs.places import check_places
from saev.device import chosen_device
from saev.errors import InputError
from saev.gallery.facts import figures_beside
from saev.gallery.from_shards import render_saes
from saev.gallery.image_sets import shown_tokens
from saev.gallery.options import RenderOptions
from saev.latents.half import HalfImages
from saev.probing.proposal_half import proposal_images
from saev.shards.tokens import TokenSelection
from saev.training.data.shard_tokens import ShardTokens

_ACCELERATOR: Final = "trainer.accelerator"
_NAMED: Final = (
    "run_dir", "sae", "out", "codes", "metadata", "verdicts", "interventions", "seeds", "proposal_half", "group"
)  # fmt: skip
_OTHER: Final = {
    **dict.fromkeys(("--model", "--ckpt_path", "--checkpoint"), "takes SAEs as they were saved"),
    "--trainer": "has no trainer and works in one process, on the --device",
    "--visualizer.n_tensorboard": "writes nothing for TensorBoard",
    **dict.fromkeys([f"--data.{name}" for name in OF_TRAINING], "neither trains nor evaluates"),
}


def render(
    data: ShardTokens,
    visualizer: RenderOptions,
    run_dir: Path | None = None,
    sae: Path | None = None,
    out: Path | None = None,
    codes: list[Path] | None = None,
    metadata: Path | None = None,
    verdicts: list[Path] | None = None,
    interventions: list[Path] | None = None,
    seeds: list[Path] | None = None,
    proposal_half: int | None = None,
    group: list[str] | None = None,
    device: str | None = None,
) -> Path:
    """Make the galleries of a run's SAEs anew with other options, or add an image set to them: other shards.

    It takes no training and no metrics, and one process. Images that were held out of training are left out of the
    shards that trained the SAEs. A gallery shows image sets side by side, all with the latents of the first one, on its
    scale; a set of the same images is replaced. One SAE without a run is rendered with --sae and --out. The last line
    of standard output is the directory that holds `features/NAME/index.html`.

    Args:
        data: what is looked at
        visualizer: what is shown
        run_dir: directory of a finished run
        sae: directory of a single SAE instead, from wherever it comes; --data.shards and --out are then needed
        out: directory for the galleries, in place of the run directory, which is then only read
        codes: directories that `saev encode` wrote, of some of the SAEs on these shards, which are then not encoded
            again
        metadata: CSV of the images: a column "path" with their paths as recorded, and columns that say something of
            them, which are counted as labels are
        verdicts: directories that `saev probe test` wrote, of some of the SAEs: their verdicts stand beside latents
        interventions: directories that `saev probe intervene` wrote, of some of the SAEs: what the ViT does with a
            latent stands on its page
        seeds: directories of SAEs that differ from one of these in their seed alone: latents say in how many they are
            found again; SAEs of a run are compared anyway
        proposal_half: seed of `saev probe`: only the half of the pictures is looked at that is in no test with it, so
            that no latent is chosen by pictures of its test
        group: columns of --metadata by which `saev probe` keeps pictures together, with --proposal_half
        device: cpu, cuda, ...; by default a GPU if there is one
    """
    given = GivenSaes.named(run_dir, sae, out, "render")
    found = RunDirectory((out or given.where).absolute())
    _check_place(found, is_named=out is not None)
    place = chosen_device(device, "--device")
    with alone_in(found.path):
        saes = given.load_for(data, data.test_tokens)
        on_device = {name: one.eval().to(place) for name, one in saes.items()}
        tokens = shown_tokens(data.test_tokens)
        figures = {name: figures_beside(given.metrics(name)) for name in saes}
        render_saes(
            on_device, tokens, found.features, visualizer, codes=codes or [], metadata=metadata,
            verdicts=verdicts or [], interventions=interventions or [], seeds=seeds or [], figures=figures,
            only=_half(tokens, proposal_half, group, metadata),
        )  # fmt: skip
    return found.path


def _half(
    tokens: TokenSelection, seed: int | None, group: list[str] | None, metadata: Path | None
) -> HalfImages | None:
    """The images of the proposal half; None, which is all images, without a seed."""
    if seed is None:
        if group:
            raise InputError(f"--group {group[0]} has no use without --proposal_half")
        return None
    return proposal_images(tokens.reader, seed, group or (), metadata)


def main(argv: list[str]) -> int:
    """Run `saev render ARGV` and return the exit status.

    Raises:
        InputError: If the SAEs or the shards cannot be had or do not belong together, or the galleries cannot be made.
        SystemExit: For `--help` (0).
    """
    if not wants_help(argv):
        refuse_options("render", [one for one in argv if one.partition("=")[0] != f"--{_ACCELERATOR}"], _OTHER)
        # What fit was told of the data is the default of what comes later.
        argv = ["--config", GivenSaes.of(argv, "render").options("render"), *argv]
    parser = _parser()
    answer_help(parser, argv)
    check_given_files(argv)
    options = parsed(parser, appending(argv, render))
    with contextlib.redirect_stdout(sys.stderr):
        out = render(
            # No image is held out here.
            data=ShardTokens(**options.data, val_share=0.0),
            visualizer=RenderOptions(**options.visualizer),
            device=_device(options),
            **{name: options[name] for name in _NAMED},
        )
    print(out)
    return 0


def _parser() -> ArgumentParser:
    described, _, _ = (render.__doc__ or "").partition("Args:")
    parser = ArgumentParser(prog="saev render", description=described, exit_on_error=False, allow_abbrev=False)
    offer_full_help(parser)
    parser.add_argument("-c", "--config", action="config", help="file of options, in YAML or JSON")
    parser.add_function_arguments(render, as_group=False, skip={"data", "visualizer"})
    parser.add_argument(
        f"--{_ACCELERATOR}",
        type=Literal["auto", "cpu", "gpu", "cuda", "mps"],
        default="auto",
        help="the device, as other commands name it",
    )
    parser.add_class_arguments(ShardTokens, "data", skip=set(OF_TRAINING))
    parser.add_class_arguments(RenderOptions, "visualizer")
    return parser


def _device(options: Namespace) -> str | None:
    device: str | None = options.device
    accelerator: str = options[_ACCELERATOR]
    if accelerator == "auto":
        return device
    if device is not None:
        raise InputError(f"--device {device} and --{_ACCELERATOR} {accelerator}: give one of them")
    return "cuda" if accelerator == "gpu" else accelerator


def _check_place(out: RunDirectory, *, is_named: bool) -> None:
    try:
        check_places(out.path, out.features.name)
    except InputError as error:
        if is_named:
            raise
        raise InputError(f"{error}, or give another directory with --out DIR") from error
