"""The embedded demonstration on generated pictures."""
