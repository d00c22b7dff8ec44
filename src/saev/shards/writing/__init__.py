"""Records directories of shards: many processes, any fault."""
