"""Paths on command lines and in configuration files. Importing this module lets jsonargparse check them."""

from pathlib import Path

from jsonargparse.typing import register_type

from saev.files import given_path

register_type(Path, str, given_path, type_check=isinstance)
