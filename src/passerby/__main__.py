"""`python -m passerby` is the command `passerby`."""

import sys

from passerby.cli import main

sys.exit(main())
