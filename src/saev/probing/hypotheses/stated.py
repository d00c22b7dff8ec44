"""What a command line of `saev probe freeze` states: options that go together, and one hypothesis."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents, default_id
from saev.probing.pictures.attributes import Source


def check_one_of(sources: Mapping[str, object]) -> None:
    """Check that exactly one of the options is given.

    Raises:
        InputError: If none is, or several are.
    """
    given = [name for name, value in sources.items() if value]
    if len(given) != 1:
        raise InputError(f"give one of {', '.join(sources)}: {' and '.join(given) or 'none'} is given")


def check_apart(options: Mapping[str, object], sources: Mapping[str, object], why: str) -> None:
    """Check that none of the options is given with one of the sources.

    Raises:
        InputError: If one is; says why.
    """
    # 0 is given, False and what is empty are not; `in` alone takes 0 for False.
    given = [
        name
        for name, value in options.items()
        if value is not None and value is not False and value not in ("", (), [])
    ]
    source = [name for name, value in sources.items() if value]
    if given and source:
        raise InputError(f"{given[0]} with {source[0]}: {why}, leave it out")


def stated(latents: Latents, *, text: str, attribute: str, does_not_fire: bool, **how: Any) -> Hypothesis:
    """What latents are said to do.

    Args:
        text: The claim in words; by default the attribute's name.
        attribute: SOURCE:NAME, or nothing for what is known in words alone.
        does_not_fire: Whether they are not to fire on it.
        how: `tokens`, `pooling` and `count_above`, as `Hypothesis` has them.

    Raises:
        InputError: If neither attribute nor claim is stated, or its source is unknown, and as `Hypothesis`.
    """
    name = _name(text, attribute)
    return Hypothesis(
        id=default_id(latents.any, latents.unless),
        text=text.strip() or name.name,
        claim="does not fire on" if does_not_fire else "fires on",
        attribute=name,
        latents=latents,
        **how,
    )


def _name(text: str, attribute: str) -> AttributeName:
    if not attribute:
        if not text.strip():
            raise InputError("say what the latents fire on: in words (claim), or as SOURCE:NAME (attribute)")
        return AttributeName("words", text)
    source, _, name = attribute.partition(":")
    known = [one for one in get_args(Source) if one != "words"]
    if source not in known or not name:
        raise InputError(
            f"attribute {attribute!r}: write SOURCE:NAME, such as label:zebra; SOURCE is one of {', '.join(known)}"
        )
    return AttributeName(cast("Source", source), name)
