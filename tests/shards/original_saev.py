"""Directories of the original saev, by the descriptions of protocol 2.1 and of version 0.1.0, with numpy alone."""

import base64
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEYS = {
    "family", "ckpt", "layers", "content_tokens_per_example", "cls_token", "d_model", "n_examples",
    "max_tokens_per_shard", "data", "dataset", "pixel_agg", "dtype", "protocol",
}  # fmt: skip
Floats = NDArray[np.float32]


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._target),)


def exploded(directory: Path) -> Path:
    """What the pickle in the metadata of a directory makes when someone loads it."""
    return directory.parent / f"{directory.name}-exploded"


def make_acts(n_examples: int = 7, n_layers: int = 3, n_tokens: int = 5, d_model: int = 4, seed: int = 0) -> Floats:
    """Activations (n, L, T, D)."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_examples, n_layers, n_tokens, d_model), dtype=np.float32)


def write_original(
    directory: Path,
    acts_nltd: Floats,
    *,
    layers: list[int] | None = None,
    cls: bool = True,
    per_shard: int = 3,
    spare_tokens: int = 0,
    empty_shard: bool = False,
    labels: NDArray[np.uint8] | None = None,
    without: tuple[str, ...] = (),
    oldest: bool = False,
    **changes: object,
) -> Path:
    """A directory as the original saev writes it, with a bomb for a pickle.

    Args:
        directory: Made new.
        acts_nltd: Activations (examples, layers, tokens, width).
        layers: Their numbers; 0, 1, ... by default.
        cls: Whether the first token is a CLS token.
        per_shard: Examples of a file.
        spare_tokens: What max_tokens_per_shard has beyond whole examples.
        empty_shard: List a file without examples at the end.
        labels: (examples, content tokens), if any.
        without: Keys left out of the metadata.
        oldest: As version 0.1.0 writes it: other keys, a text for a pickle, and no list of shards.
        changes: Other values in the metadata.
    """
    n, n_layers, n_tokens, d_model = acts_nltd.shape
    directory.mkdir(parents=True)
    metadata = {
        "family": "clip",
        "ckpt": "ViT-B-32/openai",
        "layers": list(range(n_layers)) if layers is None else layers,
        "content_tokens_per_example": n_tokens - cls,
        "cls_token": cls,
        "d_model": d_model,
        "n_examples": n,
        "max_tokens_per_shard": per_shard * n_layers * n_tokens + spare_tokens,
        "data": base64.b64encode(pickle.dumps(Bomb(exploded(directory)))).decode(),
        "dataset": "/their/pictures",
        "pixel_agg": "majority",
        "dtype": "float32",
        "protocol": "2.1",
        **changes,
    }
    if oldest:
        metadata = as_the_oldest(metadata) | changes
    metadata = {key: value for key, value in metadata.items() if key not in without}
    (directory / "metadata.json").write_text(json.dumps(metadata, indent=4))
    rows = []
    for shard in range(-(-n // per_shard) + empty_shard):
        whole = np.zeros((per_shard, *acts_nltd.shape[1:]), dtype="<f4")
        part = acts_nltd[shard * per_shard : (shard + 1) * per_shard]
        whole[: len(part)] = part
        rows.append({"name": f"acts{shard:06d}.bin", "n_examples": len(part)})
        whole.tofile(directory / f"acts{shard:06d}.bin")
    if not oldest:
        (directory / "shards.json").write_text(json.dumps(rows))
    if labels is not None:
        labels.tofile(directory / "labels.bin")
    return directory


def as_the_oldest(metadata: dict[str, Any]) -> dict[str, Any]:
    """The keys of version 0.1.0, which its reader takes and no others."""
    return {
        "vit_family": metadata["family"],
        "vit_ckpt": metadata["ckpt"],
        "layers": metadata["layers"],
        "n_patches_per_img": metadata["content_tokens_per_example"],
        "cls_token": metadata["cls_token"],
        "d_vit": metadata["d_model"],
        "seed": 42,
        "n_imgs": metadata["n_examples"],
        "n_patches_per_shard": metadata["max_tokens_per_shard"],
        "data": "ImageFolderDataset(root='/their/pictures')",
    }


def read_like_the_original(directory: Path) -> tuple[dict[str, Any], Floats]:
    """Metadata and activations (n, L, T, D), as strictly as the original reads them."""
    assert [path.name for path in directory.parents][:2] == ["shards", "saev"]
    meta = json.loads((directory / "metadata.json").read_text())
    assert set(meta) == KEYS
    assert (meta["dtype"], meta["protocol"]) == ("float32", "2.1")
    n_tokens, n_layers = meta["content_tokens_per_example"] + meta["cls_token"], len(meta["layers"])
    per_shard = meta["max_tokens_per_shard"] // (n_tokens * n_layers)
    listed = json.loads((directory / "shards.json").read_text())
    assert [set(shard) for shard in listed] == [{"name", "n_examples"}] * len(listed)
    assert [shard["name"] for shard in listed] == [f"acts{i:06d}.bin" for i in range(len(listed))]
    assert len(listed) == -(-meta["n_examples"] // per_shard)
    parts = []
    for shard in listed:
        acts = np.fromfile(directory / shard["name"], dtype="<f4")
        acts = acts.reshape(per_shard, n_layers, n_tokens, meta["d_model"])
        assert not acts[shard["n_examples"] :].any()
        parts.append(acts[: shard["n_examples"]])
    return meta, np.concatenate(parts)


def read_labels_like_the_original(directory: Path) -> NDArray[np.uint8]:
    """Patch labels (n, content tokens)."""
    meta = json.loads((directory / "metadata.json").read_text())
    labels = np.fromfile(directory / "labels.bin", dtype=np.uint8)
    return labels.reshape(meta["n_examples"], meta["content_tokens_per_example"])
