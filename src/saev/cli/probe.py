"""`saev probe`: hypotheses about latents, from a first look to a verdict."""

from pathlib import Path
from typing import Final

from saev.cli.ending import Stopped
from saev.cli.intervene import intervene
from saev.cli.parsing import typed
from saev.cli.parsing.picture_source import source_options
from saev.probing.pictures.pooling import Pooling
from saev.shards.format.layout import TokenKind

DESCRIPTION = "Find out whether what you think you see in a latent is true; docs/probing.md shows the way."


def propose(
    *,
    sae: Path,
    shards: Path,
    out: Path,
    codes: Path | None = None,
    labels: list[str] | None = None,
    metadata: Path | None = None,
    group: list[str] = [],  # noqa: B006 - the default of an option, which nobody changes
    class_column: str | None = None,
    pooling: Pooling = "max",
    count_above: float = 0.0,
    n_candidates: int = 20,
    n_permutations: int = 200,
    smallest_effect: float = 0.2,
    seeds: list[Path] = [],  # noqa: B006
    controls: bool = True,
    seed: int = 0,
    layer: int | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
) -> int:
    """Compare every latent with every attribute of the pictures, on the half of them that one may look at.

    The directory gets a table (candidates.parquet), the same as a page (index.html), and a draft of hypotheses
    (hypotheses.json) for `saev probe freeze`. What is found is exploratory: the best of very many. The last line of
    standard output is the directory.

    Args:
        sae: directory of an SAE: RUN/saes/NAME
        shards: directory of a recording of the same ViT
        out: directory of the results
        codes: what `saev encode` wrote of both; without it the codes are written to OUT/codes
        labels: image (recorded labels of pictures), patch (of patches), or a directory with folders TASK-positive and
            TASK-negative; by default the recorded labels that are there
        metadata: table of the pictures, a CSV with a column "path"
        group: columns of the table by which pictures belong together, such as specimen or site: no group is divided
        class_column: column of the table that says a picture's class, such as species; by default the recorded label
            does: does the latent know more than that?
        pooling: how the codes of a picture's tokens become one value
        count_above: what a code exceeds that counts, with --pooling count
        n_candidates: latents that are kept of each attribute
        n_permutations: permutations for p of the best latent of an attribute
        smallest_effect: the smallest MCC that matters, for the draft
        seeds: directories of SAEs that differ from it in their seed alone: is a latent found again there?
        controls: measure what else tells the pictures apart; it reads the activations of at most 2,000 pictures
        seed: fixes the halves of the pictures, the permutations and the controls
        layer: which layer, where a directory of the original saev holds several
        tokens: which tokens of each image; by default those that the SAE was trained on
        device: cpu, cuda, ...; by default a GPU if there is one
    """
    import saev.probing  # here and not above: the help answers without torch

    try:
        found = saev.probing.propose(
            sae, shards, out, codes=codes, labels=labels, metadata=metadata, group=group,
            class_column=class_column, pooling=pooling, count_above=count_above, n_candidates=n_candidates,
            n_permutations=n_permutations, smallest_effect=smallest_effect, seeds=seeds, controls=controls,
            seed=seed, layer=layer, tokens=tokens, device=device,
        )  # fmt: skip
    except Stopped as stopped:
        stopped.advice = "the same command goes on with the codes that are whole"
        raise
    print(found)
    return 0


