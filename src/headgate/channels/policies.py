"""Policies, where they are attached, and exemptions: a snapshot of topic `policies`, small enough to load whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.grants import covers_channel
from headgate.channels.model import Channel
from headgate.db import tables_gate
from headgate.kernel.errors import Invalid
from headgate.policy.exemptions import Exemption, ExemptionKind
from headgate.policy.gate import Attached, Gate
from headgate.policy.model import Mode, Policy, RuleEntry, parse_policy
from headgate.policy.rules.unreadable import UnreadableRule
from headgate.policy.verdicts import Outcome

TOPIC = "policies"
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a policy holds: `scope` is `*`, a prefix such as `team/*`, a channel, or `channel mirror`."""

    id: int
    policy: str
    scope: str
    channel_id: int | None
    source_id: int | None
    created_at: datetime
    created_by: str

    def covers(self, channel: Channel) -> bool:
        """True when it holds in a channel, or in one of its mirrors."""
        if self.channel_id is not None:
            return self.channel_id == channel.id
        return self.scope == EVERYWHERE or covers_channel(self.scope, channel.name)


class PolicyBook:
    """All of them at one moment."""

    def __init__(
        self,
        policies: Mapping[str, Policy] | None = None,
        attachments: Iterable[Attachment] = (),
        exemptions: Iterable[Exemption] = (),
    ) -> None:
        self.policies = dict(policies or {})
        self.attachments = tuple(attachments)
        self.exemptions = tuple(exemptions)
        self._gates: dict[tuple[int, str, bool], Gate | None] = {}

    def gate_of(self, channel: Channel, *, has_feeds: bool) -> Gate | None:
        """The gate of a channel; None when nothing is attached to it, and no feed could name a malicious package."""
        key = (channel.id, channel.name, has_feeds)
        if key not in self._gates:
            self._gates[key] = self._built(channel, has_feeds=has_feeds)
        return self._gates[key]

    def with_policy(self, policy: Policy, scope: Attachment) -> "PolicyBook":
        """The book with one policy put in, and attached there: for questions of what would be."""
        others = [one for one in self.attachments if (one.policy, one.scope) != (policy.name, scope.scope)]
        return PolicyBook({**self.policies, policy.name: policy}, [*others, scope], self.exemptions)

    def with_exemption(self, exemption: Exemption) -> "PolicyBook":
        """The book with one more exemption."""
        return PolicyBook(self.policies, self.attachments, [*self.exemptions, exemption])

    def _built(self, channel: Channel, *, has_feeds: bool) -> Gate | None:
        attached = {
            (one.policy, one.source_id): Attached(self.policies[one.policy], one.source_id)
            for one in self.attachments
            if one.covers(channel) and self.policies[one.policy].mode is not Mode.OFF
        }
        if not attached and not has_feeds:
            return None
        exemptions = [
            one for one in self.exemptions if one.channel is None or covers_channel(one.channel, channel.name)
        ]
        return Gate(tuple(attached.values()), tuple(exemptions))


class Policies:
    """What this process remembers of them."""

    def __init__(self) -> None:
        self.book = PolicyBook()

    async def load(self, connection: AsyncConnection) -> None:
        """Read everything again."""
        self.book = await read_policies(connection)


async def read_policies(connection: AsyncConnection) -> PolicyBook:
    """All policies as this connection sees them: one query while nothing was ever made, three otherwise."""
    columns, versions = tables_gate.policy.c, tables_gate.policy_version.c
    rows = await connection.execute(
        select(columns.name, versions.document).join(
            tables_gate.policy_version, (versions.policy_id == columns.id) & (versions.version == columns.version)
        )
    )
    policies = {row.name: _parsed(row.name, row.document) for row in rows}
    return PolicyBook(
        policies, await _read_attachments(connection) if policies else (), await read_exemptions(connection)
    )


async def _read_attachments(connection: AsyncConnection) -> list[Attachment]:
    columns = tables_gate.policy_attachment.c
    rows = await connection.execute(
        select(tables_gate.policy_attachment, tables_gate.policy.c.name.label("policy"))
        .join(tables_gate.policy, tables_gate.policy.c.id == columns.policy_id)
        .order_by(columns.id)
    )
    return [
        Attachment(row.id, row.policy, row.scope, row.channel_id, row.source_id, row.created_at, row.created_by)
        for row in rows
    ]


async def read_exemptions(connection: AsyncConnection) -> list[Exemption]:
    """Those that were not revoked."""
    columns = tables_gate.exemption.c
    rows = await connection.execute(
        select(tables_gate.exemption).where(columns.revoked_at.is_(None)).order_by(columns.id)
    )
    return [exemption_of(row) for row in rows]


def exemption_of(row: Any) -> Exemption:
    """An exemption of its row."""
    return Exemption(
        id=row.id,
        kind=ExemptionKind(row.kind),
        target=row.target,
        owner=row.owner,
        reason=row.reason,
        channel=row.channel,
        spec=row.spec,
        expires_at=row.expires_at,
    )


def _parsed(name: str, document: Any) -> Policy:
    return _parsed_text(name, msgspec.json.encode(document, order="sorted"))


@lru_cache(maxsize=1_000)
def _parsed_text(name: str, document: bytes) -> Policy:
    """The policy; one that this version cannot read holds everything back, and says so."""
    plain = msgspec.json.decode(document)
    try:
        return parse_policy(plain)
    except Invalid as error:
        entry = RuleEntry("unreadable", UnreadableRule.of(error.message), Outcome.HOLD)
        return Policy(name, Mode.ENFORCE, "", (entry,), document=plain)
