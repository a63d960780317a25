"""A certificate authority: its key signs certificates, lists of revoked ones, and documents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

_DAYS = 3650
"""How long an authority lasts; what it signs ends with it."""
_BEFORE = timedelta(days=1)
"""What is signed holds from so long ago: clocks differ, and so do zones."""


@dataclass(frozen=True)
class Validity:
    """From when until when something holds."""

    begin: datetime
    end: datetime

    @staticmethod
    def of(days: int) -> Validity:
        """From now on."""
        now = datetime.now(timezone.utc).replace(microsecond=0)
        return Validity(now - _BEFORE, now + timedelta(days=days))


@dataclass(frozen=True)
class Authority:
    """With its certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @staticmethod
    def create(name: str) -> Authority:
        """A new one, which signs its own certificate."""
        key, subject = new_key(), _name(name)
        builder = _certificate(subject, subject, key.public_key(), Validity.of(_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
        return Authority(builder.sign(key, hashes.SHA256()), key)

    @staticmethod
    def load(certificate: bytes, key: bytes) -> Authority:
        """One that was written as PEM. Raises ValueError."""
        return Authority(x509.load_pem_x509_certificate(certificate), load_key(key))

    def certify(
        self, name: str, key: ec.EllipticCurvePublicKey, validity: Validity
    ) -> x509.Certificate:
        """A certificate of who has this key."""
        builder = _certificate(self.certificate.subject, _name(name), key, validity)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def sign(self, document: bytes) -> bytes:
        """The document with its signature, as S/MIME has both (PKCS #7)."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(document)
        builder = builder.add_signer(self.certificate, self.key, hashes.SHA256())
        options = [pkcs7.PKCS7Options.Text, pkcs7.PKCS7Options.DetachedSignature]
        return builder.sign(serialization.Encoding.SMIME, options)

    def revocations(self, serials: list[int]) -> bytes:
        """The signed list of all certificates that hold no more, as PEM."""
        now = datetime.now(timezone.utc)
        builder = x509.CertificateRevocationListBuilder(
            self.certificate.subject, now, Validity.of(_DAYS).end
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder(serial, now)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A private key of the kind that DDS security has (DDS-SECURITY 1.1, section 9.3.1)."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM, not encrypted: ROS asks for no passphrase."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """What `key_pem` wrote. Raises ValueError."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("it holds a key of another kind")
    return key


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])


def _certificate(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer, subject, key, x509.random_serial_number(), validity.begin, validity.end
    )
