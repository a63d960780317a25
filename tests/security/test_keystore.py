"""Keystores: layout, modes, signatures as others check them, joining, renewing and revoking."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from bift_ros.security.documents import governance, granted
from bift_ros.security.keystore import SecurityError, SecurityKeystore
from bift_ros.security.rights import vehicle_enclave

GIVEN = {
    "cert.pem", "key.pem", "governance.p7s", "permissions.p7s", "permissions.xml",
    "identity_ca.cert.pem", "permissions_ca.cert.pem",
}  # fmt: skip
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture
def keystore(tmp_path: Path) -> SecurityKeystore:
    return SecurityKeystore.create(tmp_path / "security", {"car": (), "bus": ()}, 5, 6, days=30)


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=False)


def lasts_until(permissions: bytes) -> datetime:
    (found,) = re.findall(rb"<not_after>(.*)</not_after>", permissions)
    return datetime.fromisoformat(found.decode())


def certificate(keystore: SecurityKeystore, enclave: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((keystore.place(enclave) / "cert.pem").read_bytes())


def test_it_is_laid_out_as_sros_2_has_it(keystore: SecurityKeystore) -> None:
    assert keystore.enclaves() == ["/observer", "/vehicles/bus", "/vehicles/car"]
    for enclave in keystore.enclaves():
        assert {path.name for path in keystore.place(enclave).iterdir()} == GIVEN
    for name in ("identity_ca", "permissions_ca"):
        assert (keystore.folder / "public" / f"{name}.cert.pem").is_file()
        assert (keystore.folder / "private" / f"{name}.key.pem").is_file()
    assert (keystore.folder / "enclaves" / "governance.p7s").is_file()
    assert certificate(keystore, "/vehicles/car").subject.rfc4514_string() == "CN=/vehicles/car"


def test_only_its_owner_reads_it_and_nothing_is_a_link(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keystore = SecurityKeystore.create(tmp_path / "security", {"car": ()}, 0, 1, days=30)
        keystore.add("bus", days=30)
        keystore.renew(60)
        keystore.revoke("bus")
    finally:
        os.umask(before)
    for path in (keystore.folder, *keystore.folder.rglob("*")):
        assert not path.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@needs_openssl
@pytest.mark.parametrize("document", ["governance", "permissions"])
def test_openssl_accepts_what_is_signed_and_nothing_else(
    keystore: SecurityKeystore, tmp_path: Path, document: str
) -> None:
    place = keystore.place("/vehicles/car")
    signed = place / f"{document}.p7s"
    by = ("-CAfile", place / "permissions_ca.cert.pem")
    verified = openssl("smime", "-verify", "-text", "-in", signed, *by)
    assert verified.returncode == 0, verified.stderr
    plain = verified.stdout.replace(b"\r\n", b"\n")
    source = keystore.folder / "enclaves" / "governance.xml"
    if document == "permissions":
        source = place / "permissions.xml"
    assert plain == source.read_bytes()
    altered = tmp_path / "altered.p7s"
    altered.write_bytes(signed.read_bytes().replace(b"<id>6</id>", b"<id>7</id>"))
    assert openssl("smime", "-verify", "-text", "-in", altered, *by).returncode != 0
    other = ("-CAfile", place / "identity_ca.cert.pem")
    assert openssl("smime", "-verify", "-text", "-in", signed, *other).returncode != 0


@needs_openssl
def test_openssl_accepts_certificates_until_they_are_revoked(keystore: SecurityKeystore) -> None:
    car, bus = keystore.place("/vehicles/car"), keystore.place("/vehicles/bus")
    old = keystore.folder.parent / "old.pem"
    shutil.copy(bus / "cert.pem", old)
    keystore.renew(60)
    renewed = keystore.folder.parent / "renewed.pem"
    shutil.copy(bus / "cert.pem", renewed)
    by = ("-CAfile", car / "identity_ca.cert.pem")
    assert openssl("verify", *by, car / "cert.pem", old, renewed).returncode == 0
    assert keystore.revoke("bus") == ["/observer", "/vehicles/car"]
    assert not bus.exists()
    listed = ("-crl_check", "-CRLfile", car / "crl.pem")
    assert openssl("verify", *by, *listed, car / "cert.pem").returncode == 0
    assert openssl("verify", *by, *listed, old).returncode != 0
    assert openssl("verify", *by, *listed, renewed).returncode != 0
    keystore.add("bus", days=30)
    assert openssl("verify", *by, *listed, bus / "cert.pem").returncode == 0
    keystore.revoke("car")
    by = ("-CAfile", bus / "identity_ca.cert.pem")
    listed = ("-crl_check", "-CRLfile", bus / "crl.pem")
    assert openssl("verify", *by, *listed, bus / "cert.pem").returncode == 0
    assert openssl("verify", *by, *listed, old).returncode != 0


def test_permissions_are_those_of_the_enclave_on_each_domain(keystore: SecurityKeystore) -> None:
    document = (keystore.place("/vehicles/car") / "permissions.xml").read_bytes()
    car = vehicle_enclave("car")
    assert granted(document) == {5: car.own, 6: car.fleet}
    assert b"<default>DENY</default>" in document
    assert b"<subject_name>CN=/vehicles/car</subject_name>" in document


def test_governance_lets_nobody_in_without_permissions() -> None:
    document = governance((5, 6)).decode()
    for element in (
        "<id>5</id>", "<id>6</id>",
        "<allow_unauthenticated_participants>false<", "<enable_join_access_control>true<",
        "<discovery_protection_kind>ENCRYPT<", "<liveliness_protection_kind>ENCRYPT<",
        "<rtps_protection_kind>SIGN<", "<topic_expression>*<",
        "<enable_read_access_control>true<", "<enable_write_access_control>true<",
        "<metadata_protection_kind>ENCRYPT<", "<data_protection_kind>ENCRYPT<",
    ):  # fmt: skip
        assert element in document


def test_who_joins_later_gets_an_enclave_and_nobody_elses_changes(
    keystore: SecurityKeystore,
) -> None:
    before = {path: path.read_bytes() for path in keystore.place("/vehicles/car").iterdir()}
    assert keystore.add("van", ["/front/image"], days=30) == "/vehicles/van"
    assert {path: path.read_bytes() for path in before} == before
    document = (keystore.place("/vehicles/van") / "permissions.xml").read_bytes()
    van = vehicle_enclave("van", ["/front/image"])
    assert granted(document) == {5: van.own, 6: van.fleet}
    with pytest.raises(SecurityError, match="exists already"):
        keystore.add("van", days=30)


@needs_openssl
def test_renewing_keeps_keys_and_rights(keystore: SecurityKeystore) -> None:
    keystore.add("van", ["/front/image"], days=30)
    place = keystore.place("/vehicles/van")
    key, before = ((place / name).read_bytes() for name in ("key.pem", "permissions.xml"))
    first = certificate(keystore, "/vehicles/van")
    SecurityKeystore(keystore.folder).renew(300)
    second = certificate(keystore, "/vehicles/van")
    assert (place / "key.pem").read_bytes() == key
    document = (place / "permissions.xml").read_bytes()
    assert granted(document) == granted(before)
    assert second.public_key() == first.public_key()
    assert second.serial_number != first.serial_number
    until = lasts_until(document)
    assert until - lasts_until(before) >= timedelta(days=269)
    shown = openssl("x509", "-noout", "-enddate", "-in", place / "cert.pem").stdout.decode()
    assert re.search(f"{until:%b} +{until.day} {until:%T} {until.year}", shown)


def test_it_is_never_overwritten(keystore: SecurityKeystore) -> None:
    with pytest.raises(SecurityError, match="exists already"):
        SecurityKeystore.create(keystore.folder, {"car": ()}, 0, 1, days=30)


@pytest.mark.parametrize("name", ["../car", "a/b", "", "car-1", "a" + "\n"])
def test_a_name_that_is_no_namespace_makes_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecurityError, match="no enclave's name"):
        SecurityKeystore.create(tmp_path / "security", {"car": (), name: ()}, 0, 1, days=30)
    assert list(tmp_path.iterdir()) == []


def _damage_key(folder: Path) -> None:
    (folder / "private" / "permissions_ca.key.pem").write_text("no key")


def _damage_governance(folder: Path) -> None:
    (folder / "enclaves" / "governance.xml").write_text("<dds>")


@pytest.mark.parametrize("damage", [_damage_key, _damage_governance, shutil.rmtree])
def test_one_that_is_damaged_is_named(
    keystore: SecurityKeystore, damage: Callable[[Path], None]
) -> None:
    damage(keystore.folder)
    with pytest.raises(SecurityError, match=str(keystore.folder)):
        SecurityKeystore(keystore.folder)


def test_who_was_never_there_cant_be_revoked(keystore: SecurityKeystore) -> None:
    with pytest.raises(SecurityError, match="van has no enclave"):
        keystore.revoke("van")
