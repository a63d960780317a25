"""Where a vehicle keeps what it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bift_ros.identity.private_files import make_private_folder


@dataclass(frozen=True)
class VehicleFolders:
    """The layout of a vehicle's data folder."""

    root: Path

    @property
    def chain(self) -> Path:
        """The chain's SQLite database."""
        return self.root / "chain.sqlite"

    @property
    def storage(self) -> Path:
        """The block store."""
        return self.root / "storage"

    @property
    def kubo(self) -> Path:
        """The repository of the vehicle's own Kubo daemon, where it has one."""
        return self.root / "kubo"

    @property
    def dataset(self) -> Path:
        """The private dataset, in ImageFolder shape."""
        return self.root / "dataset"

    def create(self) -> None:
        """Make the folders that are missing, and close all of them to other users."""
        for folder in (self.root, self.storage, self.dataset):
            make_private_folder(folder)
