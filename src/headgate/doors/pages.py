"""Pages for people, from templates that load nothing from anywhere."""

import hashlib
from base64 import b64encode
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

HTML = "text/html; charset=utf-8"
_STYLE = files("headgate.doors").joinpath("templates", "style.css").read_text(encoding="utf-8")
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
"""A page runs no script, has no style but its own, sends forms to nobody else, and is shown in no frame."""

_ENVIRONMENT = Environment(loader=PackageLoader("headgate.doors", "templates"), autoescape=True)
_ENVIRONMENT.globals["style"] = Markup(_STYLE)  # noqa: S704 - a file of our own


def render_page(template: str, **values: Any) -> bytes:
    """The HTML of a template in `doors/templates`."""
    return _ENVIRONMENT.get_template(template).render(**values).encode()
