"""TLS of a client: whom it trusts, who it is, and what its failures mean. Needs no gRPC."""

from __future__ import annotations

import dataclasses
import os
import ssl
from pathlib import Path

_OTHER_NAME = "its certificate is for another name; ask it by a name that stands there"
# What OpenSSL (REST) and BoringSSL (gRPC) put into their messages -> what it means for the user.
_MEANINGS = {
    "IP address mismatch": _OTHER_NAME,
    "Hostname mismatch": _OTHER_NAME,
    "Hostname Verification Check failed": _OTHER_NAME,
    "certificate has expired": "its certificate has expired",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not signed by an authority that is trusted "
    "here; --cacert (cacert= in Python) names the file of that authority",
    "CERTIFICATE_REQUIRED": "it wants to know its clients; --cert and --key (cert=, key=) name "
    "the files of a client's certificate and key",
    "UNKNOWN_CA": "it does not know the authority that signed the client's certificate (--cert)",
    "WRONG_VERSION_NUMBER": "it does not speak TLS on this port; leave --tls, --cacert, --cert and "
    "--key out, or ask another port",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tls:
    """How a client makes its connection safe.

    Attributes:
      cacert: PEM file of the authorities who may sign the server's certificate; None for the public
        ones (those of the system for REST, those that gRPC brings for gRPC).
      cert: PEM file of the client's certificate (and those between it and its authority), for a
        server that asks for one.
      key: PEM file of its key, not encrypted.

    Raises:
      OSError: a file cannot be read.
      ValueError: cert without key or key without cert; a file that holds no such thing; a key of
        another certificate.
    """

    cacert: str | os.PathLike | None = None
    cert: str | os.PathLike | None = None
    key: str | os.PathLike | None = None

    def __post_init__(self):
        if (self.cert is None) != (self.key is None):
            raise ValueError("A client's certificate and its key (--cert, --key) go together.")
        self.context()  # gRPC would tell of a faulty file only as a server that is out of reach

    def context(self) -> ssl.SSLContext:
        """What Python's own HTTPS client takes."""
        for path in filter(None, (self.cacert, self.cert, self.key)):
            Path(path).read_bytes()  # OpenSSL's own error would not name the file
        try:
            context = ssl.create_default_context(cafile=self.cacert)
        except ssl.SSLError as error:
            raise ValueError(f"{self.cacert} must hold certificates in PEM. {error}") from error
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key, password=self._refuse_password)
            except ssl.SSLError as error:
                raise ValueError(
                    f"{self.cert} must hold a certificate and {self.key} its key, both in PEM. "
                    f"{error}"
                ) from error
        return context

    def pems(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The bytes of cacert, key and cert, in gRPC's order."""
        cacert, key, cert = (
            None if path is None else Path(path).read_bytes()
            for path in (self.cacert, self.key, self.cert)
        )
        return cacert, key, cert

    def _refuse_password(self) -> str:
        raise ValueError(
            f"{self.key} is encrypted. Remedy: `openssl pkey -in KEY -out PLAIN_KEY`, readable by "
            "you alone."
        )


def why_unsafe(message: str) -> str | None:
    """What a failed connection's message says about TLS; None when it says nothing about it."""
    return next((meaning for sign, meaning in _MEANINGS.items() if sign in message), None)
