"""Several processes of one command: how many, how they meet, and that none stays behind."""
