"""The options of `headgate mirror add` and `set`, and the settings that they give."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Url = Annotated[str, typer.Argument(metavar="URL", help="An http, https, s3 or file URL of a channel.")]
Fallbacks = Annotated[
    list[str] | None,
    typer.Option("--fallback", metavar="URL", help="The same channel elsewhere, for when URL fails; repeatable."),
]
Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy",
        metavar="URL",
        help='http or https proxy, credentials included; "direct": none, "": as the server says, "-": read from '
        "standard input.",
    ),
]
NoProxy = Annotated[
    list[str] | None,
    typer.Option(
        "--no-proxy", metavar="HOST", help="A host, .suffix, address or CIDR block without proxy; repeatable."
    ),
]
Ca = Annotated[
    list[str] | None,
    typer.Option("--ca", metavar="NAME", help='A CA bundle to trust for this mirror; repeatable; "": none.'),
]
Verify = Annotated[
    bool | None, typer.Option("--verify/--no-verify", help="Whether certificates are checked. Leave it on.")
]
BearerToken = Annotated[
    str | None,
    typer.Option("--bearer-token", metavar="T", help='Sent to the upstream; "": none, "-": read from standard input.'),
]
ClientCertificate = Annotated[
    Path | None, typer.Option("--client-certificate", metavar="FILE", exists=True, help="PEM certificate to present.")
]
ClientKey = Annotated[
    Path | None, typer.Option("--client-key", metavar="FILE", exists=True, help="Its PEM key, without a passphrase.")
]
Retries = Annotated[int | None, typer.Option("--retries", metavar="N", help="Of requests that met a passing failure.")]
Connections = Annotated[
    int | None, typer.Option("--connections", metavar="N", help="Requests open at once, of the whole server.")
]
Bandwidth = Annotated[
    int | None,
    typer.Option("--bytes-per-second", metavar="N", help="Most bytes received per second, by the whole server."),
]

ModeOption = Annotated[
    str | None,
    typer.Option("--mode", metavar="M", help="active: fetch every file; passive: when asked for; redirect: never."),
]
Newest = Annotated[
    int | None, typer.Option("--newest", metavar="N", help="Passive: so many newest versions of each package ahead.")
]
InUse = Annotated[
    bool | None, typer.Option("--in-use/--any-use", help="Passive: newest only of packages that a file is here of.")
]
Cron = Annotated[
    str | None, typer.Option("--cron", metavar="C", help='When to sync: five fields as crontab has them; "": never.')
]
Timezone = Annotated[
    str | None, typer.Option("--timezone", metavar="TZ", help="Where the hours of --cron are: Europe/Berlin.")
]
Jitter = Annotated[
    int | None, typer.Option("--jitter", metavar="S", help="Start up to S seconds later; 60 unless set.")
]
S3Region = Annotated[
    str | None, typer.Option("--s3-region", metavar="R", help="Of an s3:// bucket; us-east-1 unless set.")
]
S3Endpoint = Annotated[
    str | None, typer.Option("--s3-endpoint", metavar="URL", help='An S3 service that is not AWS; "": AWS.')
]
S3PathStyle = Annotated[
    bool | None,
    typer.Option("--s3-path-style/--s3-host-style", help="Where the bucket's name stands in the URLs of the service."),
]
S3AccessKey = Annotated[
    str | None,
    typer.Option("--s3-access-key", metavar="ID", help='"": what the environment or the instance\'s role gives.'),
]
S3SecretKey = Annotated[
    str | None,
    typer.Option("--s3-secret-key", metavar="S", help='Of the access key; "": none, "-": read from standard input.'),
]
S3Unsigned = Annotated[bool | None, typer.Option("--s3-unsigned/--s3-signed", help="Unsigned: the bucket is public.")]

_FETCH = {"mode": "mode", "newest": "newest", "is_in_use": "in_use"}
_SCHEDULE = {"cron": "cron", "timezone": "timezone", "jitter_s": "jitter_seconds"}
_NETWORK = {
    "is_verifying": "verify",
    "retries": "retries",
    "connections": "connections",
    "bytes_per_second": "bytes_per_second",
    "has_s3_path_style": "s3_path_style",
    "is_s3_unsigned": "s3_unsigned",
}
# An empty text or list takes these back.
_TEXTS = ("s3_region", "s3_endpoint", "s3_access_key")
_SECRETS = ("proxy", "bearer_token", "s3_secret_key")
_FILES = ("client_certificate", "client_key")
_LISTS = ("no_proxy", "ca")


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a command's options give, by section, as the API takes them; what is not given is left out."""
    network = {
        **{key: given[key] for key in _TEXTS},
        **{key: _secret(given[key]) for key in _SECRETS},
        **{key: path.read_text(encoding="ascii") for key in _FILES if (path := given[key]) is not None},
    }
    network = {key: value or None for key, value in network.items() if value is not None}
    network |= {key: [one for one in given[key] if one] for key in _LISTS if given[key] is not None}
    sections = {
        "network": network | _picked(given, _NETWORK),
        "fetch": _picked(given, _FETCH),
        "schedule": _picked(given, _SCHEDULE),
    }
    return {section: values for section, values in sections.items() if values}


def _picked(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {key: given[name] for name, key in names.items() if given[name] is not None}


def _secret(given: str | None) -> str | None:
    """What an option says, or, for `-`, a line of standard input, which no list of processes shows."""
    return sys.stdin.readline().strip() if given == "-" else given
