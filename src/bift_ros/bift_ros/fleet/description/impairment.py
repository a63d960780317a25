"""What a vehicle's network suffers from, in the units of Linux's network emulator (tc-netem(8))."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Impairment:
    """Of everything that a vehicle sends; what is None is left as it is."""

    delay: str | None = None
    """Added to every packet, such as 50ms."""
    jitter: str | None = None
    """How much the delay varies, such as 10ms."""
    loss: str | None = None
    """The share of packets that are lost, such as 1%."""
    rate: str | None = None
    """The most that is sent, such as 10mbit (a second)."""

    def __bool__(self) -> bool:
        return self != Impairment()

    @property
    def netem(self) -> tuple[str, ...]:
        """What follows `tc qdisc add dev eth0 root netem`."""
        words: list[str] = []
        if self.delay is not None:
            words += ["delay", self.delay]
            if self.jitter is not None:
                words.append(self.jitter)
        if self.loss is not None:
            words += ["loss", self.loss]
        if self.rate is not None:
            words += ["rate", self.rate]
        return tuple(words)
