"""What tests of hypotheses say of latents: reports of `saev probe test`, as far as a gallery shows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final
from urllib.parse import quote

from saev.errors import InputError
from saev.files import given_path, read_regular
from saev.gallery.data import STANDINGS, Verdict
from saev.latents.encoding import sae_digest
from saev.nn import SparseAutoencoder
from saev.pages.embedding import address
from saev.shards.format.strict_json import JsonObject, parse_json
from saev.splicing.interventions_file import Interventions

FORMAT: Final = "saev-verdicts"
VERSION: Final = 1
VERDICTS_FILE: Final = "verdicts.json"
PAGE_FILE: Final = "index.html"
MAX_BYTES: Final = 2**28
_TEXTS: Final = ("id", "text", "claim", "reason")
_NUMBERS: Final = ("effect", "p_corrected")
_OTHERS: Final = ("latents", "verdict", "exploratory", "circular", "interval", "n")


@final
@dataclass(frozen=True)
class Report:
    """A report."""

    directory: Path  # Where it lies.
    sae: str  # Digest of the SAE that its hypotheses are on.
    verdicts: Mapping[str, Verdict]  # By the id of the hypothesis; none of them knows its page.

    @property
    def latents(self) -> list[int]:
        """Latents that its hypotheses are on, some several times."""
        return [latent for one in self.verdicts.values() for latent in (*one.any, *one.unless)]


def read_report(directory: str | Path) -> Report:
    """Read the verdicts of a report; what a gallery does not show is not looked at.

    Raises:
        InputError: If there are none, or anything that is shown is missing or of another kind.
    """
    path = given_path(directory, "verdicts") / VERDICTS_FILE
    value = parse_json(read_regular(path, MAX_BYTES), str(path))
    if not isinstance(value, dict) or (value.get("format"), value.get("version")) != (FORMAT, VERSION):
        raise InputError(f"{path} holds no verdicts of version {VERSION}: give what `saev probe test` printed")
    found = _some(value, str(path), ("sae", "hypotheses"))
    verdicts = [_verdict(one, f"{path}: hypotheses[{number}]") for number, one in enumerate(found.array("hypotheses"))]
    return Report(path.parent, found.text("sae"), dict(verdicts))


def check_reports(reports: Iterable[Report | Interventions], saes: Mapping[str, SparseAutoencoder]) -> None:
    """Raise InputError for the first report, or intervention, of another SAE or of latents that it does not have."""
    digests = {sae_digest(sae): sae for sae in saes.values()} if (reports := list(reports)) else {}
    for report in reports:
        if report.sae not in digests:
            raise InputError(
                f"{report.directory} is a report on the SAE {report.sae}, which is none of these SAEs "
                f"({', '.join(digests)}): leave it out, or give that SAE"
            )
        last, d_sae = max(report.latents, default=0), digests[report.sae].d_sae
        if last >= d_sae:
            raise InputError(f"{report.directory} is on latent {last}: the SAE has latents 0 to {d_sae - 1}")


def verdicts_for(sae: SparseAutoencoder, reports: Sequence[Report], gallery: Path) -> list[Verdict]:
    """The verdicts on latents of an SAE, the clearest first, with links for a gallery that lies in a directory."""
    if not reports:
        return []
    digest = sae_digest(sae)
    found = [
        replace(one, link=_link(report.directory, id, gallery))
        for report in reports
        if report.sae == digest
        for id, one in report.verdicts.items()
    ]
    return sorted(found, key=lambda one: (STANDINGS.index(one.standing), one.circular))


def _verdict(value: object, where: str) -> tuple[str, Verdict]:
    found = _some(value, where, (*_TEXTS, *_NUMBERS, *_OTHERS))
    latents = _some(found.mapping("latents"), f"{where}: latents", ("any", "unless"))
    interval = found.numbers("interval")
    if len(interval) != 2:
        raise InputError(f"{where}: 'interval' must be two numbers, found {len(interval)}")
    some, unless = (latents.integers(key, len(latents.array(key))) for key in ("any", "unless"))
    verdict = found.choice("verdict", STANDINGS[:-1])
    return found.text("id"), Verdict(
        standing=STANDINGS[-1] if found.boolean("exploratory") else verdict,
        claim=f"{found.text('claim')}: {found.text('text')}",
        any=some,
        unless=unless,
        effect=found.number("effect"),
        interval=(interval[0], interval[1]),
        p=found.number("p_corrected"),
        n=found.integer("n"),
        reason=found.text("reason"),
        circular=found.optional_text("circular") is not None,
    )


def _some(value: object, where: str, keys: Sequence[str]) -> JsonObject:
    """Some of the fields of an object, all of which must be there."""
    if isinstance(value, dict):
        value = {key: one for key, one in value.items() if key in keys}
    return JsonObject(value, where, keys)


def _link(report: Path, id: str, gallery: Path) -> str | None:
    """Where the report says more of a hypothesis: a path from the gallery on, where there is one; None without page."""
    page = report / PAGE_FILE
    return f"{address(page, gallery)}#hypothesis-{quote(id, safe='')}" if page.is_file() else None
