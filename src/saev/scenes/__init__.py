"""Generated scenes whose contents are known: 64 x 64 pixels, one to three coloured shapes on a background."""
