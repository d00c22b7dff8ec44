"""Damage in shards, before a run or in the middle of one."""

import json
from pathlib import Path
from typing import Any

import lightning
from typing_extensions import override

from saev.errors import InputError


def flip_bit(shards: Path, image: int, token: int = 1) -> None:
    """Flip a bit of the first number of a token of an image; once more, and it is whole again."""
    metadata = json.loads((shards / "metadata.json").read_text())
    n_tokens = metadata["content_tokens_per_example"] + metadata["cls_token"]
    shard, place = divmod(image, json.loads((shards / "shards.json").read_text())[0]["n_examples"])
    path = shards / f"acts{shard:06d}.bin"
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(4 * metadata["d_model"] * (n_tokens * place + token))
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


class SpoilAfterTraining(lightning.Callback):
    """Damages an image when the last step is done, in the first process."""

    def __init__(self, shards: str, image: int) -> None:
        self._shards = Path(shards)
        self._image = image

    @override
    def on_train_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        if trainer.is_global_zero:
            flip_bit(self._shards, self._image)


class SecondFails(lightning.Callback):
    """An error of the input that the second process alone meets, in the middle of training."""

    @override
    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 3:
            raise InputError("the second one fails")
