"""Networks that misbehave inside the worker process."""

from __future__ import annotations

import os
import signal

from torch import nn

from bift_ros.learning.models import traffic_light_cnn


def killer(num_classes: int) -> nn.Module:
    """Ends the process as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return traffic_light_cnn(num_classes)


def loud(num_classes: int) -> nn.Module:
    """Writes to stdout, from Python and past it."""
    print('{"event": "done", "job": 1, "result": {}}', flush=True)
    os.write(1, b"\x00 not JSON \xff\n")
    return traffic_light_cnn(num_classes)
