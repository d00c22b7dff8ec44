"""Candidates of hypotheses: what is found on the proposal half, as a table and as a page."""
