"""Sparse autoencoders for vision transformers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saev.artifacts.provenance import Provenance as Provenance
    from saev.artifacts.sae_files import load_sae as load
    from saev.artifacts.sae_files import save_sae as save
    from saev.gallery.annotating import annotate as annotate
    from saev.gallery.from_shards import render as render
    from saev.latents.encode import encode as encode
    from saev.latents.survey.over_images import survey as survey
    from saev.nn import Archetypal as Archetypal
    from saev.nn import BatchTopK as BatchTopK
    from saev.nn import Gated as Gated
    from saev.nn import HierarchicalTopK as HierarchicalTopK
    from saev.nn import JumpReLU as JumpReLU
    from saev.nn import MatchingPursuit as MatchingPursuit
    from saev.nn import Matryoshka as Matryoshka
    from saev.nn import ReLU as ReLU
    from saev.nn import SparseAutoencoder as SparseAutoencoder
    from saev.nn import TopK as TopK
    from saev.recording.record import record as record
    from saev.registry import register as register
    from saev.shards.reading.open import open_shards as open_shards
    from saev.splicing.attach import attach as attach
    from saev.splicing.edits import Edit as Edit
    from saev.splicing.measure_downstream import measure_downstream as measure_downstream
    from saev.training.train import train as train
    from saev.vit.images import ImageFolder as ImageFolder
    from saev.vit.load import load_backbone as load_backbone

__version__ = "0.1.0"
__all__ = [
    "Archetypal", "BatchTopK", "Edit", "Gated", "HierarchicalTopK", "ImageFolder", "JumpReLU", "MatchingPursuit",
    "Matryoshka", "Provenance", "ReLU", "SparseAutoencoder", "TopK", "annotate", "attach", "encode", "load",
    "load_backbone", "measure_downstream", "open_shards", "record", "register", "render", "save", "survey", "train",
]  # fmt: skip

# Public names and the modules that have them, under another name where one follows the colon. A module is imported with
# the first use of a name, so that `import saev` and `saev --help` answer at once.
_PLACES = {
    "Archetypal": "saev.nn",
    "BatchTopK": "saev.nn",
    "Edit": "saev.splicing.edits",
    "Gated": "saev.nn",
    "HierarchicalTopK": "saev.nn",
    "ImageFolder": "saev.vit.images",
    "JumpReLU": "saev.nn",
    "MatchingPursuit": "saev.nn",
    "Matryoshka": "saev.nn",
    "Provenance": "saev.artifacts.provenance",
    "ReLU": "saev.nn",
    "SparseAutoencoder": "saev.nn",
    "TopK": "saev.nn",
    "annotate": "saev.gallery.annotating",
    "attach": "saev.splicing.attach",
    "encode": "saev.latents.encode",
    "load": "saev.artifacts.sae_files:load_sae",
    "load_backbone": "saev.vit.load",
    "measure_downstream": "saev.splicing.measure_downstream",
    "open_shards": "saev.shards.reading.open",
    "record": "saev.recording.record",
    "register": "saev.registry",
    "render": "saev.gallery.from_shards",
    "save": "saev.artifacts.sae_files:save_sae",
    "survey": "saev.latents.survey.over_images",
    "train": "saev.training.train",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'saev' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
