"""A test CA, and the certificates of servers and clients on loopback."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

from lab.server import LOOPBACK


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM files.

    Attributes:
        chain: the certificate.
        key: its private key.
        ca: of the authority that signed it.
    """

    chain: Path
    key: Path
    ca: Path


class Authority:
    """A certificate authority that nobody but the lab trusts.

    Attributes:
        ca: its certificate, a PEM file.
    """

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def certificate(self, name: str, *more: str) -> Certificate:
        """A certificate for host names and addresses.

        Args:
            name: the first of them, which names the files too.
            more: the others; loopback is always among them.
        """
        chain, key = (self._folder / f"{name}.{suffix}" for suffix in ("pem", "key"))
        issued = self._ca.issue_cert(name, *more, LOOPBACK)
        issued.private_key_pem.write_to_path(key)
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return Certificate(chain, key, self.ca)

    def client_context(self) -> ssl.SSLContext:
        """What a client needs to trust it."""
        return ssl.create_default_context(cafile=str(self.ca))
