"""Training batches from shards."""
