"""SAEs as files: our own format."""

from saev.interop.native import load_run, load_sae, save_sae

__all__ = ["load_run", "load_sae", "save_sae"]
