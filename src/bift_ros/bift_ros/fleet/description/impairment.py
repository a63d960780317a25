"""What a vehicle's network suffers from, in the units of Linux's network emulator (tc-netem(8))."""

from __future__ import annotations

from bift_ros.fleet.description.section import Section, text

_TIME = r"^[0-9]+(\.[0-9]+)?(us|ms|s)$"


class Impairment(Section, title="a mapping of impairments"):
    """Of everything that a vehicle sends; what is None is left as it is."""

    delay: str | None = text(None, "a time such as 50ms", "Added to every packet.", _TIME)
    jitter: str | None = text(None, "a time such as 10ms", "How much the delay varies.", _TIME)
    loss: str | None = text(
        None,
        "a share such as 1%",
        "The share of packets that are lost.",
        r"^(100|[0-9]{1,2}(\.[0-9]+)?)%$",
    )
    rate: str | None = text(
        None,
        "a rate such as 10mbit",
        "The most that is sent in a second.",
        r"^[1-9][0-9]*(\.[0-9]+)?[kmg]?bit$",
    )

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
