"""Sparse autoencoders for vision transformers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saev.artifacts import load_sae as load

__version__ = "0.1.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # `saev --help` and `import saev` answer at once because torch is imported with the first use of `load`.
    if name == "load":
        from saev.artifacts import load_sae

        return load_sae
    raise AttributeError(f"module 'saev' has no attribute {name!r}")
