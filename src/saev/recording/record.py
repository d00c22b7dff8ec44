"""Recording in one call, in this process."""

from collections.abc import Sequence
from pathlib import Path

import torch

from saev.device import chosen_device
from saev.errors import InputError
from saev.progress import progress_bar
from saev.recording.layers import LayerWriters
from saev.recording.plan import make_plan
from saev.vit.backbone import PRECISIONS, Backbone
from saev.vit.dataset import ImageDataset, image_loader
from saev.vit.images import ImageFolder, ImageSource


def record(
    images: ImageSource | str | Path,
    backbone: Backbone,
    layers: int | Sequence[int],
    out: str | Path,
    *,
    dtype: str = "float32",
    n_patches_per_shard: int = 2_400_000,
    batch_size: int = 64,
    num_workers: int = 0,
    device: str | torch.device | None = None,
) -> list[Path]:
    """Record the activations of a frozen backbone on disk: the residual stream after some blocks, all tokens.

    It gives the same bytes as `saev predict` with the same options and, like it, goes on from whole shards when it is
    called again after an interruption. What is recorded already is left alone.

    Args:
        images: The pictures, or a folder whose first level of folders names their classes.
        backbone: From `saev.load_backbone`; moved to the device. Its dtype, float32 or bfloat16, is the precision of
            the pass.
        layers: Blocks, from 0; negative numbers count from the end.
        out: Directory that the shard directories are made in, one a layer.
        dtype: Of the stored activations: float32, bfloat16, float16 or int8 (with a scale for each token).
        n_patches_per_shard: Upper bound of the tokens of a shard file.
        batch_size: Images of a forward pass.
        num_workers: Processes that decode, forked; 0 decodes in this one.
        device: Where the pass runs; by default a GPU if there is one.

    Returns:
        The directories, one for each layer that was given, in that order.

    Raises:
        InputError: If a picture cannot be read, a layer does not exist, the disk is too small, or another run records
            the same thing.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = record(DemoScenes(2), backbone, [-2], f"{directory}/shards")
    ...     x_btd = saev.open_shards(shards).read(0, 2)
    >>> shards.name.rpartition("-")[0], x_btd.shape
    ('timm-test_vit-layer04', torch.Size([2, 101, 64]))
    """
    source = images if isinstance(images, ImageSource) else ImageFolder(Path(images))
    source.check_known()
    computed = next(backbone.parameters()).dtype
    precision = next((name for name, dtype in PRECISIONS.items() if dtype == computed), None)
    if precision is None:
        raise InputError(f"the backbone computes in {computed}: give {' or '.join(PRECISIONS)}")
    if batch_size < 1 or num_workers < 0:
        raise InputError(f"batch_size={batch_size} must be 1 or more, num_workers={num_workers} 0 or more")
    given = [layers] if isinstance(layers, int) else list(layers)
    numbers = backbone.resolve_layers(given)
    plan = make_plan(
        source, backbone, numbers, precision=precision, dump_to=Path(out), dtype=dtype, max_tokens=n_patches_per_shard
    )
    found = dict(plan.finished)
    if plan.pending:
        backbone.to(chosen_device(None if device is None else str(device)))
        writers = LayerWriters(plan)
        try:
            missing = writers.claim()
            spans = writers.open(missing, plan.missing())
            items, weight = ImageDataset(source, backbone.preprocessing, backbone.grid), next(backbone.parameters())
            with (
                torch.inference_mode(),
                progress_bar(total=sum(map(len, spans)), desc="recording", unit=" images") as bar,
            ):
                for batch in image_loader(items, spans, batch_size, num_workers):
                    acts = backbone(batch["image"].to(weight.device, weight.dtype), sorted(plan.pending))
                    writers.append(source, batch, acts)
                    bar.update(len(batch["image"]))
            writers.finish()
            found |= writers.publish()
            writers.leave()
        except BaseException:
            writers.abort(says=True)
            raise
    return [found[number] for layer in given for number in backbone.resolve_layers([layer])]
