"""What people give when they ask, made into wants: texts, an environment, the link of a refused download."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from headgate.approvals.wants import parse_wants
from headgate.channels.model import ChannelKind
from headgate.conda.environments import looks_like_environment, parse_environment
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.kernel.errors import Invalid

_WHY = re.compile(r"/api/v1/channels/(?P<channel>.+)/why")
_FILE = re.compile(r"/conda/(?:t/[^/]+/)?(?P<channel>.+)/(?P<subdir>[^/]+)/(?P<filename>[^/]+)")


@dataclass(frozen=True, slots=True)
class Given:
    """What was given: wants, and the text of an environment that has more of them."""

    texts: Sequence[str] = ()
    environment: str | None = None
    platforms: Sequence[Subdir] = ()

    def read(self) -> "Read":
        """All of it as wants.

        Raises Invalid `want-invalid`, `match-spec-invalid`, `environment-invalid` or `lock-invalid`.
        """
        texts, platforms, notes = list(self.texts), list(self.platforms), list[str]()
        if self.environment is not None:
            found = parse_environment(self.environment)
            texts += found.wants
            platforms = platforms or list(found.platforms)
            notes += found.notes
        parse_wants(texts)
        return Read(list(dict.fromkeys(texts)), platforms, notes)


@dataclass(frozen=True, slots=True)
class Read:
    """Wants, for which platforms, and sentences on what of it cannot pass."""

    texts: Sequence[str]
    platforms: Sequence[Subdir] = ()
    notes: Sequence[str] = field(default=())


def read_pasted(text: str) -> Given:
    """What somebody pasted: an environment, or wants, one a line; `#` begins a comment."""
    if looks_like_environment(text):
        return Given(environment=text)
    lines = (line.strip() for line in text.splitlines())
    return Given([line for line in lines if line and not line.startswith("#")])


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link of a refused download names."""

    channel: ChannelName
    want: str


def parse_link(link: str) -> Linked:
    """Read what a refused download says. Raises Invalid `link-invalid`.

    …/api/v1/channels/NAME/why?file=SUBDIR/FILE
    …/requests/new?want=SUBDIR/FILE&target=NAME     or source=NAME
    …/conda/NAME/SUBDIR/FILE
    """
    parts = urlsplit(link.strip())
    path, query = unquote(parts.path), {key: values[0] for key, values in parse_qs(parts.query).items()}
    why, file = _WHY.fullmatch(path), _FILE.fullmatch(path)
    if why:
        channel, place = why["channel"], query.get("file", "")
    elif file:
        channel, place = file["channel"], f"{file['subdir']}/{file['filename']}"
    else:
        is_form = path.endswith("/requests/new")
        channel, place = query.get("target") or query.get("source", ""), query.get("want", "") if is_form else ""
    if "/" not in place:
        raise Invalid("link-invalid", "That is no link of a refused download: it names no file of a channel.")
    subdir, _, filename = place.rpartition("/")
    want = f"{Subdir.parse(subdir)}/{ArtifactName.parse(filename)}"
    return Linked(ChannelName.parse(channel), want)


def place_of(
    source: str | None,
    target: str | None,
    linked: ChannelName | None,
    kinds: Mapping[str, ChannelKind],
    sources: Mapping[str, Sequence[str]],
) -> tuple[str, str]:
    """From which channel into which, when only a part of that was said; `sources` are those that targets' rules name.

    Raises Invalid `request-place-missing`.
    """
    if linked is not None:
        if kinds.get(linked) is ChannelKind.HOSTED:
            target = target or linked
        else:
            source = source or linked
    if target is None:
        fitting = [name for name, some in sources.items() if source in some] if source else list(sources)
        target = fitting[0] if len(fitting) == 1 else None
    if target is not None and source is None:
        some = sources.get(target, ())
        source = some[0] if len(some) == 1 else None
    if source is None or target is None:
        missing = "into which channel" if target is None else "from which channel"
        raise Invalid("request-place-missing", f"Say {missing} it should pass: nothing tells by itself.")
    return source, target
