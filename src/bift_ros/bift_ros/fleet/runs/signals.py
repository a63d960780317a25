"""Commands that have much to take down: every signal that ends them lets them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Take SIGTERM and SIGHUP for Ctrl-C: whoever ends this command ends the fleet with it.

    What is ignored stays so, as nohup(1) has it.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signals = (signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    with _handling(heeded, interrupt):
        yield


def ignoring_signals() -> AbstractContextManager[None]:
    """Finish what is begun: `ros2 launch`, for one, sends a second signal after 5 s."""
    return _handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)


@contextmanager
def _handling(numbers: Sequence[signal.Signals], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
