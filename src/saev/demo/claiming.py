"""The steps from what latents seem to be to verdicts: propose, freeze, build, test."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import saev.probing
from saev.demo.claims import choose, latents_of
from saev.demo.frozen import FrozenClaim, frozen
from saev.demo.known_scenes import SUMMER
from saev.demo.pictures import write_answers
from saev.demo.places import CLAIMS, SECOND
from saev.demo.steps import Argv, Demo, Outcome, Step
from saev.latents.codes import open_codes
from saev.probing.hypotheses.file import Draft
from saev.probing.hypotheses.ledger import LEDGER_FILE, TESTED_FILE
from saev.probing.hypotheses.reading import read_hypotheses
from saev.probing.pictures.pooled import pooled
from saev.probing.proposing import DRAFT_FILE
from saev.probing.sets.files import LABEL_PAGE
from saev.probing.verdicts.files import read_verdicts
from saev.probing.verdicts.result import Result

N_PICTURES: Final = 300
"""Of a blind set: the truth answers quickly."""
N_PAIR_SCENES: Final = 200
"""Of which those with the colour make pairs."""
N_PERMUTATIONS: Final = 2_000
STRATA: Final = "background"


def proposing(demo: Demo) -> Step:
    """All latents against all that is known."""
    places = demo.places

    def command() -> Argv:
        return [
            *_probe(demo, "propose"), "--metadata", str(places.table), "--class_column", STRATA,
            "--seeds", str(places.sae(SECOND)), f"--seed={demo.seed}", "--out", str(places.proposed),
        ]  # fmt: skip

    def work() -> Outcome:
        saev.probing.propose(
            places.sae(), demo.shards, places.proposed, codes=places.codes, labels=[], metadata=places.table,
            class_column=STRATA, seeds=[places.sae(SECOND)], seed=demo.seed,
        )  # fmt: skip
        draft = read_hypotheses(places.proposed / DRAFT_FILE)
        return Outcome([f"{len(draft.hypotheses)} hypotheses drafted", f"open {places.proposed / 'index.html'}"], {})

    return Step(
        "propose",
        "Propose: what may it stand for?",
        "scenes.csv says what is in each scene, as a table of yours would. Every latent is compared with every column, "
        f"on that half alone. Two columns are made up: 'warm' (something red or yellow) and 'summer', which goes with "
        f"the {SUMMER} background in 9 of 10 scenes and is nowhere to be seen.",
        lambda: [command()],
        work,
        lambda: [places.proposed],
    )


def freezing(demo: Demo) -> Step:
    """Five claims, fixed before they are tested."""
    places = demo.places

    def command(name: str) -> Argv:
        return [
            *_probe(demo, "freeze"), "--file", str(places.claims(name)), "--metadata", str(places.table),
            "--out", str(places.frozen(name)),
        ]  # fmt: skip

    def work() -> Outcome:
        draft = read_hypotheses(places.proposed / DRAFT_FILE)
        assert isinstance(draft, Draft), "propose drafts, and freezes nothing"
        images = saev.probing.proposal_images(demo.shards, demo.seed).numbers
        seen = pooled(open_codes(places.codes), images), demo.known.y_ij[images]
        chosen = choose(draft.hypotheses, *seen, demo.known.summer_i[images])
        parts = dict(zip(CLAIMS, ((chosen.colour,), chosen.several, (chosen.season,)), strict=True))
        for name, claims in parts.items():
            strata = STRATA if name == "season" else None
            own = replace(draft, hypotheses=tuple(one.hypothesis for one in claims), strata=strata)
            places.claims(name).parent.mkdir(exist_ok=True)
            own.write(places.claims(name))
            places.frozen(name).parent.mkdir(exist_ok=True)
            saev.probing.freeze(
                places.sae(), demo.shards, places.frozen(name), file=places.claims(name), codes=places.codes,
                labels=[], metadata=places.table,
            )  # fmt: skip
        fixed = [FrozenClaim.of(name, one) for name, claims in parts.items() for one in claims]
        colour = chosen.colour.truth
        of_colour = {*latents_of(colour, *seen), *chosen.colour.hypothesis.latents.all}
        facts = {"colour": colour, "latents": sorted(map(int, of_colour))}
        return Outcome([str(one) for one in fixed], {"claims": [vars(one) for one in fixed], **facts})

    return Step(
        "freeze",
        "Freeze: say what you think, before you know",
        "Five claims are fixed with their latents and thresholds. Three are true and two false, by the truth about the "
        "proposal half: the easiest there are, so that a verdict which is wrong would say something about the test. "
        "One of the false ones is a proxy of a class, the background; it is tested within each background.",
        lambda: [command(name) for name in CLAIMS],
        work,
        lambda: [places.out / "claims", places.out / "frozen"],
    )


def building(demo: Demo) -> Step:
    """Sets of pictures, answered by the truth."""
    places = demo.places

    def options(name: str) -> dict[str, Any]:
        if name == "season":
            return {"metadata": places.table, "class_column": STRATA}
        blind = {"blind": True, "n_pictures": min(N_PICTURES, demo.options.n_scenes // 3)}
        pairs = {"pairs_without": places.pairs("without"), "pairs_with": places.pairs("with")}
        return {**blind, **pairs} if name == "colour" else blind

    def command(name: str) -> Argv:
        given = [part for key, value in options(name).items() for part in _option(key, value)]
        return [
            *_probe(demo, "build"), "--hypotheses", str(places.frozen(name)), *given, f"--seed={demo.seed}",
            "--out", str(places.sets(name)),
        ]  # fmt: skip

    def work() -> Outcome:
        claims = frozen(demo).claims
        fresh = demo.fresh_scenes
        fresh.write_pairs(places.out / "pairs", "colour", claims[0].truth, range(min(N_PAIR_SCENES, len(fresh))))
        said = []
        for name in CLAIMS:
            saev.probing.build(
                places.frozen(name), places.sae(), demo.shards, places.sets(name), codes=places.codes,
                labels=[], seed=demo.seed, **options(name),
            )  # fmt: skip
        for one in claims:
            if one.file != "season":
                its = places.sets(one.file) / one.id
                n = write_answers(places.answers(one.file, one.id), its, demo.known, one.truth)
                said.append(f"'{one.text}': the truth says yes {n} times; or answer yourself: {its / LABEL_PAGE}")
        return Outcome(said, {})

    return Step(
        "build",
        "Build: scenes of the other half, which nobody has looked at",
        "For four claims there is a page on which you would label scenes without knowing what the latents do on them; "
        "here the truth answers instead of you. For the colour there are pairs, too: fresh scenes, and the same ones "
        "with another colour. The season stands in the table.",
        lambda: [command(name) for name in CLAIMS],
        work,
        lambda: [places.out / "sets", places.out / "answers", places.out / "pairs"],
    )


def testing(demo: Demo) -> Step:
    """The verdicts."""
    places = demo.places

    def answers(name: str) -> list[Path]:
        return [places.answers(name, one.id) for one in frozen(demo).claims if one.file == name != "season"]

    def command(name: str) -> Argv:
        given = [part for one in answers(name) for part in ("--answers", str(one))]
        return [
            *_probe(demo, "test"), "--hypotheses", str(places.frozen(name)), "--sets", str(places.sets(name)), *given,
            "--metadata", str(places.table), f"--n_permutations={N_PERMUTATIONS}", f"--seed={demo.seed}",
            "--out", str(places.report(name)),
        ]  # fmt: skip

    def work() -> Outcome:
        for name in CLAIMS:
            saev.probing.test(
                places.frozen(name), places.sae(), demo.shards, places.sets(name), places.report(name),
                codes=places.codes, answers=answers(name), labels=[], metadata=places.table,
                n_permutations=N_PERMUTATIONS, seed=demo.seed,
            )  # fmt: skip
        results = {one.id: one for name in CLAIMS for one in read_verdicts(places.report(name)).results}
        said = [line for one in frozen(demo).claims for line in _judged(one, results[one.id])]
        return Outcome(said, {"verdicts": {name: one.verdict for name, one in results.items()}})

    return Step(
        "test",
        "Test: once",
        "Each claim is judged on its set, with an interval, beside random latents and what else tells scenes apart. "
        "MCC says how well firing and answers agree: 1 is perfect, 0 is chance.",
        lambda: [command(name) for name in CLAIMS],
        work,
        # A test that was not finished has shown nothing to anybody: its notes do not count.
        lambda: [
            places.out / "reports",
            demo.shards.parent / TESTED_FILE,
            *(places.out / "sets").glob(f"*/{TESTED_FILE}"),
            *(places.out / "sets").glob(f"*/*/{LEDGER_FILE}"),
        ],
    )


def _judged(one: FrozenClaim, its: Result) -> Iterator[str]:
    """Lines on a verdict, and on what stands beside it."""
    low, high = its.interval
    standing = "rightly" if its.verdict == one.expected else f"though it should be {one.expected}"
    within = "" if one.file != "season" else f" among scenes of one {STRATA}, {its.scores.mcc:.2f} among all scenes"
    yield f"'{one.text}' is {its.verdict}, {standing}: MCC {its.effect:.2f} ({low:.2f} to {high:.2f}){within}"
    for edit in its.edits:
        yield (
            f"in {edit.n} pairs it fires on {edit.fires_after:.0%} with {one.truth}, on {edit.fires_before:.0%} of the "
            f"same scenes without it, and on {edit.fires_placebo:.0%} of those in another light: {edit.finding}"
        )


def _probe(demo: Demo, command: str) -> list[str]:
    """How each of these commands begins."""
    places = demo.places
    return [
        "probe", command, "--sae", str(places.sae()), "--shards", str(demo.shards), "--codes", str(places.codes),
        "--labels", "[]",
    ]  # fmt: skip


def _option(name: str, value: object) -> list[str]:
    return [f"--{name}"] if value is True else [f"--{name}", str(value)]
