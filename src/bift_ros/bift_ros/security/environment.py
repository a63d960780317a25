"""The variables by which ROS turns DDS security on (`rcl`'s, as SROS 2 describes them)."""

from __future__ import annotations

from bift_ros.security.rights import OBSERVER

KEYSTORE = "ROS_SECURITY_KEYSTORE"
ENCLAVE = "ROS_SECURITY_ENCLAVE_OVERRIDE"
"""Which enclave a process is of, whatever its arguments say."""


def secured(keystore: str) -> dict[str, str]:
    """For a process that names its enclave by the argument `--enclave`; `keystore` is a folder."""
    return {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",  # without its files, no node at all
        KEYSTORE: keystore,
        ENCLAVE: "",  # not that of whoever starts it, such as an observer's
    }


def secured_observer(keystore: str) -> dict[str, str]:
    """For monitors, dashboards and the console."""
    return {**secured(keystore), ENCLAVE: OBSERVER.path}
