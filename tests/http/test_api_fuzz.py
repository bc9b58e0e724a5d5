"""Whatever is sent to the API, it never answers with a failure of its own (schemathesis, from the OpenAPI document)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.python import asgi

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.ldap.service import LdapChange
from headgate.access.permissions import Permission
from headgate.bootstrap import Place, Services, build_services
from headgate.channels.mirrors import Mirror
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName
from headgate.doors.api.app import PREFIX, build_api
from tests.certificates import certificate_pem
from tests.conftest import migrated_place

_EXAMPLES = 6
_KNOWN = {
    "channel": "team", "subdir": "noarch", "filename": "demo-1.0-0.conda",
    "user": "ada", "name": "grace", "kind": "user", "member": "ada", "id": 1,
}  # fmt: skip


class _Served:
    """The API with its services, both living in the event loop that schemathesis runs applications in."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._app: Any = None
        self.token = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._app(scope, receive, send)
            return
        await receive()
        services = build_services(self._place)
        await self._fill(services)
        await services.start()
        self._app = build_api(services)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await services.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _fill(self, services: Services) -> None:
        core = services.core
        await core.access.create_user("test", "ada", "correct horse battery", is_administrator=True)
        await core.access.users.create("test", "grace")
        await core.access.groups.create("test", "grace")
        await core.access.grants.create_role("test", "grace", [Permission.AUDIT_READ])
        await core.access.grants.add_grant("test", PrincipalKind.USER, "grace", "grace", Scope())
        await core.access.create_token("test", "grace", "aimed at")
        ldap = {"urls": ["ldaps://127.0.0.1:1"], "user_base": "dc=x"}
        await core.ldap.add("test", "grace", LdapChange(ldap))
        _, self.token = await core.access.create_token("test", "ada", "fuzz")
        await core.channels.create("test", ChannelName("team"), ChannelKind.HOSTED)
        mirrors = [Mirror(None, ("https://conda.example/main",))]
        await core.channels.create("test", ChannelName("outer/world"), ChannelKind.MIRROR, mirrors=mirrors)
        await core.authorities.add("test", "grace", certificate_pem().encode(), is_everywhere=False)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[_Served]:
    yield _Served(migrated_place(tmp_path / "data"))
    asgi.shutdown_lifespans()


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_makes_the_api_fail(served: _Served, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", served)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) > 20
    for operation in operations:
        _send_many(operation, mode, served.token)


def _send_many(operation: schemathesis.APIOperation[Any, Any, Any, Any], mode: GenerationMode, token: str) -> None:
    known = _KNOWN | ({"channel": "outer/world"} if "mirrors" in (operation.tags or ()) else {})
    is_last_breath = (operation.method, operation.path) == ("delete", f"{PREFIX}/channels/{{channel}}")

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_aimed=st.booleans())
    def send(case: Any, is_aimed: bool) -> None:
        if is_aimed and not is_last_breath:
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=[not_a_server_error])

    send()
