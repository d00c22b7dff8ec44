"""Byte counts for people."""


def byte_text(n_bytes: int) -> str:
    """A byte count in decimal units.

    >>> byte_text(999), byte_text(999_900), byte_text(7_372_800_000)
    ('999 bytes', '1 MB', '7.37 GB')
    """
    if n_bytes < 1000:
        return f"{n_bytes} bytes"
    value = float(n_bytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:  # what three digits show as less than 1000
            return f"{value:.3g} {unit}"
    return f"{value / 1000:,.2f} TB"
