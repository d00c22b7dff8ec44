"""Frozen vision transformers and the pictures that they look at."""
