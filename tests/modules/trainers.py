"""What tests of `SAELightningModule` share."""

from typing import Any

import lightning

from saev.nn import SparseAutoencoder, TopK


def trainer(*callbacks: lightning.Callback, **options: Any) -> lightning.Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
    return lightning.Trainer(**(defaults | options), callbacks=list(callbacks))


def small_topk(d_in: int) -> SparseAutoencoder:
    return TopK(d_in, d_sae=48, k=4)
