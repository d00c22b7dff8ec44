"""CLIPs that come with saev, as files of the package: they are had without the network."""

from pathlib import Path
from typing import Any, Final

from saev.vit.refusals import MODEL, Options, unknown

PACKAGED: Final = "saev-demo/"
"""What their names begin with."""
_FOLDERS: Final = {"scenes": "demo_clip"}
_CONFIG, _WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


def config_of(ckpt: str, options: Options = MODEL) -> Path:
    """The file that says how open_clip builds such a CLIP, as the hub has it of others.

    Raises:
        InputError: If no CLIP of this name comes with saev.
    """
    return _folder(ckpt, options) / _CONFIG


def weights_of(ckpt: str, options: Options = MODEL) -> Path:
    """The file of its weights.

    Raises:
        InputError: As `config_of`.
    """
    return _folder(ckpt, options) / _WEIGHTS


def is_packaged(ckpt: str) -> bool:
    """Whether a CLIP of this name comes with saev."""
    return ckpt.startswith(PACKAGED) and ckpt.removeprefix(PACKAGED) in _FOLDERS


def with_own_words(model: dict[str, Any], config: Path) -> dict[str, Any]:
    """A configuration whose tokenizer is found from any working directory: the file of its words lies beside it."""
    text = dict(model["text_cfg"])
    words = text["tokenizer_kwargs"]
    text["tokenizer_kwargs"] = {**words, "bpe_path": str(config.with_name(words["bpe_path"]))}
    return {**model, "text_cfg": text}


def _folder(ckpt: str, options: Options) -> Path:
    name = ckpt.removeprefix(PACKAGED)
    if name not in _FOLDERS:
        raise unknown("CLIP of saev", ckpt, [f"{PACKAGED}{known}" for known in _FOLDERS], options)
    return Path(__file__).parent / _FOLDERS[name]
