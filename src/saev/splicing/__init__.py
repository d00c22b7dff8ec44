"""An SAE inside the ViT that it was trained on."""
