"""What latents do: codes of recorded images, surveys, labels, pictures, names."""
