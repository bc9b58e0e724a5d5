"""What people ask to have promoted: match specs, file names, purls and digests."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from headgate.approvals.candidates import head_of
from headgate.conda.names import EXTENSIONS, ArtifactName, PackageName, Sha256, Subdir
from headgate.conda.specs import parse_spec
from headgate.kernel.errors import Invalid

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PURL = re.compile(r"pkg:conda/(?P<name>[^@?#/]+)(?:@(?P<version>[^?#]+))?(?:\?(?P<qualifiers>[^#]*))?")


@dataclass(frozen=True, slots=True)
class Want:
    """One thing asked for, perhaps of one subdir: a match spec, or (`spec` is empty) the digest of a file."""

    text: str
    spec: str = ""
    sha256: Sha256 | None = None
    subdir: Subdir | None = None

    @property
    def name(self) -> str:
        """The package it names; a digest names none."""
        return head_of(self.spec)


def parse_wants(texts: Iterable[str]) -> Sequence[Want]:
    """Read what was asked for. Raises Invalid `want-invalid` or `match-spec-invalid`, naming the text."""
    wants = [_parse(text.strip()) for text in texts]
    if not wants:
        raise Invalid("want-invalid", "Nothing was asked for: give match specs, file names, purls or sha256 digests.")
    return wants


def _parse(text: str) -> Want:
    if _DIGEST.fullmatch(text):
        return Want(text, sha256=Sha256(text))
    if text.startswith("pkg:"):
        return _parse_purl(text)
    if text.endswith(EXTENSIONS):
        return _parse_filename(text)
    spec = parse_spec(text)
    if "::" in text:
        raise Invalid("want-invalid", f"{text[:200]!r} names a channel; it comes from the one that --from names.")
    PackageName.parse(head_of(text))
    return Want(text, spec=text, subdir=None if spec.subdir is None else Subdir.parse(str(spec.subdir)))


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
