"""Renders the latents of a trained SAE."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from saev.callbacks.recorded_pictures import RecordedPictures
from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.shards.loading.selection import TokenSelection, random_subset
from saev.viz import (
    Gallery,
    LatentExample,
    LatentPage,
    LatentSurvey,
    Spots,
    image_grid,
    overlay,
    write_gallery,
)

CODES_BYTES = 2**28  # Bound of the dense codes of one batch of images.


class TrainedModel(Protocol):
    """The part of the LightningModule that is rendered."""

    @property
    def saes(self) -> dict[str, SparseAutoencoder]:
        """The SAEs by name."""

    def whole_saes(self) -> dict[str, SparseAutoencoder]:
        """The SAEs with all latents, for process 0; all processes call it."""


class TokenData(Protocol):
    """The part of the data module that is looked at."""

    train_tokens: list[TokenSelection]
    all_tokens: list[TokenSelection]


class FeatureVisualizer(lightning.Callback):
    """Makes ``features/<name>/index.html`` at the end of `saev fit` and `saev test`, and grids in TensorBoard.

    One pass over the images gathers the frequency, mean and largest value of every latent and its top images; a
    second one over the top images of the rendered latents gathers their heatmaps. After `fit` these are the
    training images, after `test` all images of its shards; of several shard directories the first one's. Patches whose
    labels are ignored in training are looked at, too.

    Args:
        top_k: Images shown for a latent.
        n_latents: Latents that get a page, a random choice among those that fire; -1 for all that fire.
        include_latents: Latents that get a page in any case.
        n_images: Upper bound of the images looked at, a random choice.
        n_tensorboard: Latents whose images go to TensorBoard.
        seed: Fixes the random choices.
    """

    def __init__(
        self,
        top_k: int = 16,
        n_latents: int = 400,
        include_latents: list[int] | None = None,
        n_images: int = 50_000,
        n_tensorboard: int = 8,
        seed: int = 0,
    ) -> None:
        if top_k < 1 or n_images < 1:
            raise InputError(f"top_k={top_k} and n_images={n_images} must be 1 or more")
        if n_latents < -1 or n_tensorboard < 0:
            raise InputError(f"n_latents={n_latents} must be -1 (all) or more, n_tensorboard={n_tensorboard} 0 or more")
        self._top_k = top_k
        self._n_latents = n_latents
        self._include = include_latents or []
        self._n_images = n_images
        self._n_tensorboard = n_tensorboard
        self._seed = seed

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Look at include_latents now and not after hours of training.

        Raises:
            InputError: If the SAE has no such latent.
        """
        d_sae = min(sae.d_sae for sae in cast(TrainedModel, pl_module).saes.values())
        unknown = [latent for latent in self._include if not 0 <= latent < d_sae]
        if unknown:
            raise InputError(f"include_latents {unknown}: the SAE has latents 0 to {d_sae - 1}")

    @override
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Render on the training images."""
        data = cast(TokenData, trainer.datamodule)  # type: ignore[attr-defined]
        self._render_all(trainer, cast(TrainedModel, pl_module).whole_saes(), data.train_tokens)

    @override
    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Render on all images of the shards, also where the metrics are of a part of them."""
        data = cast(TokenData, trainer.datamodule)  # type: ignore[attr-defined]
        self._render_all(trainer, cast(TrainedModel, pl_module).whole_saes(), data.all_tokens)

    def _render_all(
        self, trainer: lightning.Trainer, saes: dict[str, SparseAutoencoder], data: list[TokenSelection]
    ) -> None:
        if trainer.is_global_zero:
            tokens = data[0]
            if len(data) > 1:
                print(f"the gallery shows the first of {len(data)} data sets: {tokens.reader.path}", file=sys.stderr)
            pictures = RecordedPictures(tokens.reader)
            for name, sae in saes.items():
                self._render(trainer, name, sae.eval(), tokens, pictures)
            pictures.warn_of_faults()
        trainer.strategy.barrier()

    def _render(
        self,
        trainer: lightning.Trainer,
        name: str,
        sae: SparseAutoencoder,
        tokens: TokenSelection,
        pictures: RecordedPictures,
    ) -> None:
        gallery = self.gallery(name, sae, tokens)
        shown = sorted({example.image_id for page in gallery.pages for example in page.examples})
        drawn = (pictures[i] for i in tqdm(shown, desc="drawing", unit=" images"))
        write_gallery(Path(trainer.default_root_dir) / "features" / name, gallery, drawn)
        self._to_tensorboard(trainer, name, gallery, pictures)

    @torch.no_grad()
    def gallery(self, name: str, sae: SparseAutoencoder, tokens: TokenSelection) -> Gallery:
        """The page's contents for an SAE on tokens, except for the pictures."""
        tokens = replace(tokens, kept=None).subset(self._n_images, self._seed)
        survey = LatentSurvey(sae.d_sae, _spots(tokens), self._top_k, seed=self._seed)
        for image_ids, f_bts in encoded(sae, tokens, "surveying"):
            survey.update(f_bts, image_ids)
        latents = self._choose(survey)
        return Gallery(
            title=name,
            facts=_facts(sae, tokens),
            frequency=survey.moments.frequency.numpy(),
            mean_value=survey.moments.mean_value.numpy(),
            max_value=survey.moments.max_value.numpy(),
            pages=_pages(sae, tokens, survey, latents),
            grid=tokens.reader.layout.tokens.grid,
        )

    def _choose(self, survey: LatentSurvey) -> list[int]:
        """The latents that get a page, ascending."""
        alive = survey.moments.fires.nonzero().squeeze(-1).numpy()
        n = len(alive) if self._n_latents < 0 else self._n_latents
        chosen = alive[random_subset(len(alive), n, self._seed)]
        return sorted({*chosen.tolist(), *self._include})

    def _to_tensorboard(
        self, trainer: lightning.Trainer, name: str, gallery: Gallery, pictures: RecordedPictures
    ) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        logger = next((logger for logger in loggers if logger.version == name), loggers[0] if loggers else None)
        if logger is None:
            return
        for page in gallery.pages[: self._n_tensorboard]:
            top = max((example.value for example in page.examples), default=1.0)
            shown = [overlay(pictures[e.image_id].view, e.patches, top) for e in page.examples]
            if shown:
                grid = np.asarray(image_grid(shown, n_columns=4))
                logger.experiment.add_image(f"latents/{page.index}", grid, trainer.global_step, dataformats="HWC")


