"""A Kubo daemon's RPC API through `ipfshttpclient`: files, blocks, pins and the swarm.

The client's last release is older than any daemon of today. What works around that:

- its `connect` refuses daemons from 0.8 on, though the calls used here have not changed since; so
  `Client` is made directly, and `VERSIONS` says what was tested;
- its patch of `requests`, which only Unix sockets need, warns at every call with urllib3 2;
- it would send what is meant for a daemon on this machine to the HTTP_PROXY;
- it uploads in pieces of 8 KiB, and its `swarm.connect` takes an address apart into characters.

No connection is kept open between two calls: on loopback that costs nothing measurable, and no
restart of the daemon leaves a dead one behind.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import IO, Any

os.environ.setdefault("PY_IPFS_HTTP_CLIENT_PATCH_REQUESTS", "no")  # read on import

import ipfshttpclient
import requests
from ipfshttpclient import exceptions as client_errors

from bift_ros.storage.cidv1 import DAG_PB, Cid
from bift_ros.storage.errors import NotFound, StorageError

log = logging.getLogger(__name__)

VERSIONS = ((0, 41), (0, 43))
"""The oldest and the newest release of Kubo that all tests passed with: major and minor."""
CALL_TIMEOUT = 30.0
"""Seconds in which the daemon must go on answering a call."""
START_TIMEOUT = 60.0
"""Seconds that a daemon may take from its start to its first answer."""

_UPLOAD_PIECE = 1 << 20
_CODECS = {True: "dag-pb", False: "raw"}
# Said in full, so that no daemon's own Import settings can change a CID.
_ADD_OPTIONS = {"hash": "sha2-256", "max-file-links": "174", "inline": "false", "nocopy": "false"}


class KuboApi:
    """One daemon. Thread-safe; every method raises `StorageError` where the daemon fails."""

    def __init__(self, address: str, timeout: float = CALL_TIMEOUT) -> None:
        """Talk to the API at a multiaddress such as `/ip4/127.0.0.1/tcp/5001`.

        Makes no call yet. Raises `StorageError` for what is no such address.
        """
        self.address = address
        self._timeout = timeout
        try:
            self._client = ipfshttpclient.Client(address, chunk_size=_UPLOAD_PIECE, timeout=timeout)
        except client_errors.AddressError as error:
            raise StorageError(
                f"{address!r} is no address of a Kubo API: write it like /ip4/127.0.0.1/tcp/5001"
            ) from error
        self._client._client._session_props["trust_env"] = False  # no HTTP_PROXY, no .netrc

    def version(self) -> str:
        """The daemon's release, such as `0.43.0`; logs a warning for one that was not tested."""
        with self._clear_errors("asking for its version"):
            version = str(self._client.version()["Version"])
        problem = untested(version)
        if problem:
            log.warning("the Kubo daemon at %s: %s", self.address, problem)
        return version

    # -- files and blocks

    def add(self, file: IO[bytes], chunk_size: int) -> str:
        """Store a file of any size from where it stands and return its CID; it is not pinned."""
        with self._clear_errors("adding a file"):
            added = self._client.add(
                file,
                cid_version=1,
                raw_leaves=True,
                chunker=f"size-{chunk_size}",
                pin=False,
                opts=dict(_ADD_OPTIONS),
            )
        return str(added["Hash"])

    def block(self, cid: Cid) -> bytes:
        """Return a block of the daemon's own repository, checked. Raises `NotFound`."""
        with self._clear_errors(f"reading block {cid}"):
            data = bytes(self._client.block.get(str(cid), offline=True))
        if not cid.matches(data):
            # A daemon never overwrites a block that it has, so the damaged one must go first.
            self.drop_block(cid)
            raise NotFound(f"block {cid} was damaged in the daemon's repository and is removed")
        return data

    def content(self, root: Cid) -> Generator[bytes, None, None]:
        """A file of the daemon's own repository, unchecked, in pieces of any length.

        It ends early where something is missing, and where the daemon fails.
        """
        with suppress(StorageError), self._clear_errors(f"reading {root}"):
            options = {"offline": "true"}
            with self._client.cat(str(root), stream=True, opts=options) as pieces:
                yield from pieces

    def has_block(self, cid: Cid) -> bool:
        """Whether a block is in the daemon's own repository."""
        try:
            with self._clear_errors(f"looking for block {cid}"):
                self._client.block.stat(str(cid), offline=True)
        except NotFound:
            return False
        return True

    def put_block(self, cid: Cid, data: bytes | memoryview) -> None:
        """Store one block; `data` must be what `cid` names."""
        options = {"cid-codec": _CODECS[cid.codec == DAG_PB], "mhtype": "sha2-256", "pin": "false"}
        with self._clear_errors(f"writing block {cid}"):
            put = self._client.block.put(BytesIO(data), opts=options)
        if put["Key"] != str(cid):
            raise StorageError(
                f"the Kubo daemon at {self.address} calls block {cid} {put['Key']}: report this "
                "as a fault of Bift, with the daemon's version"
            )

    def drop_block(self, cid: Cid) -> None:
        """Remove a block. Raises `StorageError` where it belongs to a pinned file."""
        with self._clear_errors(f"removing block {cid}"):
            (removed,) = self._client._client.request("/block/rm", (str(cid),), decoder="json")
        if removed.get("Error"):
            raise StorageError(f"block {cid} cannot be removed: {removed['Error']}")

    def has_file(self, root: Cid) -> bool:
        """Whether all blocks of a file are in the daemon's own repository."""
        try:
            with self._clear_errors(f"looking for file {root}"):
                stat = self._client.files.stat(
                    f"/ipfs/{root}", offline=True, opts={"with-local": "true"}
                )
        except NotFound:
            return False
        return bool(stat.get("Local"))  # left out where it is false

    def seek_block(self, cid: Cid, seconds: float) -> int:
        """Have the daemon get a block, from its swarm where it isn't here; its size in bytes.

        Raises `NotFound` where the swarm does not give it within `seconds`.
        """
        with self._clear_errors(f"seeking block {cid} in its swarm", seconds + self._timeout):
            # Told to the daemon, so that it stops searching too.
            stat = self._client.block.stat(
                str(cid), timeout=seconds + self._timeout, opts={"timeout": f"{seconds:.1f}s"}
            )
        return int(stat["Size"])

    # -- pins

    def pin(self, root: Cid) -> None:
        """Pin a file that is wholly here. Raises `NotFound` where it isn't."""
        # The daemon takes `offline` for the root alone and would seek the other blocks.
        if not self.has_file(root):
            raise NotFound(f"{root} can't be pinned: it is not, or not wholly, in this store")
        with self._clear_errors(f"pinning {root}"):
            self._client.pin.add(str(root), offline=True)

    def unpin(self, root: Cid) -> None:
        """Unpin a file; harmless if it was not pinned."""
        try:
            with self._clear_errors(f"unpinning {root}"):
                self._client.pin.rm(str(root))
        except _NotPinned:
            pass

    def discard(self, root: Cid) -> None:
        """Leave a file to the daemon, which collects what nobody pinned when it needs the room."""

    # -- the daemon and its swarm

    def addresses(self) -> list[str]:
        """Multiaddresses at which the daemon can be reached in the swarm, loopback last."""
        with self._clear_errors("asking for its addresses"):
            found = [str(address) for address in self._client.id()["Addresses"] or []]
        return sorted(found, key=lambda a: a.startswith(("/ip4/127.", "/ip6/::1/")))

    def peers(self) -> list[str]:
        """Multiaddresses of the peers that the daemon is connected to, each with its peer ID."""
        with self._clear_errors("listing its peers"):
            peers = self._client.swarm.peers()["Peers"] or []
        return [f"{peer['Addr']}/p2p/{peer['Peer']}" for peer in peers]

    def connect(self, address: str) -> None:
        """Connect to a peer at `/ip4/…/tcp/…/p2p/ID`."""
        with self._clear_errors(f"connecting to {address}"):
            self._client._client.request("/swarm/connect", (address,), decoder="json")

    def gateway_port(self) -> int:
        """The TCP port of the daemon's gateway, as it is configured. Raises `StorageError`."""
        with self._clear_errors("asking for its gateway"):
            address = self._client.config.get()["Addresses"]["Gateway"]
        text = address[0] if isinstance(address, list) and address else address
        parts = str(text).split("/")
        if len(parts) != 5 or parts[3] != "tcp" or parts[4] in ("", "0"):
            raise StorageError(
                f"the Kubo daemon at {self.address} has no gateway on a fixed TCP port "
                f"(Addresses.Gateway is {text!r}), which other vehicles need: "
                "`ipfs config Addresses.Gateway /ip4/127.0.0.1/tcp/8080` and restart it"
            )
        return int(parts[4])

    def repository(self) -> Mapping[str, Any]:
        """Bytes that the repository takes and may take: `RepoSize` and `StorageMax`."""
        with self._clear_errors("asking for its size"):
            found: dict[str, Any] = self._client.repo.stat(opts={"size-only": "true"}).as_json()
        return found

    @contextmanager
    def _clear_errors(self, doing: str, patience: float | None = None) -> Iterator[None]:
        who = f"the Kubo daemon at {self.address}"
        try:
            yield
        except client_errors.TimeoutError as error:
            raise StorageError(
                f"{who} gave nothing for {patience or self._timeout:g} s while {doing}: is the "
                "machine overloaded or the disk failing? `bift storage kubo status` tells more"
            ) from error
        except client_errors.ErrorResponse as error:
            raise _refusal(who, doing, str(error)) from error
        except client_errors.StatusError as error:
            raise StorageError(
                f"{who} answered {error.original} while {doing}: is that address a Kubo API?"
            ) from error
        except (client_errors.CommunicationError, requests.RequestException) as error:
            raise Unreachable(
                f"{who} cannot be reached or broke off while {doing}: start it (`bift storage "
                f"kubo start`) or correct the parameter kubo_api ({_cause(error)})"
            ) from error
        except client_errors.EncoderError as error:
            raise StorageError(
                f"{who} answered no JSON while {doing}: is that address a Kubo API? ({error})"
            ) from error


