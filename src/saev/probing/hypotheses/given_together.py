"""Which options of `saev probe freeze` are given together."""

from collections.abc import Mapping

from saev.errors import InputError


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
