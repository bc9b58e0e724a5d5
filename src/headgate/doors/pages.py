"""Pages for people, from templates that load nothing from anywhere."""

from typing import Any

from jinja2 import Environment, PackageLoader

HTML = "text/html; charset=utf-8"
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""A page runs no script, loads nothing, and is shown in no frame."""

_ENVIRONMENT = Environment(loader=PackageLoader("headgate.doors", "templates"), autoescape=True)


def render_page(template: str, **values: Any) -> bytes:
    """The HTML of a template in `doors/templates`."""
    return _ENVIRONMENT.get_template(template).render(**values).encode()
