"""From pictures and a backbone to shards: what is written, and one pass that writes it; no Lightning."""
