"""What survives a vehicle's crash: its disk, with files that others can fetch."""

from __future__ import annotations

from bift_ros.chain.exceptions import StoreError
from bift_ros.peer.effects import Discard, Effect, Pin, Put, Unpin


class PowerFailure(BaseException):
    """A vehicle is off from one instant to the next."""


class Disk:
    """Has files and pins, and fails where it is full or the power is off."""

    def __init__(self, largest: int, archive: dict[str, bytes]) -> None:
        """`largest` is how many bytes of files it takes; `archive` gets every file put here."""
        self._largest, self._archive = largest, archive
        self.files: dict[str, bytes] = {}
        self.pins: set[str] = set()
        self.named: set[str] = set()
        """What was pinned at some time: the chain named it, and it may stay while there is room."""
        self.disk_full = False
        """Whether nothing can be written: no block, note or file."""
        self.power_fails = ""
        """Whether it does `before` or `after` the store's next write."""
        self._unkept: dict[str, Put] = {}
        """Files that could not be written, tried again."""

    def change(self, effect: Effect) -> None:
        """Do what a peer wants of files; what can't be put is tried again."""
        match effect:
            case Put(cid, data, pinned):
                self._archive.setdefault(cid, data)
                if not self.store_file(cid, data):
                    self._unkept[cid] = effect
                elif pinned:
                    self.pin(cid)
            case Pin(cids):
                for cid in cids:
                    if cid in self.files:
                        self.pin(cid)
            case Unpin(cids):
                self.pins.difference_update(cids)
            case Discard(cids):
                for cid in cids:
                    if cid not in self.pins:
                        self.files.pop(cid, None)
            case _:
                pass

    def pin(self, cid: str) -> None:
        """Keep a file that is here."""
        self.pins.add(cid)
        self.named.add(cid)

    def put_again(self) -> None:
        """Put what could not be."""
        for put in [] if self.disk_full else list(self._unkept.values()):
            del self._unkept[put.cid]
            self.change(put)

    def lose_memory(self) -> None:
        """Forget what waits in memory."""
        self._unkept.clear()

    def lose_files(self) -> None:
        """Lose what was not durable: what nobody pinned."""
        for cid in self.files.keys() - self.pins:
            del self.files[cid]

    def store_file(self, cid: str, data: bytes) -> bool:
        """Put a file in this vehicle's storage, in place of the oldest that nobody pinned."""
        room = -1 if self.disk_full else self._largest - len(data)
        used = sum(map(len, self.files.values()))
        for oldest in list(self.files) if used > room else ():
            if oldest not in self.pins and used > room:
                used -= len(self.files.pop(oldest))
        if used <= room:
            self.files[cid] = data
        return used <= room

    def writing(self, moment: str) -> None:
        """Fail where the disk or the power does, `before` or `after` the store has written."""
        if moment == self.power_fails:
            self.power_fails = ""
            raise PowerFailure
        if self.disk_full and moment == "before":
            raise StoreError("no space left on device")
