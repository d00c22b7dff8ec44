"""The wheel has all files of the package, also those that are no Python: in a checkout they are there anyway."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="no hatchling, which builds the wheel: install '.[dev]'")
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no checkout of git, which knows the files of the package")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("saev/")}
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/saev"]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    assert packed == {name.removeprefix("src/") for name in listed if (ROOT / name).is_file()}
    assert {"saev/vit/demo_clip/open_clip_model.safetensors", "saev/gallery/assets/index.html"} <= packed
