"""What the forms of a mirror's page say, section by section: each becomes a change as `mirrors.changed` takes it.

A form says something of its own section alone. A secret is not shown: a field for one that is left empty leaves it.
"""

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from headgate.channels.model import Source
from headgate.channels.modes import Mode
from headgate.conda.names import Subdir
from headgate.doors.web.channels import lines_of
from headgate.http.masking import HIDDEN
from headgate.kernel.errors import Invalid

Form = Mapping[str, str]
Change = dict[str, Any]

_LISTS = ("only_specs", "exclude_specs", "include_specs", "include_licenses", "exclude_licenses")
_SWITCHES = ("include_dependencies", "dedupe_conda_legacy", "only_signed")
_DAYS = ("date_from", "date_to")
_PATH_TOKEN = re.compile(r"/t/[^/]+")
_KIB = 1 << 10
_STYLES = {"": None, "path": True, "host": False}


def source_of(form: Form, _source: Source) -> Change:
    """Its name, where it is, and which platforms are followed."""
    subdirs = tuple(Subdir.parse(one) for one in lines_of(form.get("subdirs", "")))
    given: Change = {"urls": lines_of(form.get("urls", "")), "subdirs": subdirs or None}
    if name := form.get("name", "").strip():
        given["name"] = name
    return given


def files_of(form: Form, _source: Source) -> Change:
    """Whether files come here, and when."""
    mode = form.get("mode", "")
    if mode not in set(Mode):
        raise Invalid("setting-invalid", f"Choose what happens with files: {', '.join(Mode)}.")
    fetch = {
        "mode": mode,
        "newest": _whole(form, "newest", "The number of newest versions"),
        "in_use": "in_use" in form,
    }
    return {"settings": {"fetch": fetch}}


def filters_of(form: Form, _source: Source) -> Change:
    """Which records are passed on."""
    given: dict[str, Any] = {
        key: [line.strip() for line in form.get(key, "").splitlines() if line.strip()] for key in _LISTS
    }
    given |= {key: key in form for key in _SWITCHES}
    for key in _DAYS:
        text = form.get(key, "").strip()
        try:
            given[key] = date.fromisoformat(text).isoformat() if text else None
        except ValueError as error:
            raise Invalid("filter-invalid", f"{text[:20]!r} is not a day such as 2026-01-31.") from error
    return {"settings": {"filters": given}}


def network_of(form: Form, _source: Source) -> Change:
    """The way there."""
    network = {
        "proxy": form.get("proxy", "").strip() or None,
        "no_proxy": form.get("no_proxy", "").replace(",", " ").split() or None,
        "ca": [one.removeprefix("ca:") for one in form if one.startswith("ca:")],
        "verify": "verify" in form,
    }
    return {"settings": {"network": network}}


def limits_of(form: Form, _source: Source) -> Change:
    """How long to wait, how often to try again, how much at once; what is left empty is as the server has it."""
    speed = _number(form, "kib_per_second", "The speed")
    network = {
        "connect_timeout_seconds": _number(form, "connect_timeout_seconds", "The time to connect"),
        "stall_timeout_seconds": _number(form, "stall_timeout_seconds", "The time without an answer"),
        "retries": _whole(form, "retries", "The number of tries"),
        "connections": _whole(form, "connections", "The number of requests"),
        "bytes_per_second": None if speed is None else int(speed * _KIB),
    }
    return {"settings": {"network": network}}


