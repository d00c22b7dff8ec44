"""Activation shards on disk: numpy and torch, no Lightning."""
