"""LightningDataModules."""

from saev.datamodules.images import ImageDataModule
from saev.datamodules.shards import ShardDataModule

__all__ = ["ImageDataModule", "ShardDataModule"]
