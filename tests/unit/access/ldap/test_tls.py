"""Encryption: what is trusted, and what is not sent."""

from typing import Any

import pytest

from headgate.bootstrap import Services
from tests.slapd import Authority, Slapd
from tests.unit.access.ldap.conftest import Add, refusal, sign_in


@pytest.mark.parametrize("form", ["url", "tls_url"])
async def test_certificate_of_the_given_ca_is_trusted(services: Services, corp: Slapd, add: Add, form: str) -> None:
    await add(corp, urls=[getattr(corp, form)])
    assert (await sign_in(services, "ada")).name == "ada"


@pytest.mark.parametrize("form", ["url", "tls_url"])
@pytest.mark.parametrize("ca", ["another", None])
async def test_certificate_of_another_ca_is_not(
    services: Services, corp: Slapd, add: Add, form: str, ca: str | None
) -> None:
    await add(corp, urls=[getattr(corp, form)], ca=Authority().pem if ca else None)
    assert await refusal(services, "ada") == "ldap-unavailable"
    assert "certificate" in await told(services, "ada")


@pytest.mark.parametrize("form", ["ldap", "ldaps"])
async def test_certificate_for_another_host_is_not(services: Services, corp: Slapd, add: Add, form: str) -> None:
    # 127.0.0.2 leads to the same machine, and the certificate does not name it.
    corp.stop()
    corp.host = "127.0.0.2"
    corp.start()
    await add(corp, urls=[corp.tls_url if form == "ldaps" else corp.url])
    assert await refusal(services, "ada") == "ldap-unavailable"
    assert "127.0.0.2" in await told(services, "ada")


async def test_plain_connection_is_used_only_when_insisted_on(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp, urls=[corp.url], starttls=False, insecure=True, ca=None)
    assert (await sign_in(services, "ada")).name == "ada"


async def test_server_without_starttls_is_not_spoken_to_plainly(
    services: Services, corp: Slapd, add: Add, tmp_path: Any
) -> None:
    corp.stop()
    config = corp.folder / "slapd.conf"
    config.write_text("".join(line for line in config.read_text().splitlines(True) if not line.startswith("TLS")))
    corp.start(tls=False)
    await add(corp, urls=[corp.url])
    assert await refusal(services, "ada") != "password-wrong"


async def told(services: Services, login: str) -> str:
    """What the examination of the directory ends with."""
    last = (await services.ldap_examiner.examine("corp", login))[-1]
    assert (last.name, last.is_ok) == ("tls", False)
    assert last.advice is not None
    return last.text
