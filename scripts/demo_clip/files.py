"""The trained CLIP as the files that open_clip reads, and checkpoints of a run."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from demo_clip.towers import MEAN, STD
from demo_clip.training import Training
from demo_clip.vocabulary import BPE_FILE, write_bpe


def export(training: Training, out: Path) -> None:
    """Write the weights as float16, the description (its BPE file is named relative to it), and the BPE file."""
    out.mkdir(parents=True, exist_ok=True)
    write_bpe(out / BPE_FILE)
    (out / "open_clip_config.json").write_text(json.dumps(_description(training.config), indent=2) + "\n")
    tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in training.clip.state_dict().items()}
    save_file(tensors, out / "open_clip_model.safetensors")


def save(training: Training, path: Path) -> None:
    """Replace the checkpoint in one step."""
    part = path.with_suffix(".part")
    torch.save(training.state(), part)
    part.replace(path)


def resume(training: Training, path: Path) -> None:
    """Go on from a checkpoint, if there is one."""
    if path.is_file():
        training.load(torch.load(path, weights_only=True))


def _description(config: dict[str, Any]) -> dict[str, Any]:
    text = {**config["text_cfg"], "tokenizer_kwargs": {"bpe_path": BPE_FILE}}
    preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "squash"}
    return {"model_cfg": {**config, "text_cfg": text}, "preprocess_cfg": preprocess}
