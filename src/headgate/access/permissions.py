"""What may be done, as `resource:action`, and the shorter words that a token's scope is given in."""

from enum import StrEnum


class Permission(StrEnum):
    """Every permission. Stored: these words never change."""

    ARTIFACT_DELETE = "artifact:delete"
    ARTIFACT_UPLOAD = "artifact:upload"
    CHANNEL_MANAGE = "channel:manage"
    CHANNEL_READ = "channel:read"
    JOB_MANAGE = "job:manage"
    MIRROR_MANAGE = "mirror:manage"
    TOKEN_MANAGE = "token:manage"


class ScopeAction(StrEnum):
    """What a token may be limited to."""

    VIEW = "view"
    ADD = "add"
    DELETE = "delete"
    ADMIN = "admin"


ACTION_OF = {
    Permission.ARTIFACT_DELETE: ScopeAction.DELETE,
    Permission.ARTIFACT_UPLOAD: ScopeAction.ADD,
    Permission.CHANNEL_MANAGE: ScopeAction.ADMIN,
    Permission.CHANNEL_READ: ScopeAction.VIEW,
    Permission.JOB_MANAGE: ScopeAction.ADMIN,
    Permission.MIRROR_MANAGE: ScopeAction.ADMIN,
    Permission.TOKEN_MANAGE: ScopeAction.ADMIN,
}
