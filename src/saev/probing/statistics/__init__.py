"""The statistics of tests: pure maths on arrays, no files, no torch."""
