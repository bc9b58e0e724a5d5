"""Channels as the rest of the house sees them: plain values, loaded by the catalog."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from headgate.channels.mirrors import MirrorSettings
from headgate.conda.names import ChannelName, Sha256, Subdir


class ChannelKind(StrEnum):
    """Where a channel's raw shards come from. Stored."""

    MIRROR = "mirror"
    """Follows one or more upstreams."""
    HOSTED = "hosted"
    """Holds what was uploaded."""
    VIRTUAL = "virtual"
    """An ordered union of other channels."""
    BUNDLE = "bundle"
    """Holds what bundles and plain zips carried in."""


class Privacy(StrEnum):
    """Who may read a channel. Stored."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"
    PRIVATE = "private"


class ChannelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an administrator may choose per channel."""

    is_hiding: bool = True
    """Virtual: a name found in an earlier member hides that name in later ones."""
    is_keeping_cached: bool = True
    """Mirror: files already cached stay listed when upstream removes them."""
    is_signing: bool = False
    """Published records bear our own signatures (conda content trust)."""
    is_hiding_broken: bool = False
    """Records are not listed whose dependencies policies keep out of the channel."""
    description: str = ""


class SourceKind(StrEnum):
    """What a source reads from. Stored."""

    UPSTREAM = "upstream"
    HOSTED = "hosted"
    MEMBER = "member"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class Source:
    """One source of a channel; `position` 0 has the highest priority."""

    id: int
    kind: SourceKind
    position: int
    name: str | None = None
    """A mirror's."""
    urls: tuple[str, ...] = ()
    """A mirror's, as they may be shown; complete ones are a matter of `Routes`."""
    settings: MirrorSettings = field(default_factory=MirrorSettings)
    sealed: str | None = field(default=None, repr=False)
    member: ChannelName | None = None
    member_id: int | None = None
    subdirs: tuple[Subdir, ...] | None = None
    next_run_at: datetime | None = None
    """A mirror's next sync by itself."""

    def as_json(self) -> dict[str, Any]:
        """A mirror as the API and the command line show it."""
        return {
            "name": self.name,
            "urls": list(self.urls),
            "subdirs": None if self.subdirs is None else list(self.subdirs),
            "settings": msgspec.to_builtins(self.settings),
            "next_run_at": None if self.next_run_at is None else self.next_run_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class SubdirState:
    """A subdir and the number of its newest revision (0: never published)."""

    id: int
    name: Subdir
    revision: int
    revised_at: datetime


@dataclass(frozen=True, slots=True)
class Document:
    """A rendered document: a blob, and the revision that it shows."""

    revision: int
    sha256: Sha256
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Freeze:
    """Since when a channel's index stands still, by whose will, and why."""

    at: datetime
    by: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"at": self.at.isoformat(), "by": self.by, "why": self.why}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with its sources, subdirs and rendered documents.

    `documents` is keyed by (subdir, document name); channel-wide documents have the subdir "".
    `revision` counts every revision of every subdir.
    """

    id: int
    name: ChannelName
    kind: ChannelKind
    privacy: Privacy
    settings: ChannelSettings
    revision: int
    created_at: datetime
    frozen: Freeze | None = None
    sources: tuple[Source, ...] = ()
    subdirs: dict[str, SubdirState] = field(default_factory=dict)
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What the API and the command line show; secrets in URLs are hidden."""
        return {
            "name": self.name,
            "kind": self.kind,
            "privacy": self.privacy,
            "settings": msgspec.to_builtins(self.settings),
            "created_at": self.created_at.isoformat(),
            "revision": self.revision,
            "frozen": None if self.frozen is None else self.frozen.as_json(),
            "mirrors": [source.as_json() for source in self.sources if source.kind is SourceKind.UPSTREAM],
            "members": [source.member for source in self.sources if source.kind is SourceKind.MEMBER],
            "subdirs": [
                {"name": subdir.name, "revision": subdir.revision, "revised_at": subdir.revised_at.isoformat()}
                for subdir in sorted(self.subdirs.values(), key=lambda one: one.name)
            ],
        }
