"""What lies on disk: layout, descriptions, hashes, dtypes."""
