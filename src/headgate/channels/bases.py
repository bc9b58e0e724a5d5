"""Where an upstream keeps a subdir's files, as we keep it: relative to the subdir's own URL wherever that is possible.

So the row holds no credentials of the mirror, follows them when they change, and is good for each of its URLs. What an
upstream names beside its own origin is kept absolute; should that hold a secret, it is sealed.
"""

import posixpath
import re
from typing import Final
from urllib.parse import urljoin, urlsplit

from headgate.db.sealing import Sealer
from headgate.http.masking import mask_url

_SEALED: Final = "sealed:"
_TOKEN = re.compile(r"(?<=/t/)[^/]+")


def keep_base(base_url: str, root: str, sealer: Sealer) -> str:
    """What is kept of `base_url`, which the upstream names for the subdir at `root`; both end in a slash."""
    target, own = urlsplit(base_url), urlsplit(root)
    has_same_origin = (target.scheme, target.hostname, target.port) == (own.scheme, own.hostname, own.port)
    has_own_token = set(_TOKEN.findall(target.path)) <= set(_TOKEN.findall(own.path))
    if has_same_origin and has_own_token and not target.query:
        kept = posixpath.relpath(target.path or "/", own.path or "/") + "/"
    else:
        kept = target._replace(netloc=target.netloc.rpartition("@")[2]).geturl()
    return kept if mask_url(f"/{kept}") == f"/{kept}" else _SEALED + sealer.seal(kept)


def find_base(kept: str, root: str, sealer: Sealer) -> str:
    """The absolute URL again, ending in a slash, for the subdir at `root`, which may be another than before."""
    opened = sealer.unseal(kept.removeprefix(_SEALED)) if kept.startswith(_SEALED) else kept
    return urljoin(root, opened)
