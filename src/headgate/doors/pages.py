"""Pages for people, from templates. They load only our own files, and run no script or style that stands in a page."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from headgate.doors import icons, places, words
from headgate.doors.assets import asset_path

HTML = "text/html; charset=utf-8"
PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
}
"""Nothing from another host, nothing in the page itself that runs; forms to nobody else, shown in no frame."""


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("headgate.doors", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
        auto_reload=False,
    )
    made.globals |= {"asset": asset_path, "icon": icons.icon, "counted": words.counted, "figure": words.figure}
    made.globals |= {"package_path": places.package_path, "file_path": places.file_path}
    made.globals |= {"channel_path": places.channel_path, "advisory_path": places.advisory_path}
    made.filters |= {"ago": words.time_tag, "exact": words.exact, "size": words.size, "span": words.span}
    return made


_ENVIRONMENT = _environment()


def render_page(template: str, **values: Any) -> bytes:
    """The HTML of a template in `doors/templates`."""
    return _ENVIRONMENT.get_template(template).render(**values).encode()
