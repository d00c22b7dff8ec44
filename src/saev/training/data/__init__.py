"""What an SAE is trained on, and what is held out: activations from shards, tensors and iterables."""
