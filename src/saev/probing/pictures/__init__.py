"""What is known of the recorded pictures, and what latents do on them."""
