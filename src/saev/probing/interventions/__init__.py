"""What becomes of a ViT's output when latents change inside it: changes, readouts, effects, curves, maps, the page."""
