"""`python -m saev`."""

import sys

from saev.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
