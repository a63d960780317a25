"""What a vehicle's owner asks of it: signed with the vehicle's own key, each request once.

Anybody may call a service over DDS. To read a file of the vehicle's machine, to write one, to speak
in the vehicle's name or to have it mine is the owner's alone, so these requests carry a signature.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from bift_ros.consensus.encoding import encode
from bift_ros.consensus.exceptions import ChainError, FieldError
from bift_ros.consensus.fields import MAX_INTEGER, check_integer
from bift_ros.identity.keys import KeyPair, verify

MAX_AGE_MS = 60_000
"""How far a request's time may be from the vehicle's clock, which is its owner's too."""
START_MINING, STOP_MINING = "start_mining", "stop_mining"
LONGEST = {"action": 16, "path": 4096, "cid": 64, "name": 100, "description": 200}
"""Characters of each field of a request."""
_TAG = "bift owner request 1"


class NotTheOwner(ChainError):  # noqa: N818 - named for what it finds, as its family is
    """A request that this vehicle's owner has not made, or not now."""


@dataclass(frozen=True)
class OwnerRequest:
    """One thing asked of a vehicle by its owner; the fields are those of `OwnerJob.srv`."""

    action: str
    path: str = ""
    cid: str = ""
    name: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        for name, longest in LONGEST.items():
            if len(getattr(self, name)) > longest:
                raise FieldError(f"{name}: over {longest} characters")


def sign_request(key: KeyPair, genesis_hash: bytes, request: OwnerRequest, stamp: int) -> bytes:
    """Sign as the owner; `stamp` is the time in milliseconds since the Unix epoch."""
    return key.sign(_signing_bytes(genesis_hash, request, stamp))


class OwnerCheck:
    """Tells the owner's requests from others', and from the owner's own said again."""

    def __init__(self, public_key: bytes, genesis_hash: bytes) -> None:
        self._public_key, self._genesis_hash = public_key, genesis_hash
        self._last = 0

    def check(self, request: OwnerRequest, stamp: int, signature: bytes, now_ms: int) -> None:
        """Refuse what the owner did not ask for now; raises NotTheOwner. What passed is used up."""
        check_integer("stamp", stamp, 0, MAX_INTEGER)
        message = _signing_bytes(self._genesis_hash, request, stamp)
        if not verify(self._public_key, signature, message):
            raise NotTheOwner("the request is not signed with this vehicle's key")
        if abs(now_ms - stamp) > MAX_AGE_MS:
            raise NotTheOwner(f"the request was signed {now_ms - stamp} ms ago: compare the clocks")
        if stamp <= self._last:
            raise NotTheOwner("the request was made before, or out of order: ask again")
        self._last = stamp


def _signing_bytes(genesis_hash: bytes, request: OwnerRequest, stamp: int) -> bytes:
    return encode([_TAG, genesis_hash, *astuple(request), stamp])
