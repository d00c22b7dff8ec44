"""What the commands that work in a run directory share."""
