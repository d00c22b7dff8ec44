"""Opens, reads and verifies directories of shards."""
