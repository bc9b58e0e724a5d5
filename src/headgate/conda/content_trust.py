"""conda content trust: a root names the keys of a key manager, which names the keys that sign records. No I/O.

    root (version N) --its own keys--> root (version N + 1)
         |--keys of `key_mgr`--> key manager --keys of `pkg_mgr`--> signatures of records, in repodata's `signatures`

Metadata are envelopes, {"signatures": {public key: {"signature": …}}, "signed": {…}}; what is signed is the canonical
JSON of `signed`, or of a record as repodata has it. Keys are ed25519 (RFC 8032), in hexadecimal. A signature with
`other_headers` was made by GnuPG (RFC 4880, section 5.2.4).
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from headgate.kernel.errors import Invalid

ROOT, KEY_MGR, PKG_MGR = "root", "key_mgr", "pkg_mgr"
SPEC_VERSION = "0.6.0"
MAX_METADATA_BYTES = 1 << 20
_HEX = re.compile(r"[0-9a-f]+")

Signatures = Mapping[str, Mapping[str, Any]]


def canonical(value: Any) -> bytes:
    """The bytes that are signed: JSON with sorted keys, indented by two."""
    return json.dumps(value, indent=2, sort_keys=True).encode()


class Delegation(msgspec.Struct, frozen=True):
    """Keys that speak for a role, and how many of them must."""

    pubkeys: tuple[str, ...] = ()
    threshold: int = 1


class _Signed(msgspec.Struct, frozen=True):
    delegations: dict[str, Delegation]
    type: str
    version: int
    expiration: datetime


class _Envelope(msgspec.Struct, frozen=True):
    signatures: dict[str, dict[str, Any]]
    signed: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Metadata:
    """A root or key manager, read and not yet trusted; `body` as it came."""

    kind: str
    version: int
    expires_at: datetime
    delegations: Mapping[str, Delegation]
    signatures: Signatures
    signed: Mapping[str, Any]
    body: bytes

    @classmethod
    def parse(cls, body: bytes, kind: str) -> Self:
        """Read metadata of that kind. Raises Invalid `content-trust-invalid`."""
        if len(body) > MAX_METADATA_BYTES:
            raise _invalid(f"The {kind} has {len(body)} bytes; at most {MAX_METADATA_BYTES} are read.")
        try:
            envelope = msgspec.json.decode(body, type=_Envelope)
            signed = msgspec.convert(envelope.signed, _Signed, strict=False)
        except (ValueError, RecursionError) as error:
            raise _invalid(f"This is not metadata of conda content trust: {error}.") from error
        if signed.type != kind:
            raise _invalid(f"This is a {signed.type[:40]}, and a {kind} is wanted.")
        if signed.expiration.tzinfo is None:
            raise _invalid(f"The {kind} says when it expires without a time zone.")
        for role, delegation in signed.delegations.items():
            if delegation.threshold < 1 or not all(_is_hex(key, 64) for key in delegation.pubkeys):
                raise _invalid(f"The {kind} names keys for {role[:40]} that are no keys, or asks for none of them.")
        return cls(
            kind, signed.version, signed.expiration, signed.delegations, envelope.signatures, envelope.signed, body
        )

    def delegation(self, role: str) -> Delegation:
        """Who speaks for a role. Raises Invalid `content-trust-invalid`."""
        found = self.delegations.get(role)
        if found is None:
            raise _invalid(f"The {self.kind}, version {self.version}, names no keys for {role}.")
        return found


@dataclass(frozen=True, slots=True)
class Trust:
    """A root that is trusted, and the key manager that it names."""

    root: Metadata
    key_manager: Metadata

    @property
    def signers(self) -> Delegation:
        """Whose signatures of records count."""
        return self.key_manager.delegation(PKG_MGR)


def parse_root(body: bytes) -> Metadata:
    """A root to start from: it must be signed by its own keys. Raises Invalid `content-trust-invalid`."""
    root = Metadata.parse(body, ROOT)
    root.delegation(KEY_MGR)
    check_signed(root, root.delegation(ROOT), "its own keys")
    return root


def advance_root(trusted: Metadata, body: bytes) -> Metadata:
    """The next root: signed as the trusted one and as the new one itself demand. Raises Invalid `content-trust-invalid`."""
    following = Metadata.parse(body, ROOT)
    if following.version != trusted.version + 1:
        raise _invalid(f"Root version {following.version} does not follow version {trusted.version}.")
    check_signed(following, trusted.delegation(ROOT), f"the keys of root version {trusted.version}")
    check_signed(following, following.delegation(ROOT), "its own keys")
    following.delegation(KEY_MGR)
    return following


def check_key_manager(root: Metadata, body: bytes) -> Metadata:
    """The key manager that a trusted root names. Raises Invalid `content-trust-invalid`."""
    found = Metadata.parse(body, KEY_MGR)
    check_signed(found, root.delegation(KEY_MGR), f"the keys that root version {root.version} names")
    found.delegation(PKG_MGR)
    return found


def check_current(metadata: Metadata, now: datetime) -> None:
    """Raises Invalid `content-trust-expired`."""
    if metadata.expires_at <= now:
        raise Invalid(
            "content-trust-expired",
            f"The {metadata.kind}, version {metadata.version}, expired at {metadata.expires_at:%Y-%m-%d %H:%M} UTC.",
        )


def check_signed(metadata: Metadata, wanted: Delegation, whose: str) -> None:
    """Raises Invalid `content-trust-invalid` unless enough of the keys have signed."""
    good = signers_of(canonical(metadata.signed), metadata.signatures, wanted.pubkeys)
    if len(good) < wanted.threshold:
        raise _invalid(
            f"The {metadata.kind}, version {metadata.version}, has {len(good)} good signatures by {whose}; "
            f"{wanted.threshold} are needed."
        )


def signers_of(message: bytes, signatures: Signatures, allowed: Collection[str]) -> frozenset[str]:
    """Those of the allowed keys whose signature of the message is good."""
    return frozenset(
        key
        for key in set(allowed) & signatures.keys()
        if isinstance(signatures[key], Mapping) and _is_good(message, key, signatures[key])
    )


def explain_signatures(message: bytes, signatures: Signatures, wanted: Delegation) -> tuple[frozenset[str], str]:
    """The signers of a record, and why they do not suffice (empty: they do)."""
    good = signers_of(message, signatures, wanted.pubkeys)
    if len(good) >= wanted.threshold:
        return good, ""
    known = set(wanted.pubkeys) & signatures.keys()
    if not known:
        keys = ", ".join(sorted(str(key)[:16] for key in signatures)) or "nobody"
        return good, f"it is signed by {keys}, which the key manager does not name"
    if not good:
        return good, "the signature is not one of this record"
    return good, f"it has {len(good)} good signatures, and {wanted.threshold} are needed"


def sign(key: Ed25519PrivateKey, value: Any) -> dict[str, str]:
    """A signature as an envelope, or repodata, holds it."""
    return {"signature": key.sign(canonical(value)).hex()}


def public_of(key: Ed25519PrivateKey) -> str:
    """The public key, in hexadecimal."""
    return key.public_key().public_bytes_raw().hex()


def describe(
    kind: str, version: int, made_at: datetime, expires_at: datetime, delegations: Mapping[str, Delegation]
) -> dict[str, Any]:
    """The `signed` part of new metadata."""
    return {
        "delegations": {
            role: {"pubkeys": sorted(one.pubkeys), "threshold": one.threshold} for role, one in delegations.items()
        },
        "expiration": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}",
        "metadata_spec_version": SPEC_VERSION,
        "timestamp": f"{made_at:%Y-%m-%dT%H:%M:%SZ}",
        "type": kind,
        "version": version,
    }


def envelop(signed: Mapping[str, Any], keys: Collection[Ed25519PrivateKey]) -> bytes:
    """New metadata, signed."""
    return canonical({"signatures": {public_of(key): sign(key, signed) for key in keys}, "signed": signed}) + b"\n"


def _is_good(message: bytes, key: str, signature: Mapping[str, Any]) -> bool:
    made = signature.get("signature")
    headers = signature.get("other_headers")
    if not (isinstance(made, str) and _is_hex(made, 128)):
        return False
    if headers is not None:
        if not (isinstance(headers, str) and len(headers) % 2 == 0 and _HEX.fullmatch(headers)):
            return False
        raw = bytes.fromhex(headers)
        message = hashlib.sha256(message + raw + b"\x04\xff" + len(raw).to_bytes(4, "big")).digest()
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(made), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and _HEX.fullmatch(text) is not None


def _invalid(sentence: str) -> Invalid:
    return Invalid("content-trust-invalid", sentence)
