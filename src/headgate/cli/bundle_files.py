"""Bundles as files on this machine: written, read, checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.airgap.container import PartsWriter, opening
from headgate.airgap.keys import sign
from headgate.airgap.manifest import MAX_MANIFEST_BYTES, decode_manifest, manifest_id
from headgate.airgap.reading import BundleReader, open_bundle
from headgate.cli.bundle_sources import Source
from headgate.cli.output import Output
from headgate.kernel.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_MANIFEST_SUFFIX = ".manifest.json"


def write_bundle(
    source: Source,
    key: "Ed25519PrivateKey",
    path: Path,
    part_bytes: int | None,
    selection: Mapping[str, Any],
    since: bytes | None,
    out: Output,
) -> dict[str, Any]:
    """Have the source prepare a bundle, sign its manifest here, and write it all; what it came to.

    Raises Conflict `bundle-exists`, Unavailable `bundle-unwritable`, and what the source raises.
    """
    beside = path.with_name(path.name + _MANIFEST_SUFFIX)
    if beside.exists():
        raise Conflict("bundle-exists", f"{beside} exists already; remove it, or choose another name.")
    with PartsWriter(path, part_bytes) as writer:
        prepared = source.prepare(selection, since)
        data = source.manifest()
        manifest = decode_manifest(data)
        writer.write(opening(data, sign(key, data)))
        files = manifest.files()
        with out.progress(is_bytes=True) as progress:
            task = progress.add_task("writing", total=sum(files.values()))

            def take(piece: bytes) -> None:
                writer.write(piece)
                progress.advance(task, len(piece))

            source.content(take)
        try:
            beside.write_bytes(data)
        except OSError as error:
            raise Unavailable("bundle-unwritable", f"{beside} cannot be written: {error.strerror}.") from error
        written = writer.commit()
    source.forget()
    return {
        "bundle": manifest_id(data),
        "channel": manifest.channel,
        "number": manifest.number,
        "artifacts": len(files),
        "bytes": sum(files.values()),
        "papers": len(manifest.papers()),
        "missing": list(prepared["missing"]),
        "policy": manifest.policy_title,
        "held_back": prepared.get("held_back", 0),
        "notes": list(prepared.get("notes", ())),
        "files": [str(one) for one in written],
        "manifest": str(beside),
    }


def read_since(path: Path) -> bytes:
    """The manifest of an earlier bundle, from the bundle or from the manifest's own file.

    Raises Invalid `bundle-invalid`, NotFound `bundle-unknown`.
    """
    if path.is_file():
        with path.open("rb") as file:
            if file.read(1) == b"{":
                data = b"{" + file.read(MAX_MANIFEST_BYTES)
                decode_manifest(data)
                return data
    with open_bundle(path) as reader:
        return reader.read_manifest()


def channel_of(parts: Sequence[Path]) -> str:
    """The channel that a bundle says it is of, unverified: the server checks. Raises Invalid `bundle-invalid`."""
    with BundleReader(parts) as reader:
        return decode_manifest(reader.read_manifest()).channel


def check_bundle(path: Path, trusted: Mapping[str, str], out: Output) -> dict[str, Any]:
    """Read a bundle to its last byte; what it is. Raises Refused `bundle-untrusted`, Invalid `bundle-…`."""
    with open_bundle(path) as reader, out.progress(is_bytes=True) as progress:
        signed = reader.verify(trusted)
        task = progress.add_task("verifying", total=reader.size_bytes)
        for member in reader.members(signed):
            for piece in member.pieces():
                progress.advance(task, len(piece))
    manifest = signed.manifest
    files = manifest.files()
    return {
        "bundle": signed.id,
        "channel": manifest.channel,
        "number": manifest.number,
        "follows": manifest.chain[-1] if manifest.chain else None,
        "made_at": manifest.made_at,
        "subdirs": sorted(manifest.subdirs),
        "names": sum(len(one.names) for one in manifest.subdirs.values()),
        "artifacts": len(files),
        "bytes": sum(files.values()),
        "policy": manifest.policy_title,
        "key": signed.key,
    }
