"""``python -m qobs``."""

import sys

from qobs.cli import main

sys.exit(main())
