"""Doctests: modules that need Triton are passed over where there is none; another one that cannot be imported fails."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("triton") else ["saev/nn/kernels/*.py"]
