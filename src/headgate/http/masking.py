"""How a URL may be shown: in a log, a message, a page."""

import re

HIDDEN = "•••"

# The second form is a password with an unescaped slash: what follows the first colon is then no port.
_USER_INFO = re.compile(r"(?<=://)(?:[^\s/?#]*@|[^\s/?#@\[]*:(?!\d*(?:[\s/?#]|$))\S*@)")
_TOKEN_SEGMENT = re.compile(r"(?<=/t/)[^\s/?#]+")
_SECRET_PARAMETER = re.compile(
    r"([?&][^\s=&#]*(?:token|key|secret|sig|password|credential)[^\s=&#]*=)[^\s&#]+", re.IGNORECASE
)


def mask_url(url: str) -> str:
    """The URL with its secrets hidden: user information, `/t/<token>` and query values named like secrets."""
    url = _USER_INFO.sub(HIDDEN + "@", url)
    url = _TOKEN_SEGMENT.sub(HIDDEN, url)
    return _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", url)
