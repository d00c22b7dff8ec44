"""LightningDataModules."""

from saev.datamodules.images import ImageDataModule as ImageDataModule
from saev.datamodules.shards import ShardDataModule as ShardDataModule
