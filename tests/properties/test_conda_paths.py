"""Law: whatever a client sends, the path parser answers with parsed names or an error, and no name can leave a folder."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.doors.conda.paths import parse_path
from headgate.kernel.errors import HeadgateError

_PARTS = st.sampled_from(
    [
        *(b"conda", b"t", b"get", b"api", b"repo", b"label", b"main", b"forge", b"noarch", b"linux-64", b"shards"),
        *(b"..", b".", b"%2e%2e", b"%2f", b"%00", b""),
        *(b"repodata.json", b"x-1-0.conda", b"x-1%21-0.tar.bz2", b"a" * 64 + b".msgpack.zst"),
    ]
)
_PATHS = st.lists(st.one_of(_PARTS, st.binary(max_size=12)), max_size=8).map(lambda parts: b"/" + b"/".join(parts))


@given(_PATHS)
def test_the_parser_never_escapes(raw):
    try:
        path = parse_path(raw)
    except HeadgateError:
        return
    filename = None if path.artifact is None else path.artifact.filename
    for name in filter(None, (path.subdir, path.document, path.shard, filename, *path.channel.split("/"))):
        assert name not in {".", ".."}
        assert name.isprintable()
        assert not {"/", "\\"} & set(name)
