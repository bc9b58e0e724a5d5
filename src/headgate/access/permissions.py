"""What may be done, as `resource:action`, and the shorter words that a token's scope is given in."""

from enum import StrEnum


class Permission(StrEnum):
    """Every permission. Stored: these words never change."""

    ACCESS_MANAGE = "access:manage"
    ACCESS_READ = "access:read"
    ADVISORY_CURATE = "advisory:curate"
    ADVISORY_MANAGE = "advisory:manage"
    ADVISORY_READ = "advisory:read"
    ARTIFACT_DELETE = "artifact:delete"
    ARTIFACT_DOWNLOAD = "artifact:download"
    ARTIFACT_UPLOAD = "artifact:upload"
    AUDIT_MANAGE = "audit:manage"
    AUDIT_READ = "audit:read"
    BUNDLE_EXPORT = "bundle:export"
    BUNDLE_TRUST = "bundle:trust"
    CHANNEL_MANAGE = "channel:manage"
    CHANNEL_READ = "channel:read"
    EXEMPTION_MANAGE = "exemption:manage"
    INCIDENT_MANAGE = "incident:manage"
    JOB_MANAGE = "job:manage"
    MIRROR_MANAGE = "mirror:manage"
    NETWORK_MANAGE = "network:manage"
    POLICY_MANAGE = "policy:manage"
    POLICY_READ = "policy:read"
    PROMOTION_APPROVE = "promotion:approve"
    PROMOTION_INTO = "promotion:into"
    PROMOTION_OUT = "promotion:out"
    REQUEST_CREATE = "request:create"
    SIGNING_MANAGE = "signing:manage"
    TOKEN_MANAGE = "token:manage"
    VIEW_SHARE = "view:share"


class ScopeAction(StrEnum):
    """What a token may be limited to."""

    VIEW = "view"
    ADD = "add"
    PROMOTE = "promote"
    DELETE = "delete"
    ADMIN = "admin"


ACTION_OF = {
    Permission.ACCESS_MANAGE: ScopeAction.ADMIN,
    Permission.ACCESS_READ: ScopeAction.ADMIN,
    Permission.ADVISORY_CURATE: ScopeAction.ADMIN,
    Permission.ADVISORY_MANAGE: ScopeAction.ADMIN,
    Permission.ADVISORY_READ: ScopeAction.VIEW,
    Permission.ARTIFACT_DELETE: ScopeAction.DELETE,
    Permission.ARTIFACT_DOWNLOAD: ScopeAction.VIEW,
    Permission.ARTIFACT_UPLOAD: ScopeAction.ADD,
    Permission.AUDIT_MANAGE: ScopeAction.ADMIN,
    Permission.AUDIT_READ: ScopeAction.ADMIN,
    Permission.BUNDLE_EXPORT: ScopeAction.ADMIN,
    Permission.BUNDLE_TRUST: ScopeAction.ADMIN,
    Permission.CHANNEL_MANAGE: ScopeAction.ADMIN,
    Permission.CHANNEL_READ: ScopeAction.VIEW,
    Permission.EXEMPTION_MANAGE: ScopeAction.PROMOTE,
    Permission.INCIDENT_MANAGE: ScopeAction.ADMIN,
    Permission.JOB_MANAGE: ScopeAction.ADMIN,
    Permission.MIRROR_MANAGE: ScopeAction.ADMIN,
    Permission.NETWORK_MANAGE: ScopeAction.ADMIN,
    Permission.POLICY_MANAGE: ScopeAction.ADMIN,
    Permission.POLICY_READ: ScopeAction.VIEW,
    Permission.PROMOTION_APPROVE: ScopeAction.PROMOTE,
    Permission.PROMOTION_INTO: ScopeAction.PROMOTE,
    Permission.PROMOTION_OUT: ScopeAction.PROMOTE,
    Permission.REQUEST_CREATE: ScopeAction.ADD,
    Permission.SIGNING_MANAGE: ScopeAction.ADMIN,
    Permission.TOKEN_MANAGE: ScopeAction.ADMIN,
    Permission.VIEW_SHARE: ScopeAction.ADMIN,
}
