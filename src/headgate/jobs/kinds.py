"""The kinds of job there are: what a job is called, which class runs it, and in which queue it waits.

A new kind is a line here, a module beside this one with its workflow, and its class in `registry.py`.
"""

from dataclasses import dataclass

# queue     what runs there                  at once   looked at every
# publish   documents somebody waits for     2         0.15 s
# sync      mirrors                          2         0.3 s
# gate      subdirs to judge again           1         0.15 s
# promote   what a person decided on         2         0.3 s
# fetch     artifacts ahead                  2         2 s
# airgap    bundles and the drop folder      2         0.5 s
# ldap      directories                      1         1 s
# advisories  feeds and files of advisories 1        0.3 s
# upkeep    clean-up, backups                1         1 s
PUBLISH, SYNC, GATE, PROMOTE, FETCH = "publish", "sync", "gate", "promote", "fetch"
AIRGAP, LDAP, UPKEEP = "airgap", "ldap", "upkeep"
ADVISORIES = "advisories"
QUEUES = (
    (PUBLISH, 2, 0.15),
    (SYNC, 2, 0.3),
    (GATE, 1, 0.15),
    (PROMOTE, 2, 0.3),
    (FETCH, 2, 2.0),
    (AIRGAP, 2, 0.5),
    (LDAP, 1, 1.0),
    (ADVISORIES, 1, 0.3),
    (UPKEEP, 1, 1.0),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job; `name` is stored and never changes, `owner` is the class that has its workflow."""

    name: str
    owner: str
    queue: str


SYNC_MIRROR = Kind("sync-mirror", "SyncJobs", SYNC)
REVISE_SUBDIR = Kind("revise-subdir", "GateJobs", GATE)
FETCH_ARTIFACTS = Kind("fetch-artifacts", "FetchJobs", FETCH)
SYNC_LDAP = Kind("sync-ldap", "LdapJobs", LDAP)
PUBLISH_DOCUMENT = Kind("publish-document", "PublishJobs", PUBLISH)
PROMOTE_ARTIFACTS = Kind("promote-artifacts", "PromoteJobs", PROMOTE)
CHANGE_ARTIFACTS = Kind("change-artifacts", "BatchJobs", PROMOTE)
EXPORT_BUNDLE = Kind("export-bundle", "AirgapJobs", AIRGAP)
IMPORT_BUNDLE = Kind("import-bundle", "AirgapJobs", AIRGAP)
SCAN_DROP_FOLDER = Kind("scan-drop-folder", "AirgapJobs", AIRGAP)
REFRESH_FEED = Kind("refresh-feed", "AdvisoryJobs", ADVISORIES)
IMPORT_ADVISORIES = Kind("import-advisories", "AdvisoryJobs", ADVISORIES)
EXPIRE_REQUESTS = Kind("expire-requests", "PromoteJobs", PROMOTE)
COLLECT_GARBAGE = Kind("collect-garbage", "UpkeepJobs", UPKEEP)
BACKUP = Kind("backup", "BackupJobs", UPKEEP)

KINDS = {
    kind.name: kind
    for kind in (
        SYNC_MIRROR,
        REVISE_SUBDIR,
        FETCH_ARTIFACTS,
        SYNC_LDAP,
        PUBLISH_DOCUMENT,
        PROMOTE_ARTIFACTS,
        CHANGE_ARTIFACTS,
        EXPORT_BUNDLE,
        IMPORT_BUNDLE,
        SCAN_DROP_FOLDER,
        REFRESH_FEED,
        IMPORT_ADVISORIES,
        EXPIRE_REQUESTS,
        COLLECT_GARBAGE,
        BACKUP,
    )
}
