"""Sparse autoencoder architectures: pure torch, no I/O."""