def freeze(
    *,
    sae: Path,
    shards: Path,
    out: Path,
    notes: Path | None = None,
    names: Path | None = None,
    candidates: Path | None = None,
    file: Path | None = None,
    latents: list[int] = [],  # noqa: B006
    unless: list[int] = [],  # noqa: B006
    thresholds: list[float] = [],  # noqa: B006
    join: int = 0,
    claim: str = "",
    attribute: str = "",
    does_not_fire: bool = False,
    only: list[str] = [],  # noqa: B006
    pooling: Pooling | None = None,
    count_above: float | None = None,
    smallest_effect: float | None = None,
    alpha: float | None = None,
    strata: str | None = None,
    seed: int | None = None,
    group: list[str] | None = None,
    codes: Path | None = None,
    labels: list[str] | None = None,
    metadata: Path | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
) -> int:
    """Fix hypotheses before they are tested: latents, thresholds, pooling, claim and the smallest effect that matters.

    They come from exactly one of --notes, --names, --candidates, --file, --latents and --join, and by default from the
    notes that `saev view` wrote in the run. A threshold that is not given is chosen on the proposal half of the
    pictures: the one with the largest MCC for one latent whose attribute is labelled, else about half of a latent's
    largest values; a line says how often it fires then. The last line of standard output is the file, which says what
    was frozen when, with a hash of itself; it is never overwritten.

    Args:
        sae: directory of an SAE: RUN/saes/NAME
        shards: directory of a recording of the same ViT, not one of the original saev, which lacks pictures' digests
        out: JSON file of the frozen hypotheses
        notes: notes that the gallery exported, by default RUN/notes/NAME.json, which `saev view` writes: a hypothesis
            for each claim (or text) not marked as refuted; those on the proposal half alone say how it is divided
        names: directory of a gallery with a namer, or its names.json: a hypothesis for each name; likewise
        candidates: directory that `saev probe propose` printed: its draft; with --latents or --join only how it
            divided the pictures
        file: a draft of your own, JSON or YAML, as docs/files.md describes it
        latents: one hypothesis on these latents: it fires where one of them does; if a gallery made you choose them,
            pictures of the test half did, too
        unless: and none of these
        thresholds: of each of them, those of --latents first
        join: one hypothesis on up to so many latents, found and joined by OR and AND NOT for --attribute
        claim: the claim in words, with --latents or --join; by default the attribute's name
        attribute: what the pictures have, with --latents or --join, such as label:zebra, patch:sky, metadata:sex=f or
            folders:stripes; by default it is known in words alone
        does_not_fire: with --latents or --join, they are not to fire on it
        only: ids of hypotheses; the others are left out, which makes the test of these stronger
        pooling: how the codes of a picture's tokens become one value, max by default; drafts say it themselves
        count_above: what a code exceeds that counts, with --pooling count; drafts say it themselves
        smallest_effect: the smallest MCC that matters; by default that of the draft, or .2
        alpha: the error that is allowed over all hypotheses; by default that of the draft, or .05
        strata: a confounder within whose values the effect is measured and labels are permuted in the test: label (as
            recorded) or a column of --metadata
        seed: fixes the halves of the pictures, 0 by default; drafts and candidates say it themselves
        group: columns of --metadata by which pictures belong together; drafts and candidates say it themselves
        codes: what `saev encode` wrote; without it the pictures are encoded where a threshold is missing
        labels: image, patch, or a directory with folders TASK-positive and TASK-negative; by default the recorded
            labels that are there
        metadata: table of the pictures, a CSV with a column "path"
        tokens: which tokens of each image; by default those that the SAE was trained on. For others, give --codes of
            them to build and test, too
        device: cpu, cuda, ...; by default a GPU if there is one
    """
    import saev.probing  # here and not above: the help answers without torch

    found = saev.probing.freeze(
        sae, shards, out, notes=notes, names=names, candidates=candidates, file=file, latents=latents, unless=unless,
        thresholds=thresholds, join=join, claim=claim, attribute=attribute, does_not_fire=does_not_fire, only=only,
        pooling=pooling, count_above=count_above, smallest_effect=smallest_effect, alpha=alpha, strata=strata,
        seed=seed, group=group, codes=codes, labels=labels, metadata=metadata, tokens=tokens, device=device,
    )  # fmt: skip
    print(found)
    return 0


