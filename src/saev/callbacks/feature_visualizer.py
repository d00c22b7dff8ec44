"""Renders the latents of trained SAEs."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, cast

import lightning
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override

from saev.artifacts import RunDirectory
from saev.callbacks.noted_faults import NotesFaults
from saev.callbacks.run_logger import RunLogger, Tolerance
from saev.callbacks.trained_model import TrainedModel
from saev.errors import InputError, tell
from saev.gallery import Rendered, RenderOptions, Source, Subject, render_galleries
from saev.gallery.board import show_latents
from saev.gallery.image_sets import TRAINING, ImageSet, shown_tokens
from saev.gallery.render import namer_of
from saev.latents.encoding import Encoding
from saev.latents.labels import Labels
from saev.latents.naming.namer import Namer
from saev.latents.pictures import RecordedPictures
from saev.latents.source_metadata import telling_columns
from saev.latents.survey import LatentSurvey, merge_into_first, survey_images
from saev.nn.processes import said_by_any
from saev.probing.proposal_half import proposal_images
from saev.shards.tokens import TokenSelection

UNMADE = "the galleries could not be made (saev render tries again)"
PATIENCE = timedelta(days=2)  # A process that waits for the galleries would give up after half an hour.


class TokenData(Protocol):
    """The part of the data module that is looked at."""

    train_tokens: list[TokenSelection]
    test_tokens: list[TokenSelection]


class FeatureVisualizer(NotesFaults):
    """Makes ``features/<name>/index.html`` at the end of `saev fit`, also in TensorBoard, and of `saev test`.

    One pass over the images, divided among the processes, gathers statistics, top images, samples, labels and
    neighbours of all latents of all SAEs; a second one over the images that are shown gathers their heatmaps. After
    `fit` these are the training images, after `test` those that were tested; of several shard directories the first
    one's. A gallery of the same SAE that is there gets them as one more image set. Patches whose labels are ignored in
    training are looked at, too.

    Args:
        n_tensorboard: Latents whose images go to TensorBoard.
        proposal_half: Seed of `saev probe`: only pictures that are in no test with it are looked at, so that none of
            them chooses a latent that it tests. `saev render` can keep pictures together by a table, too.
        **options: Those of `saev.gallery.RenderOptions`.

    Raises:
        InputError: If a number makes no sense.
    """

    def __init__(self, n_tensorboard: int = 8, proposal_half: int | None = None, **options: Any) -> None:
        super().__init__()
        self._options = RenderOptions(**options)
        if n_tensorboard < 0:
            raise InputError(f"n_tensorboard={n_tensorboard} must be 0 or more")
        if proposal_half is not None and proposal_half < 0:
            raise InputError(f"proposal_half={proposal_half} must be 0 or more")
        self._n_tensorboard = n_tensorboard
        self._half = proposal_half
        self._namer: Namer | None = None

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Raise InputError now, not after hours, unless the SAE has the latents asked for and the namer can be had."""
        if stage in ("fit", "test"):
            for sae in cast(TrainedModel, pl_module).saes.values():
                self._options.check_latents(sae.d_sae)
            if trainer.is_global_zero and self._namer is None:
                self._namer = namer_of(self._options)

    @override
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Render on the training images.

        What goes wrong is only noted: the SAEs are saved, and those of later parts of a sweep must follow.
        """
        data = cast(TokenData, trainer.datamodule)  # type: ignore[attr-defined]
        with self.noting(UNMADE):
            self._render(trainer, cast(TrainedModel, pl_module), data.train_tokens, TRAINING)

    @override
    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Render on the images that were tested.

        Raises:
            InputError: In all processes, if the galleries could not be made.
        """
        data = cast(TokenData, trainer.datamodule)  # type: ignore[attr-defined]
        try:
            self._render(trainer, cast(TrainedModel, pl_module), data.test_tokens)
        except InputError as error:
            raise InputError(f"{UNMADE}: {error}") from error

    def _render(
        self, trainer: lightning.Trainer, model: TrainedModel, data: list[TokenSelection], kind: str | None = None
    ) -> None:
        """Render all SAEs; all processes call it, and where they divide the latents, only the first one has SAEs."""
        saes = model.whole_saes()
        tokens = shown_tokens(data, tells=trainer.is_global_zero)
        codes = {name: Encoding(sae.eval(), tokens) for name, sae in saes.items()}
        labels = Labels.of(tokens.reader, telling_columns(tokens.reader, tells=trainer.is_global_zero))
        looked_at, half = tokens, None
        if self._half is not None:
            own = proposal_images(tokens.reader, self._half)
            half = own.half
            if not np.isin(tokens.examples, own.numbers).any():
                if trainer.is_global_zero:
                    tell(f"no gallery: none of these images is in the {half}")
                return
            looked_at = tokens.among(own.numbers)
        image_set = ImageSet.of(looked_at, saes.values(), name=self._options.image_set, kind=kind, half=half)
        surveys = self._surveys(trainer, codes, looked_at, labels)
        fault = None
        if trainer.is_global_zero:
            subjects = {name: Subject(sae, codes[name], surveys[name]) for name, sae in saes.items()}
            pictures = RecordedPictures(tokens.reader)
            is_tested = len(data) == 1 and data[0].kept is None and self._half is None  # just these tokens
            figures = {
                name: {stage: one for stage, one in found.items() if stage != "test" or is_tested}
                for name, found in model.results.items()
            }
            images = looked_at.subset(self._options.n_images, self._options.seed).examples
            try:
                self._draw(
                    trainer, subjects, Source(tokens, pictures, labels, image_set, figures=figures, images=images)
                )
            except (InputError, OSError) as error:
                fault = str(error)
        fault = said_by_any(fault, PATIENCE)
        if fault is not None:
            raise InputError(fault)

    def _draw(self, trainer: lightning.Trainer, subjects: dict[str, Subject], source: Source) -> None:
        if self._namer is not None:
            self._namer.clip.to(trainer.strategy.root_device)
        out = RunDirectory(Path(trainer.default_root_dir)).features
        for rendered in render_galleries(subjects, source, self._options, out, self._namer):
            self._to_tensorboard(trainer, rendered, source.pictures)
        source.pictures.warn_of_faults()

    def _surveys(
        self, trainer: lightning.Trainer, codes: dict[str, Encoding], tokens: TokenSelection, labels: Labels
    ) -> dict[str, LatentSurvey]:
        """What process 0 is to know of all images: each process looks at its share, if all have the SAEs.

        Raises:
            InputError: In all processes, if one of them could not look at its share.
        """
        all_have_saes = trainer.strategy.reduce_boolean_decision(bool(codes), all=True)
        rank, n = (trainer.global_rank, trainer.world_size) if all_have_saes else (0, 1)
        surveys, fault = {}, None
        options = self._options
        images = tokens.subset(options.n_images, options.seed).examples
        try:
            if codes:
                surveys = survey_images(
                    codes, images, labels, top_k=options.top_k, seed=options.seed, rank=rank, world_size=n
                )
        except InputError as error:
            fault = str(error)
        fault = said_by_any(fault, PATIENCE)
        if fault is not None:
            raise InputError(fault)
        if n > 1:
            for survey in surveys.values():
                merge_into_first(survey)
        return surveys

    def _to_tensorboard(self, trainer: lightning.Trainer, rendered: Rendered, pictures: RecordedPictures) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        logger = next((logger for logger in loggers if logger.version == rendered.name), next(iter(loggers), None))
        if logger is None:
            return
        tolerance = logger.tolerance if isinstance(logger, RunLogger) else Tolerance()
        with tolerance.tolerating(Path(logger.log_dir)):  # the projector's files
            show_latents(logger.experiment, rendered, pictures, self._n_tensorboard, trainer.global_step)
