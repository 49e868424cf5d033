# SPDX-License-Identifier: MIT
"""A certificate authority for tests: certificates of any names and dates, as files."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def _name(cn):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


class Identity:
    """A key and a certificate in directory/NAME.pem and NAME-key.pem, signed by issuer or by itself. names are
    "DNS:..", "URI:.." and "IP:..". days: how long it is valid; a negative number: since when it is not."""

    def __init__(self, directory, name, cn, issuer=None, names=(), days=2, ca=False):
        directory = pathlib.Path(directory)
        self.cert_path, self.key_path = directory / f"{name}.pem", directory / f"{name}-key.pem"
        self.cn = cn
        self.key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(_name(cn))
                   .issuer_name(issuer.cert.subject if issuer else _name(cn))
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - 5 * DAY).not_valid_after(now + days * DAY)
                   .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([self._san(n) for n in names]), critical=False)
        self.cert = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())
        self.write(self.cert_path, self.key_path)

    @staticmethod
    def _san(text):
        kind, value = text.split(":", 1)
        if kind == "IP":
            return x509.IPAddress(ipaddress.ip_address(value))
        return {"DNS": x509.DNSName, "URI": x509.UniformResourceIdentifier}[kind](value)

    def write(self, cert_path, key_path):
        cert_path.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))
        key_path.touch(mode=0o600)
        key_path.write_bytes(self.key.private_bytes(serialization.Encoding.PEM,
                                                    serialization.PrivateFormat.TraditionalOpenSSL,
                                                    serialization.NoEncryption()))

    def pin(self):
        """The SHA-256 of its public key, as netkit writes it."""
        spki = self.key.public_key().public_bytes(serialization.Encoding.DER,
                                                  serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(spki)
        return "sha256:" + digest.finalize().hex()
