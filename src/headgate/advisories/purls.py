"""Package URLs: which package of which ecosystem one names, and which builds of a conda package. Pure.

Two forms of conda purls are read: the registered type (no namespace; qualifiers `build`, `channel`, `subdir`, `type`)
and the draft of conda/ceps#159 (the channel as namespace; `build_number`, `checksum`). The channel is not looked at: a
mirror here may bear any name.
"""

from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote

import msgspec
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from headgate.advisories.statements import Builds

# purl type -> ecosystem as OSV names it
ECOSYSTEM_OF = MappingProxyType(
    {
        "bioconductor": "Bioconductor",
        "cargo": "crates.io",
        "composer": "Packagist",
        "conan": "ConanCenter",
        "conda": "conda",
        "cran": "CRAN",
        "gem": "RubyGems",
        "github": "GIT",
        "gitlab": "GIT",
        "golang": "Go",
        "hackage": "Hackage",
        "hex": "Hex",
        "maven": "Maven",
        "npm": "npm",
        "nuget": "NuGet",
        "pub": "Pub",
        "pypi": "PyPI",
        "swift": "SwiftURL",
    }
)
_TYPE_OF = {ecosystem: kind for kind, ecosystem in ECOSYSTEM_OF.items() if ecosystem != "GIT"}
_HOSTS = MappingProxyType({"github": "github.com", "gitlab": "gitlab.com"})


class Package(msgspec.Struct, frozen=True, order=True, gc=False):
    """A package of an ecosystem: (`PyPI`, `numpy`), (`GIT`, `github.com/madler/zlib`), (`CPE`, `openssl:openssl`)."""

    ecosystem: str
    name: str

    def __str__(self) -> str:
        if self.ecosystem == "CPE":
            return f"cpe:2.3:a:{self.name}"
        if self.ecosystem == "GIT":
            host, _, rest = self.name.partition("/")
            kind = next((kind for kind, known in _HOSTS.items() if known == host), None)
            return f"pkg:{kind}/{rest}" if kind else f"https://{self.name}"
        kind = _TYPE_OF.get(self.ecosystem, self.ecosystem.lower())
        return f"pkg:{kind}/{quote(self.name, safe='/:._-')}"


@lru_cache(maxsize=65_536)
def package_of(ecosystem: str, name: str) -> Package:
    """The package in the spelling that its ecosystem compares by."""
    if ecosystem == "PyPI":
        return Package(ecosystem, canonicalize_name(name))
    if ecosystem == "conda":
        return Package(ecosystem, name.lower())
    return Package(ecosystem, name)


@lru_cache(maxsize=65_536)
def read_purl(text: str) -> tuple[Package, str | None, Builds | None] | None:
    """(package, version, builds of a conda package); None when it is no purl, or of no ecosystem we know.

    A `cpe:2.3:a:vendor:product…` prefix is read too.
    """
    if text.startswith("cpe:2.3:"):
        return _read_cpe(text)
    try:
        purl = PackageURL.from_string(text)
    except ValueError:
        return None
    ecosystem = ECOSYSTEM_OF.get(purl.type)
    if ecosystem is None:
        return None
    if ecosystem == "conda":
        return package_of(ecosystem, purl.name), purl.version, _builds(purl)
    separator = ":" if ecosystem == "Maven" else "/"
    name = purl.name if not purl.namespace else f"{purl.namespace}{separator}{purl.name}"
    if ecosystem == "GIT":
        name = f"{_HOSTS[purl.type]}/{name}".lower()
    return package_of(ecosystem, name), purl.version, None


def _read_cpe(text: str) -> tuple[Package, str | None, None] | None:
    parts = text.split(":")
    if len(parts) < 5 or parts[2] not in {"a", "*"}:
        return None
    version = parts[5] if len(parts) > 5 and parts[5] not in {"*", "-", ""} else None
    return Package("CPE", f"{parts[3]}:{parts[4]}"), version, None


def _builds(purl: PackageURL) -> Builds | None:
    given = dict(purl.qualifiers)
    checksums = str(given.get("checksum", "")).lower().split(",")
    number = str(given.get("build_number", ""))
    builds = Builds(
        version=purl.version,
        build=given.get("build"),
        build_number=int(number) if number.isdecimal() and len(number) < 10 else None,
        subdir=given.get("subdir"),
        sha256=next((one.partition(":")[2] for one in checksums if one.startswith("sha256:")), None),
    )
    return None if builds == Builds() else builds


def render_conda_purl(name: str, version: str, build: str, subdir: str, sha256: str | None = None) -> str:
    """A conda purl of the registered type that names one build."""
    tail = f"&checksum=sha256:{sha256}" if sha256 else ""
    return f"pkg:conda/{quote(name)}@{quote(version, safe='')}?build={quote(build)}{tail}&subdir={quote(subdir)}"
