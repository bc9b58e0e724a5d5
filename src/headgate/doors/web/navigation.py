"""What stands in the navigation, and for whom. One line per noun; a page that one may not see is not offered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headgate.access.permissions import Permission

if TYPE_CHECKING:
    from headgate.doors.web.viewing import Viewer


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the navigation. `is_for` says who sees it."""

    title: str
    path: str
    icon: str
    is_for: Callable[["Viewer"], bool]

    def is_here(self, path: str) -> bool:
        """Whether the page at this path belongs to the line."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


def _everyone(_viewer: "Viewer") -> bool:
    return True


def _members(viewer: "Viewer") -> bool:
    return viewer.visitor is not None


def _whoever_may(*permissions: Permission) -> Callable[["Viewer"], bool]:
    """Those with one of the permissions, on the server or at some channel."""
    return lambda viewer: any(viewer.may_somewhere(permission) for permission in permissions)


def _on_server(permission: Permission) -> Callable[["Viewer"], bool]:
    """Those with the permission on the server as a whole."""
    return lambda viewer: viewer.may(permission)


ENTRIES: Final[Sequence[Entry]] = (
    Entry("Home", "/", "home", _everyone),
    Entry("Search", "/search", "search", _everyone),
    Entry("Requests", "/requests", "inbox", _members),
    Entry("Channels", "/channels", "channels", _everyone),
    Entry("Pipelines", "/pipelines", "next", _members),
    Entry("Policies", "/policies", "policy", _on_server(Permission.POLICY_READ)),
    Entry("Exemptions", "/exemptions", "scale", _on_server(Permission.POLICY_READ)),
    Entry("Advisories", "/advisories", "advisory", _on_server(Permission.ADVISORY_READ)),
    Entry("Incidents", "/incidents", "pause", _on_server(Permission.POLICY_READ)),
    Entry("Reports", "/reports", "chart", _whoever_may(Permission.AUDIT_READ)),
    Entry("Audit", "/audit", "audit", _on_server(Permission.AUDIT_READ)),
    Entry(
        "Administration",
        "/admin",
        "settings",
        _whoever_may(
            Permission.ACCESS_READ,
            Permission.TOKEN_MANAGE,
            Permission.JOB_MANAGE,
            Permission.NETWORK_MANAGE,
            Permission.BUNDLE_TRUST,
        ),
    ),
    Entry("API", "/docs", "book", _members),
)


def entries_for(viewer: "Viewer") -> Sequence[Entry]:
    """The lines that this viewer sees."""
    return [entry for entry in ENTRIES if entry.is_for(viewer)]
