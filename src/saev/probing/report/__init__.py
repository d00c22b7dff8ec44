"""The report of a test: one HTML file that says what was claimed, what came out, and what speaks against it."""
