"""Controls: how well pictures are told apart by what is no latent of the SAE, or by the best that there is."""
