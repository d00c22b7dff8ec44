"""Galleries on 127.0.0.1, and what an SAE makes of pictures that are dropped into them."""
