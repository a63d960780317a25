"""`python -m bift_ros.console`, which ./bift runs."""

import sys

from bift_ros.console.main import main

sys.exit(main())
