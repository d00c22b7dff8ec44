"""A Ghostscript that does nothing but leave a mark when it is started, and a picture that asks for it."""

import io
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image


def eps() -> bytes:
    """An EPS, as Pillow writes it."""
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(out, "EPS")
    assert out.getvalue().startswith(b"%!PS-Adobe-3.0 EPSF-3.0")
    return out.getvalue()


def put_first_in_path(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Put it there; returns the file that is there once it was started."""
    mark, program = folder / "started", folder / "gs"
    program.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    program.chmod(0o755)
    patch.setenv("PATH", str(folder), prepend=":")
    patch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow looks for it once.
    with pytest.raises(Exception, match="gs"):
        Image.open(io.BytesIO(eps())).load()
    assert mark.exists(), "Pillow itself does not start it"
    mark.unlink()
    return mark
