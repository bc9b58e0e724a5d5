"""Audit events: one per state change, written in the transaction that makes the change, each chained to the one before."""

import json
from dataclasses import replace
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.chain import Event, next_hash
from headgate.db import tables, tables_audit
from headgate.db.engine import do_last
from headgate.kernel import clock


class Action(StrEnum):
    """What can happen, as `resource:action`. Stored: these words never change."""

    ADVISORY_ADD_FEED = "advisory:add-feed"
    ADVISORY_CURATE = "advisory:curate"
    ADVISORY_END_CURATION = "advisory:end-curation"
    ADVISORY_IMPORT = "advisory:import"
    ADVISORY_REMOVE_FEED = "advisory:remove-feed"
    ADVISORY_SET_FEED = "advisory:set-feed"
    ADVISORY_SET_NAME = "advisory:set-name"
    ARTIFACT_ATTEST = "artifact:attest"
    ARTIFACT_BATCH = "artifact:batch"
    ARTIFACT_CACHE = "artifact:cache"
    ARTIFACT_COPY = "artifact:copy"
    ARTIFACT_DELETE = "artifact:delete"
    ARTIFACT_LAPSE = "artifact:lapse"
    ARTIFACT_MOVE = "artifact:move"
    ARTIFACT_PROLONG = "artifact:prolong"
    ARTIFACT_PROMOTE = "artifact:promote"
    ARTIFACT_UNYANK = "artifact:unyank"
    ARTIFACT_UPLOAD = "artifact:upload"
    ARTIFACT_YANK = "artifact:yank"
    AUDIT_ADD_STREAM = "audit:add-stream"
    AUDIT_PRUNE = "audit:prune"
    AUDIT_REMOVE_STREAM = "audit:remove-stream"
    BACKUP_FAIL = "backup:fail"
    BACKUP_MAKE = "backup:make"
    BUNDLE_DISTRUST = "bundle:distrust"
    BUNDLE_EXPORT = "bundle:export"
    BUNDLE_IMPORT = "bundle:import"
    BUNDLE_TRUST = "bundle:trust"
    CA_ADD = "ca:add"
    CA_REMOVE = "ca:remove"
    CHANNEL_CREATE = "channel:create"
    CHANNEL_DELETE = "channel:delete"
    CHANNEL_FREEZE = "channel:freeze"
    CHANNEL_OPEN_SUBDIR = "channel:open-subdir"
    CHANNEL_PATCH = "channel:patch"
    CHANNEL_ROLLBACK = "channel:rollback"
    CHANNEL_SET = "channel:set"
    CHANNEL_UNFREEZE = "channel:unfreeze"
    DEVICE_APPROVE = "device:approve"
    DEVICE_DENY = "device:deny"
    DROP_REFUSE = "drop:refuse"
    DROP_TAKE = "drop:take"
    EXEMPTION_ADD = "exemption:add"
    EXEMPTION_REVOKE = "exemption:revoke"
    GRANT_ADD = "grant:add"
    GRANT_REMOVE = "grant:remove"
    GROUP_ADD_MEMBER = "group:add-member"
    GROUP_CREATE = "group:create"
    GROUP_DELETE = "group:delete"
    GROUP_REMOVE_MEMBER = "group:remove-member"
    INCIDENT_DECLARE = "incident:declare"
    INCIDENT_LIFT = "incident:lift"
    JOB_PAUSE = "job:pause"
    JOB_RESUME = "job:resume"
    JOB_RETRY = "job:retry"
    JOB_STOP = "job:stop"
    LDAP_ADD = "ldap:add"
    LDAP_REMOVE = "ldap:remove"
    LDAP_SET = "ldap:set"
    LDAP_SYNC = "ldap:sync"
    MIRROR_ADD = "mirror:add"
    MIRROR_ASK_FETCH = "mirror:ask-fetch"
    MIRROR_ASK_SYNC = "mirror:ask-sync"
    MIRROR_REMOVE = "mirror:remove"
    MIRROR_SET = "mirror:set"
    MIRROR_SYNC = "mirror:sync"
    OIDC_PROVIDER_ADD = "oidc-provider:add"
    OIDC_PROVIDER_REMOVE = "oidc-provider:remove"
    OIDC_PROVIDER_SET = "oidc-provider:set"
    PACKAGE_ADD_OWNER = "package:add-owner"
    PACKAGE_ANNOTATE = "package:annotate"
    PACKAGE_DEPRECATE = "package:deprecate"
    PACKAGE_REMOVE_OWNER = "package:remove-owner"
    PACKAGE_UNDEPRECATE = "package:undeprecate"
    PIPELINE_CREATE = "pipeline:create"
    PIPELINE_DELETE = "pipeline:delete"
    PIPELINE_SET = "pipeline:set"
    POLICY_ATTACH = "policy:attach"
    POLICY_CREATE = "policy:create"
    POLICY_DELETE = "policy:delete"
    POLICY_DETACH = "policy:detach"
    POLICY_SET = "policy:set"
    PROMOTION_APPLY = "promotion:apply"
    PROMOTION_CREATE = "promotion:create"
    PROMOTION_UNDO = "promotion:undo"
    REQUEST_APPLY = "request:apply"
    REQUEST_APPROVE = "request:approve"
    REQUEST_ASK_CHANGES = "request:ask-changes"
    REQUEST_COMMENT = "request:comment"
    REQUEST_CREATE = "request:create"
    REQUEST_DIVIDE = "request:divide"
    REQUEST_EXPIRE = "request:expire"
    REQUEST_FAIL = "request:fail"
    REQUEST_JOIN = "request:join"
    REQUEST_REJECT = "request:reject"
    REQUEST_SET_RULES = "request:set-rules"
    REQUEST_SUBMIT = "request:submit"
    REQUEST_WITHDRAW = "request:withdraw"
    ROLE_CREATE = "role:create"
    ROLE_DELETE = "role:delete"
    SESSION_BEGIN = "session:begin"
    SESSION_END = "session:end"
    SIGNING_INIT = "signing:init"
    SIGNING_ROTATE = "signing:rotate"
    TOKEN_CREATE = "token:create"
    TOKEN_NARROW = "token:narrow"
    TOKEN_REVOKE = "token:revoke"
    TOKEN_ROTATE = "token:rotate"
    USER_CREATE = "user:create"
    USER_DELETE = "user:delete"
    USER_DISABLE = "user:disable"
    USER_ENABLE = "user:enable"
    USER_SET_ADMINISTRATOR = "user:set-administrator"
    USER_SET_MUST_CHANGE = "user:set-must-change"
    USER_SET_PASSWORD = "user:set-password"
    VIEW_REMOVE = "view:remove"
    VIEW_SAVE = "view:save"


async def record(
    connection: AsyncConnection,
    action: Action,
    actor: str,
    *,
    channel: str | None = None,
    subject: str | None = None,
    **detail: Any,
) -> None:
    """Write the event at the end of the open transaction: it commits, or vanishes, with the change."""
    plain = json.loads(json.dumps(detail))  # as it will be read again
    at = clock.from_ms(clock.now_ms())
    do_last(connection, _append, Event(0, at, str(action), actor, channel, subject, plain))


async def _append(connection: AsyncConnection, events: list[Event]) -> None:
    """Put the events at the chain's end. Whoever else wants to waits here until this transaction has ended."""
    chain = tables_audit.audit_chain
    head = (await connection.execute(select(chain.c.number, chain.c.hash).with_for_update())).one()
    number, previous = head
    rows = []
    for event in events:
        number += 1
        numbered = replace(event, number=number)
        previous = next_hash(previous, numbered)
        rows.append({
            "number": number, "hash": previous, "at": event.at, "action": event.action, "actor": event.actor,
            "channel": event.channel, "subject": event.subject, "detail": event.detail,
        })  # fmt: skip
    await connection.execute(tables.audit_event.insert(), rows)
    await connection.execute(update(chain).values(number=number, hash=previous))
