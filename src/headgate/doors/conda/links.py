"""Links that go with a refused download: why it is refused, and where to ask for it."""

from collections.abc import Mapping
from urllib.parse import urlencode

from headgate.channels.model import Channel, ChannelKind
from headgate.kernel.errors import HeadgateError

_JUDGED = frozenset({"approval-ended", "policy-blocked", "policy-held"})


def links_of(base: str, channel: Channel, place: str, error: HeadgateError) -> Mapping[str, str]:
    """`why` and `request` of `SUBDIR/FILENAME`, as far as they lead somewhere; `base` is the server's own address.

    What a hosted channel does not have may be asked for all the same.
    """
    is_hosted = channel.kind is ChannelKind.HOSTED
    if error.code not in _JUDGED and not (is_hosted and error.code == "artifact-unknown"):
        return {}
    way = {"target" if is_hosted else "source": str(channel.name)}
    found = {"request": f"{base}/requests/new?{urlencode({'want': place, **way}, safe='/')}"}
    if error.code in _JUDGED:
        found["why"] = f"{base}/api/v1/channels/{channel.name}/why?{urlencode({'file': place}, safe='/')}"
    return found
