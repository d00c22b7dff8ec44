"""The one error that users see as a single line."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what is wrong, where, and what to do. The command line prints it alone, without a
    traceback, and exits with status 1; every other exception is a bug of ours and keeps its traceback.
    """
