"""SAEs as files: our own format, and what is known of where they come from."""

from saev.artifacts.provenance import (
    HeldOut,
    Provenance,
    RecordedLayer,
    TrainingSet,
    differ_in_seed,
    provenance_of,
    trained_on,
)
from saev.artifacts.run_directory import RunDirectory
from saev.artifacts.sae_files import load_sae, read_provenance, save_sae, write_sae

__all__ = [
    "HeldOut",
    "Provenance",
    "RecordedLayer",
    "RunDirectory",
    "TrainingSet",
    "differ_in_seed",
    "load_sae",
    "provenance_of",
    "read_provenance",
    "save_sae",
    "trained_on",
    "write_sae",
]
