"""How command lines are read, and what is said of wrong ones."""
