"""docs/security.md: its commands from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bift_ros.security.keystore import SecurityKeystore


def test_the_guide_to_dds_security_works_from_top_to_bottom(
    tmp_path: Path, session: Callable[..., str]
) -> None:
    printed = session("docs/security.md", ROS_DOMAIN_ID="7", BIFT_FLEET_DOMAIN_ID="9")
    assert "3 enclaves, for the ROS domains 7 and 9" in printed
    assert "van is revoked" in printed
    keystore = SecurityKeystore(tmp_path / "out" / "town" / "security")
    assert keystore.enclaves() == ["/observer", "/vehicles/bus", "/vehicles/car"]
