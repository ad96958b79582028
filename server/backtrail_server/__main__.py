"""`python -m backtrail_server`: the same as the `backtrail` command."""

import sys

from backtrail_server.cli import main

sys.exit(main())
