"""Parts of `scripts/train_demo_clip.py`, which trains the CLIP that the demo ships."""
