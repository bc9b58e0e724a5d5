"""From a provider's claims to an arrival: the name, the groups and the roles that somebody has here. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from headgate.access.arrivals import Arrival
from headgate.access.names import is_name
from headgate.access.oidc_providers import SAME_NAME, OidcProvider, OidcSettings
from headgate.kernel.errors import Invalid, Refused

Claims = Mapping[str, Any]


def find_claim(claims: Claims, path: str) -> Any:
    """The claim at a dotted path, None when it is not there. A claim whose own name is the whole path comes first."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def lacks_claims(claims: Claims, settings: OidcSettings) -> bool:
    """True when something that is looked for is not there, and may be elsewhere."""
    paths = (*settings.name_claims[:1], *settings.group_claims, *settings.role_claims)
    wanted = (*paths, "email") if settings.domains else paths
    return any(find_claim(claims, path) is None for path in wanted)


def arrival_of(provider: OidcProvider, claims: Claims) -> Arrival:
    """Who arrives. Raises Refused `domain-refused`, Invalid `user-name-missing`."""
    settings = provider.settings
    _check_domain(provider, claims)
    return Arrival(
        provider.word,
        provider.external_id(claims["sub"]),
        _name(provider, claims),
        sorted(set(_mapped(claims, settings.group_claims, settings.groups))),
        sorted(set(_mapped(claims, settings.role_claims, settings.roles))),
    )


def _name(provider: OidcProvider, claims: Claims) -> str:
    for path in provider.settings.name_claims:
        value = find_claim(claims, path)
        if isinstance(value, str) and value and not (path == "email" and claims.get("email_verified") is False):
            return value
    paths = ", ".join(provider.settings.name_claims)
    raise Invalid(
        "user-name-missing",
        f"{provider.word} sent no name: none of the claims {paths} is there. "
        "An administrator can name another claim, or ask for another scope.",
    )


def _mapped(claims: Claims, paths: tuple[str, ...], mapping: Mapping[str, str]) -> Iterator[str]:
    for path in paths:
        found = find_claim(claims, path)
        for word in found if isinstance(found, list) else [found]:
            if not isinstance(word, str) or word == SAME_NAME:
                continue
            if word in mapping:
                yield mapping[word]
            elif SAME_NAME in mapping and is_name(word):
                yield word


def _check_domain(provider: OidcProvider, claims: Claims) -> None:
    domains = {domain.lower() for domain in provider.settings.domains}
    if not domains:
        return
    address, workspace = claims.get("email"), claims.get("hd")
    known = [workspace] if isinstance(workspace, str) else []
    if isinstance(address, str) and claims.get("email_verified") is True:
        known.append(address.rpartition("@")[2])
    if not any(one.lower() in domains for one in known):
        raise Refused(
            "domain-refused",
            f"{provider.word} lets in people of {', '.join(sorted(domains))} alone, by a verified e-mail address.",
        )
