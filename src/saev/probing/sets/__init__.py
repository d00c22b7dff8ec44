"""Pictures on which hypotheses are tested, and their blind labelling."""
