"""The manifest of a bundle: the whole state of a channel, and which of its bytes this bundle brings.

    manifest --signature--> key
       |-- names -> shard digest -> records -> sha256 of each file      nothing in a bundle is left unsigned
       |-- chain -> the manifests before this one                       a bundle's id is the sha256 of its manifest

An increment tells the whole state too: what left the channel is simply no longer in it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from headgate.conda.names import ChannelName, Sha256, Subdir, is_package_name
from headgate.kernel.errors import Conflict, Invalid

FORMAT = "headgate-bundle-1"
MAX_MANIFEST_BYTES = 512 << 20
ADVISORIES_SECTION = "advisories.zip"
"""All that is known of advisories, where it was asked for."""

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of a channel is wanted; without specs and files, everything (of the subdirs, when some are named).

    `specs` are match specs, whose dependencies come along; `files` maps `subdir/filename` to a sha256 or "". `policy` names
    one that would have to let it pass. Advisories are no part of the channel: an increment has them if it is asked to.
    """

    subdirs: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    files: dict[str, str] = {}
    has_advisories: bool = False
    policy: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return not (self.subdirs or self.specs or self.files or self.policy)


class JudgedBy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The policy that a bundle was judged by: its version where it is from, and a digest of what it says, mode aside."""

    policy: str
    version: int
    digest: Digest

    @property
    def title(self) -> str:
        """How a sentence names it: `strict (version 3)`."""
        return f"{self.policy} (version {self.version})"


class Name(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One package of a subdir: its shard, the files (sha256 -> size) this bundle brings, those that earlier ones did.

    The same of its papers: attestations of the files, and one with the `signatures` of their records, if there are any.
    """

    shard: Digest
    shard_bytes: Size
    is_new: bool
    files: dict[Digest, Size] = {}
    held: tuple[Digest, ...] = ()
    papers: dict[Digest, Size] = {}
    papers_held: tuple[Digest, ...] = ()
    signatures: Digest | None = None

    def digests(self) -> frozenset[str]:
        """Every file that the shard lists, wherever its bytes come from."""
        return frozenset(self.files) | frozenset(self.held)

    def paper_digests(self) -> frozenset[str]:
        """Every paper that the other side has once this bundle is there."""
        return frozenset(self.papers) | frozenset(self.papers_held)


class SubdirState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One subdir: its revision where it comes from, what its index says of itself, its names."""

    revision: int
    info: dict[str, object]
    names: dict[str, Name]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something else that travels along, such as advisories; whoever does not know it passes over it."""

    sha256: Digest
    size: Size


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is signed. `chain` has the ids of the bundles before this one, the full one first; none for a full one.

    `judged_by` is absent unless a policy was named, so that versions that know of none read all other bundles.
    """

    format: str
    channel: str
    revision: int
    made_at: datetime
    chain: tuple[Digest, ...]
    selection: Selection
    subdirs: dict[str, SubdirState]
    sections: dict[str, Section] = {}
    judged_by: JudgedBy | None = None

    @property
    def number(self) -> int:
        """0 for a full bundle, 1 for the first increment."""
        return len(self.chain)

    @property
    def policy_title(self) -> str:
        """The policy that it was judged by, as a sentence names it; empty when it was by none."""
        return "" if self.judged_by is None else self.judged_by.title

    def shards(self) -> dict[str, int]:
        """Digest -> size of the shards that this bundle brings, in the order in which they travel."""
        return {name.shard: name.shard_bytes for name in self._names() if name.is_new}

    def papers(self) -> dict[str, int]:
        """Digest -> size of the papers that this bundle brings, in the order in which they travel."""
        return {digest: size for name in self._names() for digest, size in sorted(name.papers.items())}

    def files(self) -> dict[str, int]:
        """Digest -> size of the files that this bundle brings, in the order in which they travel."""
        return {digest: size for name in self._names() for digest, size in sorted(name.files.items())}

    def _names(self) -> Iterator[Name]:
        for _, subdir in sorted(self.subdirs.items()):
            for _, name in sorted(subdir.names.items()):
                yield name


_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=str)  # names are strings of their own types
_decoder = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes that are signed; equal manifests have equal bytes."""
    return _encoder.encode(manifest)


def decode_manifest(data: bytes) -> Manifest:
    """Read a manifest. Raises Invalid `bundle-invalid`."""
    try:
        manifest = _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Invalid("bundle-invalid", f"This is not the manifest of a bundle: {error}.") from error
    if manifest.format != FORMAT:
        raise Invalid(
            "bundle-invalid", f"The bundle's format is {manifest.format[:80]!r}; only {FORMAT} is understood."
        )
    ChannelName.parse(manifest.channel)
    for subdir, state in manifest.subdirs.items():
        Subdir.parse(subdir)
        _check_names(state.names)
    return manifest


def manifest_id(data: bytes) -> Sha256:
    """The id of the bundle whose manifest has these bytes."""
    return Sha256(hashlib.sha256(data).hexdigest())


def title(channel: str, number: int, bundle: str) -> str:
    """How a sentence names a bundle: `team #2 (4f3a9c01…)`."""
    return f"{channel} #{number} ({bundle[:12]})"


def followed(selection: Selection, earlier: Manifest | None) -> Selection:
    """What an export comes to hold: without a selection of its own, an increment has that of the bundle before it."""
    if earlier is None or not selection.is_whole:
        return selection
    return msgspec.structs.replace(earlier.selection, has_advisories=selection.has_advisories)


def told_of_judging(before: JudgedBy | None, now: JudgedBy | None) -> str:
    """A sentence on how an increment was judged otherwise than the bundle before it; empty when it was not."""
    if before is None and now is not None:
        return f"The bundle before it was judged by no policy: what {now.title} holds back leaves the other side."
    if before is not None and now is None:
        return f"The bundle before it was judged by policy {before.title}; this one is judged by none."
    if before is None or now is None or (before.policy, before.digest) == (now.policy, now.digest):
        return ""
    if before.policy == now.policy:
        return (
            f"Policy {now.policy} has changed since the bundle before it, from version {before.version} to "
            f"{now.version}: what it holds back now leaves the other side."
        )
    return f"The bundle before it was judged by policy {before.title}, this one by {now.title}."


def check_since(manifest: Manifest, channel: str) -> None:
    """Raises Conflict `bundle-foreign` when an increment of `channel` cannot follow this bundle."""
    if manifest.channel != channel:
        raise Conflict(
            "bundle-foreign",
            f"The earlier bundle is of channel {manifest.channel}, not of {channel}: nothing follows it.",
        )


def _check_names(names: Mapping[str, Name]) -> None:
    for name in names:
        if not is_package_name(name):
            raise Invalid("bundle-invalid", f"The manifest names {name[:64]!r}, which is no package.")
