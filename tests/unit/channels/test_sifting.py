"""What is sifted by a policy is what the channel would publish if that policy were enforced there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from headgate.bootstrap import Services
from headgate.channels.exempting import Wish
from headgate.channels.model import ChannelKind, ChannelSettings
from headgate.channels.policing import Target
from headgate.channels.sifting import Packed, Sieve, Sifted, meaning_of, open_sieve
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.conda.shards import decode_stored
from headgate.intake.hosted import delete
from headgate.kernel.errors import NotFound
from headgate.policy.exemptions import ExemptionKind
from headgate.policy.model import parse_policy
from tests.packages import package

ACTOR = "tests"
RULES: dict[str, list[dict[str, Any]]] = {
    "by name and version": [{"kind": "match-spec", "exclude": ["lib >=2", "gone"], "action": "block"}],
    "by what lies beside it": [{"kind": "latest-patch", "action": "hold"}],
    "by what archives show": [{"kind": "install-scripts", "action": "hold"}],
    "by nothing that is here": [{"kind": "match-spec", "exclude": ["numpy"], "action": "block"}],
    "by warning alone": [{"kind": "match-spec", "exclude": ["lib"], "action": "warn"}],
}


async def upload(services: Services, channel: str, *packages: tuple[str, bytes]) -> None:
    for filename, body in packages:

        async def pieces(body: bytes = body) -> AsyncIterator[bytes]:
            yield body

        await services.uploads.take(ACTOR, services.catalog.get(channel), filename, pieces())
        await services.snapshots.reload()


@pytest.fixture
async def filled(services: Services) -> Services:
    """Two hosted channels that both have `lib`, and `both`, which shows them."""
    hosted, channels = ChannelKind.HOSTED, services.core.channels
    await channels.create(ACTOR, ChannelName("team"), hosted)
    await channels.create(ACTOR, ChannelName("more"), hosted)
    members = [ChannelName("team"), ChannelName("more")]
    settings = ChannelSettings(is_hiding=False)
    await channels.create(ACTOR, ChannelName("both"), ChannelKind.VIRTUAL, members=members, settings=settings)
    await services.snapshots.reload()
    versions = ("1.0.0", "1.0.1", "2.0.0", "2.0.3")
    await upload(services, "team", *(package("lib", version) for version in versions), package("gone"), package("app"))
    await upload(services, "more", package("lib", "3.0.0"), package("lib", "1.0.0", content=b"other"), package("plain"))
    return services


async def published(services: Services, channel: str) -> dict[str, Packed]:
    await services.snapshots.reload()
    state = services.catalog.get(channel).subdirs["noarch"]
    digests = (await services.maps.get(state)).digests
    bodies = await services.shards.find_many(list(digests.values()))
    return {name: (digest, bodies[digest]) for name, digest in digests.items()}


async def sieve(services: Services, channel: str, mode: str = "off", *rules: dict[str, Any]) -> Sieve:
    """By a policy that is attached nowhere."""
    await services.core.policies.apply(ACTOR, {"name": "strict", "mode": mode, "rule": list(rules)})
    await services.snapshots.reload()
    return await open_sieve(services.core.database, services.catalog.get(channel), "strict")


def passing(found: dict[str, Sifted]) -> dict[str, bytes]:
    return {name: one.passing[0] for name, one in found.items() if one.passing is not None}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
async def test_what_passes_is_what_would_be_published(filled: Services, rules: list[dict[str, Any]]) -> None:
    wish = Wish(kind=ExemptionKind.SPEC, target="lib 2.0.3", reason="needed", owner="ada")
    await filled.core.exemptions.add(ACTOR, wish)
    before = {channel: await published(filled, channel) for channel in ("both", "team")}
    sieves = {channel: await sieve(filled, channel, "off", *rules) for channel in before}
    found = {channel: await by.sift("noarch", before[channel]) for channel, by in sieves.items()}
    await filled.core.policies.apply(ACTOR, {"name": "strict", "mode": "enforce", "rule": rules})
    for channel, by in sieves.items():  # the one that shows the other first, while that one is still whole
        await filled.core.policies.attach(ACTOR, "strict", Target(channel=channel))
        after = await published(filled, channel)
        assert passing(found[channel]) == {name: digest for name, (digest, _) in after.items()}
        assert by.held_back == count(before[channel]) - count(after)


def count(shards: dict[str, Packed]) -> int:
    return sum(1 for _, body in shards.values() for _ in decode_stored(body).records())


async def test_the_verdict_names_the_rule(filled: Services) -> None:
    by = await sieve(filled, "team", "audit", *RULES["by name and version"])
    found = await by.sift("noarch", await published(filled, "team"))
    assert found["gone"].passing is None
    assert set(found["lib"].held) == {"lib-2.0.0-0.conda", "lib-2.0.3-0.conda"}
    assert found["lib"].held["lib-2.0.0-0.conda"].rules == (("strict", "match-spec"),)


async def test_what_is_published_is_judged_though_its_source_lost_it(filled: Services) -> None:
    """A frozen channel goes on showing what its members lost meanwhile; a policy has its say on that too."""
    await filled.core.life.freezing.freeze(ACTOR, "both")
    await filled.snapshots.reload()
    channel = filled.catalog.get("team")
    for filename in ("lib-2.0.0-0.conda", "gone-1.0-0.conda"):
        await filled.hosted.submit(channel, delete(ACTOR, Subdir("noarch"), ArtifactName.parse(filename)))
    before = await published(filled, "both")
    assert "gone" in before
    assert "gone" not in await published(filled, "team")
    by = await sieve(filled, "both", "off", *RULES["by name and version"])
    found = await by.sift("noarch", before)
    assert found["gone"].passing is None
    assert set(found["lib"].held) == {"lib-2.0.0-0.conda", "lib-2.0.3-0.conda", "lib-3.0.0-0.conda"}


async def test_a_policy_that_is_not_there_is_not_found(filled: Services) -> None:
    with pytest.raises(NotFound, match="no policy lax") as raised:
        await open_sieve(filled.core.database, filled.catalog.get("team"), "lax")
    assert raised.value.code == "policy-unknown"


def test_the_meaning_of_a_policy_is_what_its_rules_say_not_its_mode() -> None:
    one, other = ({"name": "strict", "rule": RULES[name]} for name in ("by name and version", "by warning alone"))
    assert meaning_of(parse_policy(one)) == meaning_of(parse_policy(one | {"mode": "audit"}))
    assert meaning_of(parse_policy(one)) != meaning_of(parse_policy(other))
