"""Which upstream package a conda record is, how sure that is, and why. Pure.

Per ecosystem, the first of these that says anything counts alone:

    a curated identity       exact     somebody set it (an empty one: it is none of that ecosystem)
    `purls` of the record    exact     the registered form, or that of the CEP draft
    the name mapping         likely    one name; of several, the one that bears the conda name, others guessed
    a source URL             guessed   what about.json says of where the source comes from
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from headgate.advisories.findings import Sureness
from headgate.advisories.osv import repository_of
from headgate.advisories.purls import Package, package_of, read_purl


class Origin(StrEnum):
    """Who says which package it is, the most trusted first. Stored: these words never change."""

    CURATED = "curated"
    PURL = "purl"
    MAPPING = "mapping"
    SOURCE_URL = "source-url"


_TRUST = {origin: rank for rank, origin in enumerate(Origin)}


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """A package that a conda record is. An empty package name: it is known to be none of that ecosystem."""

    package: Package
    origin: Origin
    sureness: Sureness

    @property
    def why(self) -> str:
        """Part of a sentence."""
        if self.package.ecosystem == "conda":
            return f"{self.package} by its own name"
        match self.origin:
            case Origin.CURATED:
                return f"{self.package} by an identity that was set"
            case Origin.PURL:
                return f"{self.package} by its own purl"
            case Origin.MAPPING:
                return f"{self.package} by the name mapping"
            case Origin.SOURCE_URL:
                return f"{self.package} by its source URL"


def mapped(name: str, names: Iterable[str]) -> list[Identity]:
    """The identities of a conda name that the mapping gives PyPI names; it has one that says so when there are none."""
    packages = sorted({package_of("PyPI", one) for one in names})
    if not packages:
        return [Identity(Package("PyPI", ""), Origin.MAPPING, Sureness.LIKELY)]
    own = package_of("PyPI", name)
    return [
        Identity(one, Origin.MAPPING, Sureness.LIKELY if one == own or len(packages) == 1 else Sureness.GUESSED)
        for one in packages
    ]


def purls_of(record: Mapping[str, Any]) -> list[str]:
    """The `purls` of a record, whatever else is there."""
    found = record.get("purls")
    return [one for one in found if isinstance(one, str)] if isinstance(found, list | tuple) else []


def from_purls(purls: Iterable[str]) -> list[Identity]:
    """What purls name; those of conda itself name nothing upstream."""
    read = (read_purl(purl) for purl in purls)
    packages = sorted({one[0] for one in read if one is not None and one[0].ecosystem != "conda"})
    return [Identity(one, Origin.PURL, Sureness.EXACT) for one in packages]


_SOURCES = (
    (re.compile(r"https?://(?:files\.)?(?:pypi\.(?:io|org)|pythonhosted\.org)/packages/source/./([^/]+)/"), "PyPI"),
    (re.compile(r"https?://(?:www\.)?pypi\.(?:io|org)/project/([^/?#]+)"), "PyPI"),
    (re.compile(r"https?://[^/]*cran[^/]*/src/contrib/(?:Archive/[^/]+/)?([A-Za-z0-9.]+)_"), "CRAN"),
    (re.compile(r"https?://cran\.r-project\.org/(?:web/)?package[s]?[=/]([A-Za-z0-9.]+)"), "CRAN"),
    (re.compile(r"https?://(?:www\.)?bioconductor\.org/packages/(?:[^/]+/)*?(?:bioc/)?(?:html/)?([A-Za-z0-9.]+)(?:\.html|_)"), "Bioconductor"),
    (re.compile(r"https?://registry\.npmjs\.org/((?:@[^/]+/)?[^/]+)"), "npm"),
    (re.compile(r"https?://(?:static\.)?crates\.io/(?:api/v1/)?crates/([^/?#]+)"), "crates.io"),
)  # fmt: skip


def from_urls(urls: Iterable[str]) -> list[Identity]:
    """What the URLs of a package's source, home or repository let one guess."""
    found: set[Package] = set()
    for url in urls:
        ecosystem, match = next(((eco, hit) for pattern, eco in _SOURCES if (hit := pattern.match(url))), ("", None))
        if match is not None:
            found.add(package_of(ecosystem, match[1]))
        elif (repository := repository_of(url)) is not None and repository.startswith(("github.com/", "gitlab.com/")):
            found.add(Package("GIT", repository))
    return [Identity(one, Origin.SOURCE_URL, Sureness.GUESSED) for one in sorted(found)]


_URL_KEYS = ("source_url", "dev_url", "home", "doc_source_url")


def urls_of(about: Mapping[str, Any]) -> list[str]:
    """The URLs of an about.json that tell where the source comes from."""
    values = (about.get(key) for key in _URL_KEYS)
    flat = (one for value in values for one in (value if isinstance(value, list) else [value]))
    return [one for one in flat if isinstance(one, str) and len(one) <= 2_000]


def choose(identities: Iterable[Identity]) -> tuple[Identity, ...]:
    """Of what several origins say, per ecosystem what the most trusted says."""
    by_ecosystem: dict[str, list[Identity]] = defaultdict(list)
    for one in identities:
        by_ecosystem[one.package.ecosystem].append(one)
    chosen: list[Identity] = []
    for found in by_ecosystem.values():
        best = min(_TRUST[one.origin] for one in found)
        chosen.extend(one for one in found if _TRUST[one.origin] == best)
    return tuple(sorted(set(chosen)))


NameRows = tuple[tuple[str, str, str], ...]
"""(origin, ecosystem, package) of what is said of one conda name."""


@lru_cache(maxsize=16_384)
def identities_of(name: str, rows: NameRows) -> tuple[Identity, ...]:
    """All that is said of a conda name."""
    by_origin: dict[Origin, list[Package]] = {}
    for origin, ecosystem, package in rows:
        by_origin.setdefault(Origin(origin), []).append(Package(ecosystem, package))
    found: list[Identity] = []
    for origin, packages in by_origin.items():
        if origin is Origin.MAPPING:
            found.extend(mapped(name, (one.name for one in packages if one.name)))
            continue
        sureness = Sureness.GUESSED if origin is Origin.SOURCE_URL else Sureness.EXACT
        found.extend(Identity(one, origin, sureness) for one in packages)
    return tuple(sorted(found))
