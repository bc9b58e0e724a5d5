"""The conda door, with every request and its answer noted in the access log."""

from dataclasses import dataclass

from headgate.access.principals import Principal
from headgate.audit.access_log import Access, AccessLog
from headgate.audit.masking import NOBODY, Kind
from headgate.channels.catalog import Catalog
from headgate.doors.conda.app import CondaDoor
from headgate.doors.conda.paths import CondaPath
from headgate.doors.conda.visits import Visit
from headgate.doors.counting import Counted
from headgate.doors.credentials import ProxyRanges
from headgate.doors.http import Scope
from headgate.doors.problems import status_of
from headgate.kernel.errors import HeadgateError


@dataclass(frozen=True, slots=True)
class LoggedDoor:
    """Answers as the door behind it does. Requests for channels that are not there are not noted."""

    behind: CondaDoor
    log: AccessLog
    catalog: Catalog
    proxies: ProxyRanges

    async def answer(self, scope: Scope, send: Counted) -> None:
        """Answer one request. Raises what the door behind raises."""
        visit = Visit()
        try:
            await self.behind.answer(scope, send, visit)
        except HeadgateError as error:
            visit.verdict = error.code
            self._note(scope, send, visit, send.status or status_of(error))
            raise
        except Exception:
            visit.verdict = "internal-error"
            self._note(scope, send, visit, send.status or 500)
            raise
        self._note(scope, send, visit, send.status)

    def _note(self, scope: Scope, send: Counted, visit: Visit, status: int) -> None:
        path, principal = visit.path, visit.principal
        if path is None or (kind := _kind(path)) not in self.log.kinds or self.catalog.find(path.channel) is None:
            return
        agent = b""
        for name, value in scope["headers"]:  # a generator would cost as much as all the rest
            if name == b"user-agent":
                agent = value
                break
        address, sent = self.proxies.address_of(scope), send.sent_bytes + visit.sent_elsewhere_bytes
        # Most of what clients ask for within a moment is the same: then this key is all that it costs.
        key = (id(path), principal, address, agent, visit.sha256, visit.verdict, scope["method"], status, sent)
        if self.log.note_again(key):
            return
        artifact = path.artifact
        access = Access(
            kind=kind,
            method=scope["method"],
            channel=path.channel,
            subdir=path.subdir or "",
            filename=(path.document or path.shard or "") if artifact is None else artifact.filename,
            package="" if artifact is None else artifact.name,
            sha256=visit.sha256,
            who=NOBODY if principal is None else principal.name,
            token=_token(principal),
            address=address,
            agent=agent.decode("latin-1"),
            verdict=visit.verdict,
            status=status,
            size_bytes=sent,
        )
        self.log.note(access, key, kept=path)


def _kind(path: CondaPath) -> Kind | None:
    if path.sidecar is not None:
        return None
    if path.artifact is not None:
        return Kind.DOWNLOAD
    if path.shard is not None:
        return Kind.SHARD
    return None if path.is_listing or path.document == "notices.json" else Kind.INDEX


def _token(principal: Principal | None) -> str:
    return "" if principal is None or principal.token is None else principal.token.name
