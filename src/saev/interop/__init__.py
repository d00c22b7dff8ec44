"""SAEs as files: our own format."""
