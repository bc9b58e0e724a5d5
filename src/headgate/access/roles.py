"""Roles: named sets of permissions. These are built in; administrators add their own."""

from headgate.access.permissions import Permission

_READING = {Permission.CHANNEL_READ, Permission.ARTIFACT_DOWNLOAD, Permission.REQUEST_CREATE}

BUILT_IN: dict[str, frozenset[Permission]] = {
    "administrator": frozenset(Permission),
    "channel-manager": frozenset(
        {
            *_READING,
            Permission.ARTIFACT_DELETE,
            Permission.ARTIFACT_UPLOAD,
            Permission.BUNDLE_EXPORT,
            Permission.CHANNEL_MANAGE,
            Permission.JOB_MANAGE,
            Permission.MIRROR_MANAGE,
            Permission.POLICY_READ,
            Permission.PROMOTION_INTO,
            Permission.PROMOTION_OUT,
        }
    ),
    "publisher": frozenset({*_READING, Permission.ARTIFACT_UPLOAD}),
    "approver": frozenset(
        {
            *_READING,
            Permission.ADVISORY_CURATE,
            Permission.ADVISORY_READ,
            Permission.EXEMPTION_MANAGE,
            Permission.INCIDENT_MANAGE,
            Permission.POLICY_READ,
            Permission.PROMOTION_APPROVE,
            Permission.PROMOTION_INTO,
            Permission.PROMOTION_OUT,
            Permission.VIEW_SHARE,
        }
    ),
    "downloader": frozenset(_READING),
    "package-owner": frozenset({*_READING, Permission.ARTIFACT_DELETE, Permission.ARTIFACT_UPLOAD}),
    "auditor": frozenset(
        {
            Permission.ACCESS_READ,
            Permission.ADVISORY_READ,
            Permission.AUDIT_READ,
            Permission.CHANNEL_READ,
            Permission.POLICY_READ,
            Permission.VIEW_SHARE,
        }
    ),
}
"""Role name -> its permissions. An approver promotes out of the channels and into the channels that the role is granted on."""
