from collections.abc import AsyncIterator

import pytest

from headgate.http.client import Outgoing
from headgate.http.network import Network


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    client = Outgoing(Network(connect_timeout_s=5, stall_timeout_s=2))
    yield client
    await client.close()
