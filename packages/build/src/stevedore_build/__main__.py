"""`python -m stevedore_build`: the same as `ml-stevedore`."""

import sys

from stevedore_build.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
