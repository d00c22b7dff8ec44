"""Names that would steer a terminal: escaped wherever they are told, whole where they are results."""

import shutil
import signal
import warnings
from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, only
from tests.cli.recording import folder, options, recorded, write_pictures
from tests.cli.zygote import finish, start
from tests.shards.original_saev import make_acts, write_original

from saev.cli.main import main
from saev.cli.terminal import escape_warnings

Capture = pytest.CaptureFixture[str]
EVIL = "a\x1b]0;$owned\x07b"
"""Sets the title of a window."""
SHOWN = "a\\x1b]0;$owned\\x07b"


def escaped(text: str) -> bool:
    """Whether there is nothing in a text but lines, and the carriage returns and cursor movements of progress bars."""
    return all(char.isprintable() or char in "\r\n" for char in text.replace("\x1b[A", ""))


def test_predict_escapes_what_it_tells_and_prints_usable_directories(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / EVIL / "p", 2)
    (root / f"{EVIL}.png").write_bytes(b"")
    out = tmp_path / EVIL / "out"
    argv = options(out, folder(root), "--data.on_bad_image=skip", "--trainer.limit_predict_batches=1")[:-1]
    found = start(argv)
    stdout, stderr = found.communicate(timeout=120)
    assert found.returncode == 0, stderr
    assert Path(stdout.removesuffix("\n")) == only(out, "*")
    assert f"left out: picture '{SHOWN}.png' is empty" in stderr
    assert escaped(stderr)


def test_a_plan_and_what_is_there_already_are_escaped(tmp_path: Path, capsys: Capture) -> None:
    root = write_pictures(tmp_path / EVIL / "p", 2)
    argv = options(tmp_path / EVIL / "out", folder(root))
    assert main([*argv, "--writer.dry_run=true"]) == 0
    out, err = capsys.readouterr()
    assert SHOWN in out
    assert escaped(out + err)
    recorded(argv, capsys)
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert f"recorded already: {tmp_path}/{SHOWN}/out" in err
    assert escaped(err)
    assert Path(out.removesuffix("\n")).is_dir()


def test_a_run_below_an_odd_name(tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture) -> None:
    shards = write_original(tmp_path / EVIL / "shards", make_acts(20, 1, 5, 8), ckpt=EVIL)
    run_dir = tmp_path / EVIL / "run"
    assert main(fit_options(shards, run_dir, "--model.sae.d_sae=16", "--data.val_share=0.2")) == 0
    out, err = capsys.readouterr()
    assert out == f"{run_dir}\n"
    assert f"grey tiles; the first: {tmp_path}/{SHOWN}/shards: the original saev" in caplog.text
    assert escaped(err)
    assert main(["test", f"--run_dir={run_dir}"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{run_dir}\n"
    assert f"{SHOWN}/shards trained the SAE: testing on the images that were held out" in err
    assert escaped(err)
    sae = only(run_dir, "saes/*")
    shutil.copytree(sae, sae.with_name(EVIL))
    assert main(["validate", f"--run_dir={run_dir}"]) == 0
    err = capsys.readouterr().err
    assert SHOWN in err
    assert escaped(err)
    assert escaped(caplog.text)


def test_warnings_of_libraries_are_escaped(capsys: Capture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        escape_warnings()
        warnings.warn(f"{EVIL} is odd\nvery", stacklevel=1)
    err = capsys.readouterr().err
    assert f"UserWarning: {SHOWN} is odd\nvery\n" in err
    assert escaped(err)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_after_the_last_word_ends_without_a_traceback(tmp_path: Path, number: str) -> None:
    at_exit = f"import atexit, os, signal; atexit.register(lambda: os.kill(os.getpid(), signal.{number}))"
    status, out, err = finish(start(["shards", "info", str(tmp_path / "nothing")], at_exit))
    assert (status, out) == (-getattr(signal, number), "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("saev shards: error: ")
