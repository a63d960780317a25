#!/usr/bin/env python3
"""Set Bift up: the Python environment with ROS 2 Jazzy, the built workspace, and nothing else.

Needs only Python's standard library, so that it runs on a fresh machine. Run by `make setup`.

The work is in bift_setup/; this file must parse on any Python 3, so that one that is too old gets
a sentence and not a syntax error.
"""

import os
import sys

OLDEST, NEWEST = (3, 10), (3, 13)
REMEDY = """\
set-up: this is Python {}.{}; ROS 2 Jazzy exists for 3.10 to 3.13.
        Install one (Debian, Ubuntu: apt install python3.12 python3.12-venv python3.12-dev)
        or name one: make setup PYTHON=/path/to/python3.12"""


def main():
    """Go on under a Python that ROS 2 Jazzy's wheels exist for; return the exit status."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        reexecute_with_supported_python()
    sys.dont_write_bytecode = True
    from bift_setup.run import run

    return run(sys.argv[1:])


def reexecute_with_supported_python():
    """Replace this process by a supported Python found on PATH; exit with the remedy if none is."""
    import subprocess

    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = "python3.{}".format(minor)  # noqa: UP032 (must parse on any Python 3)
        try:
            # Version managers leave shims on PATH that only fail when they are run.
            subprocess.check_output([name, "-c", ""], stderr=subprocess.STDOUT)
        except (OSError, subprocess.CalledProcessError):
            continue
        os.execvp(name, [name, *sys.argv])
    sys.exit(REMEDY.format(*sys.version_info[:2]))


if __name__ == "__main__":
    sys.exit(main())
