"""Two hosted channels: packages are in `outside`, and asked for `inside`."""

import pytest

from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName
from tests.packages import package
from tests.unit.approvals.making import ACTOR, upload


@pytest.fixture
async def channels(services: Services) -> None:
    """Empty `inside`; `outside` with an `app` that needs a `lib`, which others need as well."""
    for name in ("outside", "inside"):
        await services.core.channels.create(ACTOR, ChannelName(name), ChannelKind.HOSTED)
    await services.snapshots.reload()
    for name, version, depends in [
        ("lib", "1.0", []),
        ("lib", "2.0", []),
        ("lib", "3.0", ["absent"]),
        ("app", "1.0", ["lib >=1,<3"]),
        ("app", "2.0", ["lib >=2", "__glibc >=2.17"]),
        ("gpu", "1.0", ["__cuda >=12"]),
    ]:
        await upload(services, "outside", *package(name, version, subdir="linux-64", depends=depends))
    await upload(services, "outside", *package("pure", "1.0", depends=["app"]))
