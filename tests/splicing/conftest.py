"""Fixtures for the tests of SAEs inside ViTs."""

from tests.tiny_models import tiny_open_clip
from tests.vit.conftest import hub_that_is_there

__all__ = ["hub_that_is_there", "tiny_open_clip"]
