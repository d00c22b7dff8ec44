"""What is claimed of latents, frozen before it is tested."""
