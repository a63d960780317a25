"""A keystore on disk, laid out as SROS 2 does it, so that `ros2 security` works on it too.

`private/` holds the keys of the two authorities and stays with whoever runs the fleet; a folder
below `enclaves/` goes to the computer of its vehicle, and needs nothing else of the keystore.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.security import documents
from bift_ros.security.authority import (
    Authority,
    Validity,
    certificate_pem,
    key_pem,
    load_key,
    new_key,
)
from bift_ros.security.rights import OBSERVER, Enclave, vehicle_enclave

_AUTHORITIES = ("identity_ca", "permissions_ca")
_ISSUED = "issued.txt"
"""Below `public/`: a line for each certificate ever made, its serial number and its enclave."""
_REVOKED = "crl.pem"


class SecurityError(Exception):
    """A keystore that can't do what was asked; says why and what to do."""


class SecurityKeystore:
    """The keystore of a fleet."""

    def __init__(self, folder: Path) -> None:
        """One that `create` made. Raises SecurityError."""
        self.folder = folder
        if not self._governance.is_file():
            raise SecurityError(
                f"{folder} is no keystore of a fleet: `bift security create GENESIS` makes one"
            )
        try:
            own, fleet = documents.governed_domains(self._governance.read_bytes())
            self.domains = own, fleet
            self._identity, self._permissions = map(self._authority, _AUTHORITIES)
        except (OSError, ValueError, SyntaxError) as error:
            raise SecurityError(f"the keystore {folder} can't be used: {error}") from error

    @staticmethod
    def create(
        folder: Path,
        vehicles: Mapping[str, Sequence[str]],
        own_domain: int,
        fleet_domain: int,
        *,
        days: int,
    ) -> SecurityKeystore:
        """Make one, whole or not at all, with an enclave for each vehicle and one for observers.

        With each vehicle's name come the topics of its camera and labels that have other names
        than by default. Raises SecurityError.
        """
        if folder.exists():
            raise SecurityError(f"{folder} exists already: a keystore is never overwritten")
        enclaves = [*(_enclave(name, topics) for name, topics in vehicles.items()), OBSERVER]
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            try:
                _fill(made, own_domain, fleet_domain)
                keystore = SecurityKeystore(made)
                for enclave in enclaves:
                    keystore._issue(enclave, days)
                made.rename(folder)
            except BaseException:
                shutil.rmtree(made)
                raise
        except OSError as error:
            raise SecurityError(f"can't make the keystore {folder}: {error.strerror}") from error
        return SecurityKeystore(folder)

    def enclaves(self) -> list[str]:
        """Their paths, such as `/observer`."""
        found = (key.parent.relative_to(self._enclaves) for key in self._enclaves.rglob("key.pem"))
        return sorted(f"/{path.as_posix()}" for path in found)

    def place(self, enclave: str) -> Path:
        """The folder of an enclave, which need not be there."""
        return self._enclaves / enclave.lstrip("/")

    def files(self, enclave: str) -> list[Path]:
        """What a process of the enclave is given."""
        return sorted(f for f in self.place(enclave).iterdir() if f.suffix != ".xml")

    def add(self, vehicle: str, topics: Sequence[str] = (), *, days: int) -> str:
        """Make the enclave of another vehicle; returns its path. Raises SecurityError."""
        enclave = _enclave(vehicle, topics)
        if self.place(enclave.path).exists():
            raise SecurityError(
                f"{self.place(enclave.path)} exists already: `bift security renew` makes its "
                "certificate anew, after `bift security revoke` it can be made with another key"
            )
        with _writing(self.folder):
            self._issue(enclave, days)
        return enclave.path

    def renew(self, days: int) -> None:
        """Make every certificate and all permissions anew, with the same keys.

        Raises SecurityError.
        """
        with _writing(self.folder):
            for path in self.enclaves():
                place, validity = self.place(path), Validity.of(days)
                key = load_key((place / "key.pem").read_bytes())
                self._certify(path, key, validity)
                before = (place / "permissions.xml").read_bytes()
                self._grant(path, documents.renewed(before, validity.begin, validity.end))

    def revoke(self, vehicle: str) -> list[str]:
        """Have no certificate of a vehicle hold any more; the enclaves that have to be told.

        Raises SecurityError.
        """
        path = _enclave(vehicle).path
        with _writing(self.folder):
            issued = self._issued.read_text(encoding="utf-8").splitlines()
            serials = [int(line.split()[0], 16) for line in issued if line.split()[1] == path]
            if not serials:
                raise SecurityError(f"{vehicle} has no enclave in {self.folder}")
            known = self._revoked.read_bytes() if self._revoked.exists() else None
            before = [r.serial_number for r in x509.load_pem_x509_crl(known)] if known else []
            revoked = sorted({*before, *serials})
            _write(self._revoked, self._identity.revocations(revoked))
            if self.place(path).exists():
                shutil.rmtree(self.place(path))
            for other in self.enclaves():
                self._give_public(other)
        return self.enclaves()

    def _issue(self, enclave: Enclave, days: int) -> None:
        key, validity = new_key(), Validity.of(days)
        place = self.place(enclave.path)
        _make_folders(place, self._enclaves)
        _write(place / "key.pem", key_pem(key))
        self._certify(enclave.path, key, validity)
        document = documents.permissions(enclave, *self.domains, validity.begin, validity.end)
        self._grant(enclave.path, document)
        self._give_public(enclave.path)

    def _certify(self, path: str, key: ec.EllipticCurvePrivateKey, validity: Validity) -> None:
        certificate = self._identity.certify(path, key.public_key(), validity)
        before = self._issued.read_bytes() if self._issued.exists() else b""
        _write(self._issued, before + f"{certificate.serial_number:x} {path}\n".encode())
        _write(self.place(path) / "cert.pem", certificate_pem(certificate))

    def _grant(self, path: str, document: bytes) -> None:
        _write(self.place(path) / "permissions.xml", document)
        _write(self.place(path) / "permissions.p7s", self._permissions.sign(document))

    def _give_public(self, path: str) -> None:
        """Copies and no links: an enclave's folder is whole wherever it is taken."""
        place = self.place(path)
        for name in _AUTHORITIES:
            _write(place / f"{name}.cert.pem", self._public(name).read_bytes())
        _write(place / "governance.p7s", self._governance.with_suffix(".p7s").read_bytes())
        if self._revoked.exists():
            _write(place / _REVOKED, self._revoked.read_bytes())

    def _authority(self, name: str) -> Authority:
        key = self.folder / "private" / f"{name}.key.pem"
        return Authority.load(self._public(name).read_bytes(), key.read_bytes())

    def _public(self, name: str) -> Path:
        return self.folder / "public" / f"{name}.cert.pem"

    @property
    def _enclaves(self) -> Path:
        return self.folder / "enclaves"

    @property
    def _governance(self) -> Path:
        return self._enclaves / "governance.xml"

    @property
    def _issued(self) -> Path:
        return self.folder / "public" / _ISSUED

    @property
    def _revoked(self) -> Path:
        return self.folder / "public" / _REVOKED