class Unreachable(StorageError):  # noqa: N818 - reads as what it is
    """The daemon does not run, or ended in the middle of a call."""


class _NotPinned(StorageError):  # noqa: N818
    pass


def untested(version: str) -> str | None:
    """Why a release of Kubo may not work with Bift; None for one in the tested range."""
    wanted = "Bift was tested with Kubo {}.{} to {}.{}".format(*VERSIONS[0], *VERSIONS[1])
    numbers = version.split("-")[0].split(".")
    if not all(n.isdecimal() for n in numbers[:2]) or len(numbers) < 2:
        return f"its version {version!r} cannot be told; {wanted}"
    if VERSIONS[0] <= (int(numbers[0]), int(numbers[1])) <= VERSIONS[1]:
        return None
    return f"{wanted}, this is {version}: it may well work, but nobody has tried"


def _refusal(who: str, doing: str, message: str) -> StorageError:
    if "not found locally" in message or "context deadline exceeded" in message:
        return NotFound(f"{who} has not found it while {doing}: {message}")
    if "not pinned" in message:
        return _NotPinned(message)
    hint = ": free some space" if "no space left" in message else ""
    return StorageError(f"{who} failed while {doing}: {message}{hint}")


def _cause(error: BaseException) -> str:
    """The innermost reason of nested network errors, which alone says something to a person."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
