"""`python -m colorlab COMMAND ...`, the same as `colorlab COMMAND ...`."""

import sys

from colorlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