def _fill(folder: Path, own_domain: int, fleet_domain: int) -> None:
    """What a keystore has before its first enclave."""
    enclaves, public, private = (folder / name for name in ("enclaves", "public", "private"))
    for made in (enclaves, public, private):
        made.mkdir(mode=0o700)
    for name in _AUTHORITIES:
        authority = Authority.create(name)
        _write(private / f"{name}.key.pem", key_pem(authority.key))
        _write(public / f"{name}.cert.pem", certificate_pem(authority.certificate))
    document = documents.governance((own_domain, fleet_domain))
    _write(enclaves / "governance.xml", document)
    _write(enclaves / "governance.p7s", authority.sign(document))


def _enclave(vehicle: str, topics: Sequence[str] = ()) -> Enclave:
    if not is_vehicle_name(vehicle):
        raise SecurityError(
            f"{vehicle!r:.80} can be no enclave's name: letters, digits and underscores, the first "
            "a letter"
        )
    return vehicle_enclave(vehicle, topics)


def _make_folders(folder: Path, top: Path) -> None:
    """A folder and those between it and `top`, for their owner alone."""
    if not folder.is_relative_to(top) or folder == top:
        return
    _make_folders(folder.parent, top)
    folder.mkdir(mode=0o700, exist_ok=True)


def _write(file: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
    os.replace(temporary, file)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, SyntaxError) as error:
        raise SecurityError(f"the keystore {folder} can't be changed: {error}") from error
