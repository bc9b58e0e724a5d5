"""Pages for people, from templates that load nothing from anywhere."""

from typing import Any

from jinja2 import Environment, PackageLoader

_ENVIRONMENT = Environment(loader=PackageLoader("headgate.doors", "templates"), autoescape=True)


def render_page(template: str, **values: Any) -> bytes:
    """The HTML of a template in `doors/templates`."""
    return _ENVIRONMENT.get_template(template).render(**values).encode()
