"""Renders the latents of trained SAEs."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol, cast

import lightning
import torch
import torch.distributed as dist
from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override

from saev.callbacks.feature_board import show_latents
from saev.callbacks.noted_faults import NotesFaults
from saev.callbacks.run_logger import RunLogger, Tolerance
from saev.errors import InputError, tell
from saev.gallery import (
    Namer,
    Rendered,
    RenderOptions,
    Source,
    render_galleries,
    survey_images,
)
from saev.latents.labels import Labels
from saev.latents.pictures import RecordedPictures
from saev.latents.survey import LatentSurvey
from saev.nn import SparseAutoencoder
from saev.nn.processes import said_by_any
from saev.shards.tokens import TokenSelection

UNMADE = "the galleries could not be made (saev render tries again)"
PATIENCE = timedelta(days=2)  # A process that waits for the galleries would give up after half an hour.


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


class FeatureVisualizer(NotesFaults):
    """Makes ``features/<name>/index.html`` at the end of `saev fit` and `saev test`, after `fit` in TensorBoard, too.

    One pass over the images, divided among the processes, gathers statistics, top images, samples, labels and
    neighbours of all latents of all SAEs; a second one over the images that are shown gathers their heatmaps. After
    `fit` these are the training images, after `test` all images of its shards; of several shard directories the first
    one's. Patches whose labels are ignored in training are looked at, too.

    Args:
        top_k: Images shown for a latent, in each order.
        n_latents: Latents that get a page, a random choice among those that fire; -1 for all that fire.
        log_freq_range: Powers of ten: a random choice only of latents whose frequency lies between these.
        log_value_range: The same for the mean value of a latent where it is active.
        include_latents: Latents that get a page in any case.
        sort_by: Which order of pictures comes first: by the strongest patch (patch), by the sum over the patches (img),
            or by the CLS token (cls), where it is among the tokens.
        n_images: Upper bound of the images looked at, a random choice.
        n_picture_pages: Upper bound of the pictures in which one can see what fires where, a random choice.
        namer: CLIP that finds names for latents, such as ViT-B-32/openai. By default none are looked for.
        namer_weights: Its weights from a .safetensors or .pt file instead of the network.
        vocabulary: File of the words that may become names, one a line; by default a list that comes with saev.
        n_tensorboard: Latents whose images go to TensorBoard.
        seed: Fixes the random choices.

    Raises:
        InputError: If a number makes no sense.
    """

    def __init__(
        self,
        top_k: int = 128,
        n_latents: int = 400,
        log_freq_range: tuple[float, float] | None = None,
        log_value_range: tuple[float, float] | None = None,
        include_latents: list[int] | None = None,
        sort_by: Literal["patch", "img", "cls"] = "patch",
        n_images: int = 50_000,
        n_picture_pages: int = 2000,
        namer: str | None = None,
        namer_weights: str | None = None,
        vocabulary: Path | None = None,
        n_tensorboard: int = 8,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._options = RenderOptions(
            top_k=top_k,
            n_latents=n_latents,
            log_freq_range=log_freq_range,
            log_value_range=log_value_range,
            include_latents=tuple(include_latents or ()),
            sort_by=sort_by,
            n_images=n_images,
            n_picture_pages=n_picture_pages,
            namer=namer,
            namer_weights=namer_weights,
            vocabulary=vocabulary,
            seed=seed,
        )
        if n_tensorboard < 0:
            raise InputError(f"n_tensorboard={n_tensorboard} must be 0 or more")
        self._n_tensorboard = n_tensorboard
        self._namer: Namer | None = None

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """See now, and not after hours of training, whether what is asked for is there.

        Raises:
            InputError: If the SAE has no such latents, or the namer cannot be had.
        """
        if stage in ("fit", "test"):
            self._prepare(trainer, cast(TrainedModel, pl_module).saes)

    @override
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Render on the training images.

        What goes wrong is only noted: the SAEs are saved, and those of later parts of a sweep must follow.
        """
        data = cast(TokenData, trainer.datamodule)  # type: ignore[attr-defined]
        with self.noting(UNMADE):
            self._render(trainer, cast(TrainedModel, pl_module).whole_saes(), data.train_tokens)

    @override
    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Render on all images of the shards, also where the metrics are of a part of them."""
        data = cast(TokenData, trainer.datamodule)  # type: ignore[attr-defined]
        self.render(trainer, cast(TrainedModel, pl_module).whole_saes(), data.all_tokens)

    def render(
        self, trainer: lightning.Trainer, saes: dict[str, SparseAutoencoder], data: list[TokenSelection]
    ) -> None:
        """Render SAEs by name; all processes call it, those whose processes divide the latents without any.

        Raises:
            InputError: In all processes, if the galleries could not be made.
        """
        try:
            self._render(trainer, saes, data)
        except InputError as error:
            raise InputError(f"{UNMADE}: {error}") from error

    def _render(
        self, trainer: lightning.Trainer, saes: dict[str, SparseAutoencoder], data: list[TokenSelection]
    ) -> None:
        tokens = data[0]
        if len(data) > 1 and trainer.is_global_zero:
            tell(f"the gallery shows the first of {len(data)} data sets: {tokens.reader.path}")
        ready = {name: sae.eval() for name, sae in saes.items()}
        labels = Labels.of(tokens.reader)
        surveys = self._surveys(trainer, ready, tokens, labels)
        fault = None
        if trainer.is_global_zero:
            try:
                self._draw(trainer, ready, surveys, Source(tokens, RecordedPictures(tokens.reader), labels))
            except (InputError, OSError) as error:
                fault = str(error)
        fault = said_by_any(fault, PATIENCE)
        if fault is not None:
            raise InputError(fault)

    def _draw(
        self,
        trainer: lightning.Trainer,
        saes: dict[str, SparseAutoencoder],
        surveys: dict[str, LatentSurvey],
        source: Source,
    ) -> None:
        if self._namer is not None:
            self._namer.clip.to(trainer.strategy.root_device)
        out = Path(trainer.default_root_dir) / "features"
        for rendered in render_galleries(saes, surveys, source, self._options, out, self._namer):
            self._to_tensorboard(trainer, rendered, source.pictures)
        source.pictures.warn_of_faults()

    def render_alone(
        self, trainer: lightning.Trainer, saes: dict[str, SparseAutoencoder], data: list[TokenSelection]
    ) -> None:
        """Render SAEs by name, without a run of the trainer.

        Raises:
            InputError: If an SAE has no such latents as are asked for, or the namer cannot be had.
        """
        self._prepare(trainer, saes)
        self.render(trainer, {name: sae.to(trainer.strategy.root_device) for name, sae in saes.items()}, data)

    def _prepare(self, trainer: lightning.Trainer, saes: dict[str, SparseAutoencoder]) -> None:
        for sae in saes.values():
            self._options.check_latents(sae.d_sae)
        if trainer.is_global_zero and self._namer is None:
            self._namer = Namer.load(self._options)

    def _surveys(
        self,
        trainer: lightning.Trainer,
        saes: dict[str, SparseAutoencoder],
        tokens: TokenSelection,
        labels: Labels,
    ) -> dict[str, LatentSurvey]:
        """What process 0 is to know of all images: each process looks at its share, if all have the SAEs.

        Raises:
            InputError: In all processes, if one of them could not look at its share.
        """
        all_have_saes = trainer.strategy.reduce_boolean_decision(bool(saes), all=True)
        share = (trainer.global_rank, trainer.world_size) if all_have_saes else (0, 1)
        surveys, fault = {}, None
        try:
            surveys = survey_images(saes, tokens, labels, self._options, *share) if saes else {}
        except InputError as error:
            fault = str(error)
        fault = said_by_any(fault, PATIENCE)
        if fault is not None:
            raise InputError(fault)
        if share[1] > 1:
            for survey in surveys.values():
                _merge_into_first(survey)
        return surveys

    def _to_tensorboard(self, trainer: lightning.Trainer, rendered: Rendered, pictures: RecordedPictures) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        logger = next((logger for logger in loggers if logger.version == rendered.name), next(iter(loggers), None))
        if logger is None:
            return
        tolerance = logger.tolerance if isinstance(logger, RunLogger) else Tolerance()
        with tolerance.tolerating(Path(logger.log_dir)):  # the projector's files
            show_latents(logger.experiment, rendered, pictures, self._n_tensorboard, trainer.global_step)


def _merge_into_first(survey: LatentSurvey) -> None:
    """Let the survey of process 0 know what those of the others found."""
    device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
    state = survey.state()
    for rank in range(1, dist.get_world_size()):
        received = {}
        for name, tensor in state.items():
            if dist.get_rank() == rank:
                dist.send(tensor.contiguous().to(device), dst=0)
            elif dist.get_rank() == 0:
                received[name] = torch.empty_like(tensor, device=device)
                dist.recv(received[name], src=rank)
        if received:
            survey.merge(received)
