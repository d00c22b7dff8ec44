"""Hypothesis must not fail for a slow disk."""

from hypothesis import settings

settings.register_profile("shards", deadline=None)
settings.load_profile("shards")
