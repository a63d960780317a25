#!/usr/bin/env python3
"""Build Kubo, the IPFS daemon, where no `ipfs` is on the PATH. Run by `make kubo`.

With --if-possible (`make test`) a machine without Go is no failure: the tests that need Kubo skip.
"""

import sys


def main():
    """Build or find Kubo; return the exit status."""
    sys.dont_write_bytecode = True
    from bift_setup.kubo import run

    return run(if_possible="--if-possible" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
