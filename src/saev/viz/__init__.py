"""Rendering of latents: arrays and pictures in, pages and grids out."""
