"""What is said of a mirror: one upstream that a channel follows, under a name, and how its secrets stay out of sight.

    complete --hide--> shown (kept as it is, and what every door shows) + one sealed text
    shown + sealed text --complete--> complete

A text with `•••` in it, given back as it was shown, means the secret that is kept.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headgate.channels.filters import NO_FILTERS, FilterSettings
from headgate.channels.modes import FetchSettings
from headgate.channels.schedules import ScheduleSettings
from headgate.channels.trusts import TrustSettings
from headgate.conda.names import Subdir
from headgate.db.sealing import Sealer
from headgate.http.masking import HIDDEN, mask_url
from headgate.http.network import SECRETS, NetworkSettings, check_network, conceal, reveal
from headgate.http.s3 import check_s3_url, is_s3
from headgate.kernel.errors import Invalid

PURPOSE = "mirror"
"""What the sealer of mirrors is for."""
FIRST_NAME = "main"

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class MirrorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an administrator may choose per mirror, in sections."""

    network: NetworkSettings = NetworkSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    fetch: FetchSettings = FetchSettings()
    filters: FilterSettings = NO_FILTERS
    signatures: TrustSettings = TrustSettings()

    def warnings(self) -> list[str]:
        """What is dangerous about them, in sentences."""
        return self.network.warnings()


class _Secrets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    urls: tuple[str, ...] = ()
    network: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror: `urls` lead to the same channel and are tried in their order; `subdirs` None: every one asked for."""

    name: str | None
    urls: tuple[str, ...]
    subdirs: tuple[Subdir, ...] | None = None
    settings: MirrorSettings = field(default_factory=MirrorSettings)

    def __repr__(self) -> str:
        return f"Mirror({self.name!r}, {[mask_url(url) for url in self.urls]})"


def hide(mirror: Mirror, sealer: Sealer) -> tuple[Mirror, str | None]:
    """The mirror as it may be shown, and its secrets sealed; None when it has none."""
    urls = tuple(mask_url(url) for url in mirror.urls)
    network, hidden = conceal(mirror.settings.network)
    shown = replace(mirror, urls=urls, settings=msgspec.structs.replace(mirror.settings, network=network))
    secrets = _Secrets(urls=mirror.urls if urls != mirror.urls else (), network=hidden)
    if secrets == _Secrets():
        return shown, None
    return shown, sealer.seal(msgspec.json.encode(secrets).decode())


def complete(shown: Mirror, sealed: str | None, sealer: Sealer) -> Mirror:
    """The mirror with its secrets. Raises Unavailable `secret-unreadable`."""
    if sealed is None:
        return shown
    secrets = msgspec.json.decode(sealer.unseal(sealed), type=_Secrets)
    network = reveal(shown.settings.network, secrets.network)
    settings = msgspec.structs.replace(shown.settings, network=network)
    return replace(shown, urls=secrets.urls or shown.urls, settings=settings)


def changed(shown: Mirror, whole: Mirror, given: Mapping[str, Any]) -> Mirror:
    """The complete mirror after a change.

    `given` may have `name`, `urls`, `subdirs` and `settings`: section -> key -> value, where None takes a value back
    to what it is unless set. What is left out stays. Raises Invalid `mirror-name-invalid`, `setting-invalid`,
    `secret-hidden`, `url-invalid`.
    """
    settings = _merged(msgspec.to_builtins(shown.settings), given.get("settings") or {})
    network = _restored(settings.network, shown.settings.network, whole.settings.network)
    wanted = Mirror(
        name=given.get("name", shown.name),
        urls=tuple(_kept(url, shown.urls, whole.urls) for url in given.get("urls", shown.urls)),
        subdirs=given.get("subdirs", shown.subdirs),
        settings=msgspec.structs.replace(settings, network=network),
    )
    check(wanted)
    _check_bearer(whole, wanted)
    return wanted


def new(name: str | None, urls: Sequence[str], subdirs: Sequence[Subdir] | None, given: Mapping[str, Any]) -> Mirror:
    """The complete mirror that was asked for. Raises as `changed` does."""
    blank = Mirror(name, ())
    return changed(blank, blank, {"urls": urls, "subdirs": None if subdirs is None else tuple(subdirs), **given})


def settings_of(kept: Mapping[str, Any]) -> MirrorSettings:
    """The settings as a row keeps them."""
    return msgspec.convert(kept, MirrorSettings)


def differing(settings: MirrorSettings) -> dict[str, Any]:
    """The settings that differ from what they are unless set: what a row keeps, and an audit event tells."""
    bare = msgspec.to_builtins(MirrorSettings())
    told = {
        section: {key: value for key, value in values.items() if value != bare[section][key]}
        for section, values in msgspec.to_builtins(settings).items()
    }
    return {section: values for section, values in told.items() if values}


def check(mirror: Mirror) -> None:
    """Raises Invalid `mirror-name-invalid`, `url-invalid`, and what the sections raise."""
    if mirror.name is not None and not _NAME.fullmatch(mirror.name):
        raise Invalid(
            "mirror-name-invalid",
            f"{mirror.name!r} is not a mirror's name: up to 64 lower-case letters, digits, `_`, `.`, `-`.",
        )
    check_network(mirror.settings.network)
    if not mirror.urls:
        raise Invalid("url-invalid", "A mirror needs at least one URL.")
    for url in mirror.urls:
        if is_s3(url):
            check_s3_url(url)
        elif not url.startswith(("http://", "https://", "file:///")) or any(c.isspace() or ord(c) < 32 for c in url):
            raise Invalid("url-invalid", f"{mask_url(url)} is not an http, https, s3 or file URL of a channel.")
    mirror.settings.schedule.check()
    mirror.settings.filters.check()
    mirror.settings.signatures.check()


def _merged(old: dict[str, Any], given: Mapping[str, Any]) -> MirrorSettings:
    merged = dict(old)
    for section, values in given.items():
        both = {**(old.get(section) or {}), **values} if values is not None else {}
        merged[section] = {key: value for key, value in both.items() if value is not None}
    try:
        return msgspec.convert(merged, MirrorSettings)
    except msgspec.ValidationError as error:
        raise Invalid("setting-invalid", f"A setting of the mirror is wrong: {error}.") from error


def _restored(given: NetworkSettings, shown: NetworkSettings, whole: NetworkSettings) -> NetworkSettings:
    changes = {
        name: _kept(value, (getattr(shown, name),), (getattr(whole, name),))
        for name in SECRETS
        if (value := getattr(given, name)) is not None
    }
    return msgspec.structs.replace(given, **changes)


def _check_bearer(old: Mirror, wanted: Mirror) -> None:
    """A token is sent to every URL, so one that is kept must not be led to a host it was not given for."""
    token = wanted.settings.network.bearer_token
    if token is None or token != old.settings.network.bearer_token:
        return
    strange = {_origin(url) for url in wanted.urls} - {_origin(url) for url in old.urls}
    if strange:
        raise Invalid(
            "secret-hidden", f"The bearer token was given for other hosts than {min(strange)}. Give it again, or null."
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _kept(given: str, shown: Sequence[str | None], whole: Sequence[str | None]) -> str:
    """The secret that is kept, when `given` is how it is shown; else `given`, which must then hold no `•••`."""
    if HIDDEN not in given:
        return given
    for one, secret in zip(shown, whole, strict=True):
        if one == given and secret is not None:
            return secret
    raise Invalid(
        "secret-hidden", f"{given} has {HIDDEN} in place of a secret, but none is kept for it. Write the secret itself."
    )
