"""What people ask to have promoted: match specs, file names, purls and digests; and the lines of whole environments.

WANT                            a match spec, a file name (its subdir in front or not), a purl or a sha256
SUBDIR/FILE#DIGEST              a line of a lock: this very file, whose needs the lock names as well
PLATFORM (ENVIRONMENT): WANT    for that platform alone; each environment is solved by itself
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote

from headgate.approvals.candidates import head_of
from headgate.conda.names import EXTENSIONS, ArtifactName, PackageName, Sha256, Subdir
from headgate.conda.records import Record
from headgate.conda.specs import matches, parse_spec
from headgate.kernel.errors import Invalid

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOCKED = re.compile(r"(?P<place>[^/\s#]+/[^/\s#]+)#(?P<digest>(?:[0-9a-f]{64}|[0-9a-f]{32})?)")
_FRONT = re.compile(r"(?P<platform>[a-z]+-[a-z0-9]+|noarch)?(?: ?\((?P<environment>[\w.-]{1,100})\))?: +")
_PURL = re.compile(r"pkg:conda/(?P<name>[^@?#/]+)(?:@(?P<version>[^?#]+))?(?:\?(?P<qualifiers>[^#]*))?")
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Want:
    """One thing asked for: a match spec, or (`spec` is empty) the digest of a file.

    `subdir`: of that subdir alone. `platform`: for that platform alone. `environment`: what it is solved together with.
    `is_locked`: this very file, as a lock has it; nothing is solved for it.
    """

    text: str
    spec: str = ""
    sha256: Sha256 | None = None
    subdir: Subdir | None = None
    platform: Subdir | None = None
    environment: str = ""
    is_locked: bool = False

    @property
    def name(self) -> str:
        """The package it names; a digest names none."""
        return head_of(self.spec)

    def is_met_by(self, subdir: Subdir, record: Record) -> bool:
        """Whether a file is what was asked for; its record in JSON form."""
        if self.sha256 is not None:
            return record.get("sha256") == self.sha256
        if self.platform is not None and subdir not in {self.platform, "noarch"}:
            return False
        return self.subdir in {None, subdir} and matches(parse_spec(self.spec), record)

    def is_for(self, platform: Subdir) -> bool:
        """Whether it concerns what is chosen for a platform."""
        if self.platform is not None and not self.platform.is_noarch:
            return self.platform == platform
        return self.subdir is None or self.subdir.is_noarch or self.subdir == platform


def parse_wants(texts: Iterable[str]) -> Sequence[Want]:
    """Read what was asked for. Raises Invalid `want-invalid` or `match-spec-invalid`, naming the text."""
    wants = [_parse(text.strip()) for text in texts]
    if not wants:
        raise Invalid("want-invalid", "Nothing was asked for: give match specs, file names, purls or sha256 digests.")
    if len(wants) > _MOST:
        raise Invalid("want-invalid", f"{len(wants)} things were asked for; at most {_MOST} are possible at once.")
    return wants


def _parse(text: str) -> Want:
    front = _FRONT.match(text)
    if front is None or not front[0].strip(" :"):
        return _parse_one(text)
    want = _parse_one(text[front.end() :])
    platform = Subdir.parse(front["platform"]) if front["platform"] else None
    return replace(want, text=text, platform=platform, environment=front["environment"] or "")


def _parse_one(text: str) -> Want:
    if _DIGEST.fullmatch(text):
        return Want(text, sha256=Sha256(text))
    if text.startswith("pkg:"):
        return _parse_purl(text)
    locked = _LOCKED.fullmatch(text)
    if locked is not None and locked["place"].endswith(EXTENSIONS):
        return _parse_locked(text, locked["place"], locked["digest"])
    if text.endswith(EXTENSIONS):
        return _parse_filename(text)
    spec = parse_spec(text)
    if "::" in text:
        raise Invalid("want-invalid", f"{text[:200]!r} names a channel; it comes from the one that --from names.")
    PackageName.parse(head_of(text))
    return Want(text, spec=text, subdir=None if spec.subdir is None else Subdir.parse(str(spec.subdir)))


def _parse_locked(text: str, place: str, digest: str) -> Want:
    want = _parse_filename(place)
    kind = {64: "sha256", 32: "md5"}.get(len(digest))
    spec = want.spec if kind is None else f"{want.spec[:-1]},{kind}='{digest}']"
    return replace(want, text=text, spec=spec, is_locked=True)


def _parse_filename(text: str) -> Want:
    """`numpy-2.0-py312_0.conda`, with its subdir and a slash in front or without."""
    subdir, _, filename = text.rpartition("/")
    artifact = ArtifactName.parse(filename)
    spec = f"{artifact.name}=={artifact.version}[build='{artifact.build}',fn='{artifact.filename}']"
    return Want(text, spec=spec, subdir=Subdir.parse(subdir) if subdir else None)


def _parse_purl(text: str) -> Want:
    """A package URL of type conda, as purl-spec's conda definition has it: version, `build` and `subdir` may be left out."""
    found = _PURL.fullmatch(text)
    if found is None:
        raise Invalid(
            "want-invalid", f"{text[:200]!r} is not a purl of type conda: pkg:conda/NAME@VERSION?build=BUILD."
        )
    qualifiers = dict(parse_qsl(found["qualifiers"] or ""))
    name = PackageName.parse(unquote(found["name"]).lower())
    spec = str(name)
    if found["version"]:
        spec += f"=={unquote(found['version'])}"
    if "build" in qualifiers:
        spec += f"[build='{qualifiers['build']}']"
    parse_spec(spec)
    return Want(text, spec=spec, subdir=Subdir.parse(qualifiers["subdir"]) if "subdir" in qualifiers else None)
