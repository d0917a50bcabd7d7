"""``python -m seamlabel``."""

import sys

from seamlabel.cli import main

sys.exit(main())
