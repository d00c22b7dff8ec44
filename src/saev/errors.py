"""The one error that users see as a single line, and texts that are safe to show."""

import sys
from typing import Final

LONGEST_LINE: Final = 600
LONGEST_WORD: Final = 200
"""Of paths and values."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what is wrong, where, and what to do. The command line prints it alone, without a
    traceback, and exits with status 1; every other exception is a bug of ours and keeps its traceback.
    """


class WrongArgument(InputError):  # noqa: N818 - it is the input
    """An argument that a class cannot use; a command that has it as an option says it under the option's name.

    >>> str(WrongArgument("n_scenes", "0: give a number from 1 to 9"))
    'n_scenes 0: give a number from 1 to 9'

    Args:
        name: The argument.
        fault: Its value, and what is wrong with it.
    """

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(f"{name} {fault}")


def printable(text: str) -> str:
    r"""Text from files on one line, with all that could steer a terminal or fool a reader escaped.

    >>> printable("a\x1b[2Jb\n\u202ec")
    'a\\x1b[2Jb\\n\\u202ec'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def tell(text: str) -> None:
    """Print a line for the user to standard error, escaped as `printable` does, above progress bars at work."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(printable(text), file=sys.stderr, flush=True)
    else:
        tqdm.tqdm.write(printable(text), file=sys.stderr)


def reason(error: BaseException) -> str:
    """Why something failed, as the system or the exception says; never empty."""
    return (error.strerror if isinstance(error, OSError) else None) or one_line(error)


def shortened(text: str) -> str:
    """A line of at most 600 characters, without the middle of what is too long: the ends say most.

    >>> shortened("a" * 500 + " is too long") == "a" * 133 + "…" + "a" * 66 + " is too long"
    True
    """
    return _without_middle(short_words(text), LONGEST_LINE)


def short_words(text: str) -> str:
    """A text without the middle of words of over 200 characters."""
    return " ".join(_without_middle(word, LONGEST_WORD) for word in text.split(" "))


def _without_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}…{text[len(text) - tail :]}"


def one_line(error: BaseException) -> str:
    """An exception's message on one line of at most 160 characters; the name of its class where it has none."""
    text = " ".join(str(error).split())
    return (text if len(text) <= 160 else f"{text[:159]}…") or type(error).__name__
