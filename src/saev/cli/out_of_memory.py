"""Memory that runs out in the middle of the work, as one line."""

import errno
from typing import Final

from saev.errors import one_line

# What allocators of torch say, and libraries that run on a GPU.
_SAID: Final = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
_ADVICE: Final = {
    "fit": "give a smaller --data.batch_size, fewer latents (--model.sae.d_sae), fewer SAEs of a sweep at a time, "
    "--trainer.precision bf16-mixed, or divide the latents among processes "
    "(--model.shard_latents true --trainer.devices N)",
    "predict": "give a smaller --data.batch_size, fewer --data.num_workers or a smaller --model.image_size",
    "validate": "give a smaller --data.batch_size",
    "test": "give a smaller --data.batch_size, and the galleries less (--visualizer.top_k, --visualizer.n_latents)",
    "render": "give the galleries less: --visualizer.top_k, --visualizer.n_latents, --visualizer.n_images",
    "downstream": "give a smaller --batch_size or fewer --n_images, or another --device",
    "view": "give fewer --n_images, or another --device",
}


def out_of_memory(command: str, error: BaseException) -> str | None:
    """What a user can do about an error, if it is one of memory.

    Args:
        command: The command of saev that raised it.
        error: Any error.
    """
    text = str(error)
    is_ours = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not is_ours and not (isinstance(error, RuntimeError) and any(said in text for said in _SAID)):
        return None
    advice = _ADVICE.get(command, "free some, or work on another machine")
    return f"memory ran out ({one_line(error)}): {advice}"
