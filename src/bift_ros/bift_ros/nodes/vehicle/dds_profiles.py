"""What Fast DDS is told before a vehicle joins its buses: keep no message larger than its type.

Every type on the fleet's bus is bounded. By default Fast DDS takes a message of any size into
memory all the same, and ROS hands it on, so a stranger's few large ones would fill the memory
before anybody could judge them. Readers of these topics, and of services, get their memory
beforehand: what does not fit is dropped where it arrives. Fast DDS writes a line about each, which
nobody could bound: so it writes none at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_ros.nodes import fleet_topics

_FILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_VARIABLES = (_FILE, "FASTDDS_DEFAULT_PROFILES_FILE", "RMW_FASTRTPS_USE_QOS_FROM_XML")
_BOUNDED = (fleet_topics.TRANSACTIONS, fleet_topics.BLOCKS, fleet_topics.TIPS, "service", "client")
"""Profiles: topics, and what rmw_fastrtps calls the readers of all requests and answers."""


def profiles() -> str:
    """The XML file. All but the bounded readers is what rmw_fastrtps sets without one."""
    bounded = "".join(_reader(f'"{name}"', "PREALLOCATED") for name in _BOUNDED)
    usual = _reader('"reader" is_default_profile="true"', "PREALLOCATED_WITH_REALLOC")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
<log><use_default>FALSE</use_default></log>
<profiles>
<data_writer profile_name="writer" is_default_profile="true">
<qos>
<publishMode><kind>SYNCHRONOUS</kind></publishMode>
<data_sharing><kind>OFF</kind></data_sharing>
</qos>
<historyMemoryPolicy>PREALLOCATED_WITH_REALLOC</historyMemoryPolicy>
</data_writer>
{usual}{bounded}</profiles>
</dds>
"""


def _reader(name: str, policy: str) -> str:
    return f"""<data_reader profile_name={name}>
<qos><data_sharing><kind>OFF</kind></data_sharing></qos>
<historyMemoryPolicy>{policy}</historyMemoryPolicy>
</data_reader>
"""


@contextmanager
def bounded_messages() -> Iterator[None]:
    """Have nodes that are made meanwhile, and whatever they make later, keep no larger messages.

    Whoever has Fast DDS read a file of their own keeps it, and has to say so there.
    """
    if any(os.environ.get(name) for name in _VARIABLES):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="bift-dds-") as folder:
        file = Path(folder) / "profiles.xml"
        file.write_text(profiles())
        os.environ.update({_FILE: str(file), "RMW_FASTRTPS_USE_QOS_FROM_XML": "1"})
        try:
            yield
        finally:
            for name in _VARIABLES:
                os.environ.pop(name, None)
