"""SAEs as files: our own format."""

from saev.interop.native import check_same_activations, load_run, load_sae, read_about, save_sae

__all__ = ["check_same_activations", "load_run", "load_sae", "read_about", "save_sae"]
