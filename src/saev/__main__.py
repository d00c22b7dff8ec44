"""`python -m saev`."""

from saev.cli.main import run

if __name__ == "__main__":
    run()
