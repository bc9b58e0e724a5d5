from collections.abc import AsyncIterator

import pytest

from headgate.http.client import Outgoing


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    client = Outgoing(connect_timeout_s=5, stall_timeout_s=2)
    yield client
    await client.close()