def encoded(sae: SparseAutoencoder, tokens: TokenSelection, what: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Image ids (b,) and codes (b, t, s) of all images, in batches whose codes stay within `CODES_BYTES`."""
    per_batch = max(1, CODES_BYTES // (4 * sae.d_sae * len(tokens.positions)))
    starts = range(0, len(tokens.examples), per_batch)
    for start in tqdm(starts, desc=what, unit=" batches"):
        examples = tokens.examples[start : start + per_batch]
        acts = torch.cat(list(tokens.read(examples)))
        yield torch.from_numpy(examples), sae.encode(acts.to(sae.mean_d.device))


def _pages(
    sae: SparseAutoencoder, tokens: TokenSelection, survey: LatentSurvey, latents: list[int]
) -> list[LatentPage]:
    """Top images with heatmaps of the chosen latents."""
    layout = tokens.reader.layout.tokens
    images_lk = survey.top["patch"].images[latents].numpy()
    values_lk = survey.top["patch"].values[latents].numpy()
    maps = np.zeros((*images_lk.shape, *layout.grid), dtype=np.float32)
    shown = replace(tokens, examples=np.unique(images_lk[images_lk >= 0]))
    patches = _patch_slice(tokens)
    if len(shown.examples):
        for image_ids, f_bts in encoded(sae, shown, "heatmaps"):
            f_bpl = f_bts[:, patches, latents].cpu().numpy()
            for image, f_pl in zip(image_ids.tolist(), f_bpl, strict=True):
                rows, places = np.nonzero(images_lk == image)
                if f_pl.size:
                    maps[rows, places] = f_pl.T[rows].reshape(-1, *layout.grid)
    return [
        LatentPage(latent, [LatentExample(int(i), float(v), m) for i, v, m in zip(*row, strict=True) if i >= 0])
        for latent, *row in zip(latents, images_lk, values_lk, maps, strict=True)
    ]


def _patch_slice(tokens: TokenSelection) -> slice:
    """Where the patches stand among the selected positions; empty where none are selected."""
    content = tokens.reader.layout.tokens.positions("content")
    start = max(content.start, tokens.positions.start) - tokens.positions.start
    return slice(start, len(tokens.positions) if tokens.positions.stop >= content.stop else start)


def _spots(tokens: TokenSelection) -> Spots:
    """What stands at which of the selected positions."""
    has_cls = tokens.reader.layout.tokens.cls and tokens.positions.start == 0
    n = len(tokens.positions)
    return Spots(n, range(n)[_patch_slice(tokens)], 0 if has_cls else None)


def _facts(sae: SparseAutoencoder, tokens: TokenSelection) -> dict[str, str]:
    """What stands at the top of the page."""
    metadata = tokens.reader.metadata
    return {
        "model": f"{metadata.family} {metadata.ckpt}",
        "layer": " + ".join(str(reader.manifest.recording.layer) for reader in tokens.readers),
        "latents": f"{sae.d_sae:,}",
        "images": f"{len(tokens.examples):,}",
        "tokens": f"{tokens.n_tokens:,}",
    }
