"""Pictures through a ViT with its activations replaced by an SAE's reconstructions.

Shape suffixes: b = images, c = images of a chunk, t = tokens of an image, p = tokens that the SAE takes, d = d_model,
s = d_sae, n = all images, e = width of the final embedding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from saev.artifacts import About
from saev.datamodules.images import check_shared_files
from saev.latents.encoding import images_at_once
from saev.metrics import CodeStatistics, Monosemanticity, ReconstructionQuality
from saev.nn import SparseAutoencoder
from saev.splicing.recorded_backbone import RecordedTokens
from saev.splicing.splice import ORIGINAL, spliced_embeddings, standard_variants
from saev.vit.backbone import Backbone
from saev.vit.dataset import ImageDataset
from saev.vit.images import ImageSource


@final
class Pictures:
    """Batches of some of a source's pictures.

    Args:
        source: The pictures.
        backbone: The ViT that they are prepared for.
        batch_size: Pictures of a batch.
        num_workers: Processes that decode.
    """

    def __init__(self, source: ImageSource, backbone: Backbone, batch_size: int, num_workers: int) -> None:
        self._items = ImageDataset(source, backbone.preprocessing, backbone.grid)
        self._batch_size, self._num_workers = batch_size, num_workers

    def batches(self, chosen: Sequence[int], what: str) -> Iterator[Tensor]:
        """The chosen ones (b, 3, h, w), in their order, with a progress bar."""
        if self._num_workers:
            check_shared_files(self._batch_size, self._items.preprocessing)
        loader: DataLoader[dict[str, Any]] = DataLoader(
            Subset(self._items, chosen),
            self._batch_size,
            num_workers=self._num_workers,
            # Forked workers start at once; they never touch the GPU.
            multiprocessing_context="fork" if self._num_workers else None,
        )
        with tqdm(total=len(chosen), desc=what, unit=" images") as bar:
            for batch in loader:
                yield batch["image"]
                bar.update(len(batch["image"]))


@final
@dataclass(frozen=True)
class Measured:
    """What a pass over pictures gave."""

    embeddings: dict[str, Tensor]
    """Final embeddings (n, e) of each variant, by name."""
    values: dict[str, float]
    """Reconstruction, codes and monosemanticity, by name."""
    histogram: list[int]
    """Numbers of latents by frequency."""


@final
class SplicedPass:
    """An SAE inside the ViT that it was trained on.

    Args:
        sae: The SAE.
        about: What it was trained on.
        backbone: That ViT.
        device: Where to compute.

    Raises:
        InputError: If the SAE's config.json names a layer, tokens or a width that the ViT does not have.
    """

    def __init__(self, sae: SparseAutoencoder, about: About, backbone: Backbone, device: torch.device) -> None:
        self._tokens = RecordedTokens.of(sae, about, backbone)
        self.layer = self._tokens.layer
        # What stands for a whole image at this layer: the CLS token, or the mean patch.
        self._whole = range(1) if backbone.cls else self._tokens.layout.positions("content")
        self._sae, self._backbone, self._device = sae.to(device), backbone.to(device), device
        self._dtype = next(backbone.parameters()).dtype

    @torch.no_grad()
    def mean(self, batches: Iterator[Tensor]) -> Tensor:
        """Mean (d,) of all tokens that the SAE would replace."""
        total_d, n = torch.zeros(self._backbone.d_model, dtype=torch.float64, device=self._device), 0
        for images in batches:
            x_btd = self._backbone(self._input(images), [self.layer])[self.layer]
            x_bpd = self._tokens.among(x_btd)
            total_d += x_bpd.double().sum((0, 1))
            n += x_bpd.shape[0] * x_bpd.shape[1]
        return (total_d / n).float()

    @torch.no_grad()
    def measure(self, batches: Iterator[Tensor], mean_d: Tensor) -> Measured:
        """Embed pictures with each of the `standard_variants`, and gather what the SAE does on their tokens."""
        quality = ReconstructionQuality(self._sae.d_in).to(self._device)
        codes = CodeStatistics(self._sae.d_sae).to(self._device)
        mono, mono_final = (Monosemanticity(self._sae.d_sae, self._sae.d_in).to(self._device) for _ in range(2))
        largest: list[Tensor] = []

        def variants(x_btd: Tensor) -> dict[str, Tensor]:
            x_hat_bpd, f_bs = self._reconstruct(x_btd, codes)
            largest.append(f_bs)
            quality.update(self._tokens.among(x_btd).flatten(0, 1), x_hat_bpd.flatten(0, 1))
            mono.update(f_bs, x_btd[:, self._whole.start : self._whole.stop].float().mean(1))
            return standard_variants(x_btd, self._tokens.positions, x_hat_bpd, mean_d)

        found: dict[str, list[Tensor]] = {}
        for images in batches:
            embedded = spliced_embeddings(self._backbone, self._input(images), self.layer, variants)
            mono_final.update(largest.pop(), embedded[ORIGINAL])
            for name, embedding_be in embedded.items():
                found.setdefault(name, []).append(embedding_be.float().cpu())
        values = quality.compute() | codes.compute() | mono.compute()
        final = mono_final.compute()
        # Which latents fired is the same.
        values |= {f"{name}_final": final[name] for name in final if name != "monosemanticity_scored"}
        embeddings = {name: torch.cat(parts) for name, parts in found.items()}
        return Measured(embeddings, {name: value.item() for name, value in values.items()}, codes.histogram())

    def _reconstruct(self, x_btd: Tensor, codes: CodeStatistics) -> tuple[Tensor, Tensor]:
        """Reconstructions (b, p, d), and for each image the largest code of each latent (b, s)."""
        x_hat, largest = [], []
        for x_ctd in torch.split(x_btd, images_at_once(self._sae.d_sae, len(self._tokens.positions))):
            f_cps = self._sae.encode(self._tokens.among(x_ctd))
            codes.update(f_cps.flatten(0, 1))
            x_hat.append(self._sae.decode(f_cps))
            largest.append(f_cps.amax(1))
        return torch.cat(x_hat), torch.cat(largest)

    def _input(self, images: Tensor) -> Tensor:
        return images.to(self._device, self._dtype)
