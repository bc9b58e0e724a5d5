"""The API behind its ASGI application, and callers of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from zlib import crc32

import httpx
import pytest
from fastapi import FastAPI

from headgate.access.permissions import ScopeAction
from headgate.bootstrap import Services
from headgate.doors.api.app import build_api

PASSWORD = "correct horse battery"
_ON_BOTH = {"test_conda_door.py", "test_gate.py"}
_BACKENDS = ("sqlite", "postgres")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Doors are tried on one database each, drawn by the test's name: what lies beneath them is tried on both."""
    dropped = [item for item in items if _is_spare(item)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in set(dropped)]


def _is_spare(item: pytest.Item) -> bool:
    if item.path.parent != Path(__file__).parent or item.path.name in _ON_BOTH:
        return False
    backend = getattr(item, "callspec", None) and item.callspec.params.get("place")  # type: ignore[attr-defined]
    drawn = crc32(item.name.replace("postgres", "sqlite").encode()) % len(_BACKENDS)
    return backend is not None and backend != _BACKENDS[drawn]


@dataclass(frozen=True, slots=True)
class Callers:
    """One client per kind of caller."""

    admin: httpx.AsyncClient
    anonymous: httpx.AsyncClient
    viewer: httpx.AsyncClient
    """A token of the administrator that may only view."""
    adder: httpx.AsyncClient
    """A token of the administrator that may only add."""
    member: httpx.AsyncClient
    """A user who is no administrator."""
    with_token: Callable[[str], httpx.AsyncClient]


@pytest.fixture(scope="session")
def api() -> FastAPI:
    """The application without services: its models take a while to build at the first request, so all tests share it."""
    return build_api(cast(Services, None))


@pytest.fixture
async def callers(services: Services, api: FastAPI) -> AsyncIterator[Callers]:
    access = services.core.access
    await access.create_user("test", "ada", PASSWORD, is_administrator=True)
    await access.create_user("test", "bob", PASSWORD, is_administrator=False)
    texts = {
        name: (await access.create_token("test", user, name, permissions=actions))[1]
        for name, user, actions in [
            ("admin", "ada", None),
            ("viewer", "ada", [ScopeAction.VIEW]),
            ("adder", "ada", [ScopeAction.ADD]),
            ("member", "bob", None),
        ]
    }
    await services.snapshots.reload()
    api.state.services = services
    async with AsyncExitStack() as stack:
        made: list[httpx.AsyncClient] = []

        def client(token: str | None) -> httpx.AsyncClient:
            made.append(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(api),
                    base_url="http://headgate.test/api/v1",
                    headers={} if token is None else {"authorization": f"Bearer {token}"},
                )
            )
            stack.push_async_callback(made[-1].aclose)
            return made[-1]

        yield Callers(anonymous=client(None), with_token=client, **{name: client(text) for name, text in texts.items()})


@pytest.fixture
async def hosted(callers: Callers) -> str:
    """A private hosted channel."""
    created = await callers.admin.post("/channels", json={"name": "team", "kind": "hosted"})
    assert created.status_code == 201, created.text
    return "team"


@pytest.fixture
async def mirror(callers: Callers) -> str:
    """A private mirror of an upstream that nobody calls."""
    body = {
        "name": "outer/world",
        "kind": "mirror",
        "mirrors": [{"urls": ["https://me:secret@conda.example/main"], "subdirs": ["noarch"]}],
    }
    created = await callers.admin.post("/channels", json=body)
    assert created.status_code == 201, created.text
    return "outer/world"
