"""What all pages share: their look, and how texts, numbers and pictures get into them safely."""
