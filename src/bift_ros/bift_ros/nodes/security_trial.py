"""Tries whether ROS has DDS security here: `python -m bift_ros.nodes.security_trial`.

Whether its Fast DDS was built with it shows only when a participant with certificates is made, so
one is, with a keystore of its own, heard by nobody. Ends with 0, or with 1 and the reason printed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import rclpy

from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.security.environment import ENCLAVE, secured
from bift_ros.security.keystore import SecurityKeystore
from bift_ros.security.rights import vehicle_path

_NAME = "trial"
_DOMAIN = 0


def main() -> int:
    """Make the participant."""
    with tempfile.TemporaryDirectory(prefix="bift-trial-") as folder:
        keystore = Path(folder, "security")
        SecurityKeystore.create(keystore, {_NAME: ()}, _DOMAIN, _DOMAIN + 1, days=1)
        os.environ.pop("ROS_DISCOVERY_SERVER", None)
        os.environ.update(secured(str(keystore)))
        os.environ.update({ENCLAVE: vehicle_path(_NAME), "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"})
        try:
            rclpy.init(args=[], domain_id=_DOMAIN)
            QuietNode(_NAME).destroy_node()
            rclpy.shutdown()
        except RuntimeError as error:  # RCLError is one
            print(str(error).splitlines()[0], file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
