"""`saev annotate`: verdicts, interventions and seeds in galleries that are there."""

from pathlib import Path

from saev.cli.parsing import typed


def annotate(
    *,
    run_dir: Path | None = None,
    sae: Path | None = None,
    out: Path | None = None,
    verdicts: list[Path] | None = None,
    interventions: list[Path] | None = None,
    seeds: list[Path] | None = None,
) -> int:
    """Add verdicts, interventions and seeds to the galleries of a run, which are not made anew.

    It looks at no pictures, needs no shards and takes seconds. What is given of a kind takes the place of what was
    there of it. The last line of standard output is the directory that holds `features/NAME/index.html`.

    Args:
        run_dir: directory of a run, with galleries
        sae: directory of a single SAE instead; --out is then needed
        out: directory of the galleries, where `saev render --out` made them
        verdicts: as in `saev render`: directories that `saev probe test` wrote
        interventions: as in `saev render`: directories that `saev probe intervene` wrote
        seeds: as in `saev render`: directories of SAEs that differ in their seed alone
    """
    # Here and not above: the help answers without torch.
    from saev.artifacts import RunDirectory
    from saev.cli.given_saes import GivenSaes
    from saev.cli.runs.lock import alone_in
    from saev.gallery.annotating import annotate as add

    given = GivenSaes.named(run_dir, sae, out, "annotate")
    found = RunDirectory((out or given.where).absolute())
    with alone_in(found.path):
        add(given.load(), found.features, verdicts=verdicts or [], interventions=interventions or [], seeds=seeds or [])
    print(found.path)
    return 0


def main(argv: list[str]) -> int:
    """Run `saev annotate ARGV` and return the exit status."""
    return typed.run(annotate, argv, "saev annotate")
