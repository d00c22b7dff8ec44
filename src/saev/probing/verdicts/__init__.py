"""From frozen hypotheses and sets of pictures to verdicts, and the files that hold them."""