def credentials_of(form: Form, source: Source) -> Change:
    """Who we are to the upstream: one way takes the place of the others. Raises Invalid `form-invalid`."""
    how, secret = form.get("how", ""), form.get("secret", "").strip()
    if how == "keep":
        return {}
    if how not in {"none", "user", "path", "bearer"}:
        raise Invalid("form-invalid", "Choose how Headgate signs in.")
    if how != "none" and not secret:
        raise Invalid("form-invalid", "Write the password or token. Nothing was changed.")
    user = ""
    if how == "user":
        user = form.get("user", "").strip()
        if not user:
            raise Invalid("form-invalid", "Write the user's name. Nothing was changed.")
        user = f"{quote(user, safe='')}:{quote(secret, safe='')}@"
    token = f"/t/{quote(secret, safe='')}" if how == "path" else ""
    return {
        "urls": [_with(url, user, token) for url in source.urls],
        "settings": {"network": {"bearer_token": secret if how == "bearer" else None}},
    }


def certificate_of(form: Form, _source: Source) -> Change:
    """The certificate that the upstream asks for; without one, no key is kept either."""
    certificate, key = form.get("client_certificate", "").strip(), form.get("client_key", "").strip()
    network: dict[str, Any] = {"client_certificate": certificate or None}
    if key or not certificate:
        network["client_key"] = key or None
    return {"settings": {"network": network}}


def s3_of(form: Form, _source: Source) -> Change:
    """Where buckets are, and who signs."""
    style, access_key, secret = (
        form.get("s3_style", ""),
        form.get("s3_access_key", "").strip(),
        form.get("s3_secret", ""),
    )
    if style not in _STYLES:
        raise Invalid("form-invalid", "Choose where the bucket stands.")
    network: dict[str, Any] = {
        "s3_region": form.get("s3_region", "").strip() or None,
        "s3_endpoint": form.get("s3_endpoint", "").strip() or None,
        "s3_path_style": _STYLES[style],
        "s3_access_key": access_key or None,
        "s3_unsigned": "s3_unsigned" in form,
    }
    if secret.strip() or not access_key:
        network["s3_secret_key"] = secret.strip() or None
    return {"settings": {"network": network}}


def trust_of(form: Form, _source: Source) -> Change:
    """What is checked of its signatures and attestations; a root that is not given stays."""
    trust: dict[str, Any] = {
        key: form.get(key, "").strip() for key in ("content_trust", "attestations", "metadata_url")
    }
    trust["accept_expired"] = "accept_expired" in form
    if root := form.get("root", "").strip():
        trust["root"] = root
    return {"settings": {"signatures": trust}}


def schedule_of(form: Form, _source: Source) -> Change:
    """When it is synced by itself."""
    schedule: dict[str, Any] = {
        "cron": form.get("cron", "").strip(),
        "timezone": form.get("timezone", "").strip() or "UTC",
    }
    if "jitter_seconds" in form:
        schedule["jitter_seconds"] = _whole(form, "jitter_seconds", "The delay")
    return {"settings": {"schedule": schedule}}


def signs_in_with(source: Source) -> str:
    """How it signs in now, in words."""
    ways = ["a bearer token"] if source.settings.network.bearer_token else []
    if any(f"{HIDDEN}@" in url for url in source.urls):
        ways.append("a user and password")
    if any(f"/t/{HIDDEN}" in url for url in source.urls):
        ways.append("a token in the path")
    return " and ".join(ways) or "nothing"


def _with(url: str, user: str, token: str) -> str:
    """The URL with these credentials, and none of those that it had."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return url
    host, path = parts.netloc.rpartition("@")[2], _PATH_TOKEN.sub("", parts.path, count=1)
    return urlunsplit(parts._replace(netloc=f"{user}{host}", path=f"{token}{path}"))


def _number(form: Form, key: str, label: str) -> float | None:
    text = form.get(key, "").strip()
    try:
        found = float(text) if text else None
    except ValueError:
        found = math.nan
    if found is not None and not math.isfinite(found):
        raise Invalid("setting-invalid", f"{label} is a number, not {text[:20]!r}.")
    return found


def _whole(form: Form, key: str, label: str) -> int | None:
    found = _number(form, key, label)
    if found is not None and found != int(found):
        raise Invalid("setting-invalid", f"{label} is a whole number, not {form[key][:20]!r}.")
    return None if found is None else int(found)
