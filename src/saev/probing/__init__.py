"""Hypotheses about latents: proposed, frozen, tested once, reported."""
