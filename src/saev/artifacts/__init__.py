"""SAEs as files: our own format."""

from saev.artifacts.provenance import About, DataSetAbout, HeldOut, check_same_activations
from saev.artifacts.sae_files import load_run, load_sae, read_about, save_sae

__all__ = [
    "About",
    "DataSetAbout",
    "HeldOut",
    "check_same_activations",
    "load_run",
    "load_sae",
    "read_about",
    "save_sae",
]