def build(
    *,
    hypotheses: Path,
    sae: Path,
    shards: Path,
    codes: Path | None = None,
    labels: list[str] | None = None,
    metadata: Path | None = None,
    class_column: str | None = None,
    n_pictures: int | None = None,
    blind: bool = False,
    edits: list[str] = [],  # noqa: B006
    kept_edits: list[str] = [],  # noqa: B006
    masks: Path | None = None,
    pairs_without: Path | None = None,
    pairs_with: Path | None = None,
    n_pairs: int = 60,
    labeller: str | None = None,
    labeller_weights: str | None = None,
    vocabulary: Path | None = None,
    seed: int = 0,
    device: str | None = None,
    out: Path,
) -> int:
    """Build sets of pictures on which frozen hypotheses are tested.

    All of them are of the half that nobody has looked at. A claim in words gets pictures over the whole range of the
    latents' values, and a page on which you label them blind: label.html, which exports the answers. A claim on a
    label, or one that a CLIP labels (--labeller), gets pictures with their labels, and beside them hard ones.
    docs/probing.md says more. The last lines of standard output are the directories of the sets.

    Args:
        hypotheses: frozen file of hypotheses
        sae: directory of the SAE that they are on: RUN/saes/NAME
        shards: directory of the recording that they are on
        codes: directory of saved codes of that SAE; by default they are encoded now
        labels: image, patch, or a folder of <task>-positive and <task>-negative; by default the recorded labels
        metadata: CSV of what is known of the pictures, keyed by path
        class_column: column of --metadata that says a picture's class, such as species, for the role same-class; by
            default the recorded label does
        n_pictures: pictures of each sample; by default 60 that you label, and at most 2,000 with known labels
        blind: label all sets by hand, also where labels are known
        edits: edits of pictures that take away what the claim says, such as grey for a colour: grey, hue, blurred,
            shuffled, mirrored; by --masks object-removed, cut-out, background-swapped
        kept_edits: edits that leave what the claim says, and so must not matter
        masks: folder of masks with the names of the pictures, as for SegmentationFolder
        pairs_without: folder of pictures without what the claim says; with --pairs_with, pairs of your own
        pairs_with: the same pictures with it, under the same names
        n_pairs: pairs of each edit, at most
        labeller: CLIP or SigLIP of open_clip that labels claims in words, such as ViT-B-32/openai; choose another one
            than gave the names, and none whose image tower the SAE is on
        labeller_weights: its weights, a .safetensors or .pt file, or random; by default they come from the network
        vocabulary: file of words, one a line, with which --labeller compares; by default those that come with saev
        seed: fixes the choice of pictures and their order
        device: cpu, cuda, ...; by default a GPU if there is one
        out: directory of the sets; each gets a folder with the id of its hypothesis
    """
    import saev.probing  # here and not above: the help answers without torch

    found = saev.probing.build(
        hypotheses, sae, shards, out, codes=codes, labels=labels, metadata=metadata, class_column=class_column,
        n_pictures=n_pictures, blind=blind, edits=edits, kept_edits=kept_edits, masks=masks,
        pairs_without=pairs_without, pairs_with=pairs_with, n_pairs=n_pairs, labeller=labeller,
        labeller_weights=labeller_weights, vocabulary=vocabulary, seed=seed, device=device,
    )  # fmt: skip
    print(*found, sep="\n")
    return 0


def test(
    *,
    hypotheses: Path,
    sae: Path,
    shards: Path,
    sets: Path,
    codes: Path | None = None,
    answers: list[Path] | None = None,
    labels: list[str] | None = None,
    metadata: Path | None = None,
    strata: str | None = None,
    controls: bool = True,
    n_permutations: int = 10_000,
    seed: int = 0,
    weights: str | None = None,
    device: str | None = None,
    out: Path,
) -> int:
    """Test frozen hypotheses on their sets, once.

    Each is confirmed, rejected or undecided, with an effect, its interval, a corrected p and a reason; the exit status
    is 0 whatever the verdicts are. A second test of the same attribute on any of the same pictures is exploratory.
    docs/probing.md says how verdicts are made. The last line of standard output is the directory.

    Args:
        hypotheses: frozen file of hypotheses
        sae: directory of the SAE that they are on: RUN/saes/NAME
        shards: directory of the recording that they are on
        sets: directory that holds the set of each hypothesis
        codes: directory of saved codes of that SAE; by default they are encoded now
        answers: file that the page of a set exported; may be given for each of the sets
        labels: for controls: image, patch, or a directory with folders TASK-positive and TASK-negative, as in propose
        metadata: CSV of what is known of the pictures, keyed by path
        strata: within what the effect is measured, as it was frozen; others are refused
        controls: measure what else tells the pictures apart, where labels of the proposal half are known
        n_permutations: of labels; at least as many as hypotheses in the file, divided by its alpha, twice as many for
            each earlier test of the same claim on other pictures
        seed: fixes permutations, draws and random latents
        weights: the ViT's, for pairs and unrecorded pictures: a file, or random; by default they come from the network
        device: cpu, cuda, ...; by default a GPU if there is one
        out: directory of the report
    """
    import saev.probing  # here and not above: the help answers without torch

    found = saev.probing.test(
        hypotheses, sae, shards, sets, out, codes=codes, answers=answers or [], labels=labels, metadata=metadata,
        strata=strata, controls=controls, n_permutations=n_permutations, seed=seed, weights=weights, device=device,
    )  # fmt: skip
    print(found)
    return 0


COMMANDS: Final[dict[str, typed.Command]] = {
    command.__name__: command for command in (propose, freeze, build, test, intervene)
}


def main(argv: list[str]) -> int:
    """Run `saev probe ARGV` and return the exit status."""
    return typed.run_one_of(COMMANDS, argv, "saev probe", DESCRIPTION, source_options(argv))
