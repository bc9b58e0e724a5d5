"""The few pictures of the pages: strokes on a grid of 24, in the colour of the text around them."""

from collections.abc import Mapping
from functools import lru_cache

from markupsafe import Markup

_PATHS: Mapping[str, str] = {
    "home": "M4 11.5 12 4l8 7.5M6.5 10v9h11v-9M10 19v-5h4v5",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M15.3 15.3 20 20",
    "package": "M12 3l8 4.5v9L12 21l-8-4.5v-9L12 3M4 7.5l8 4.5 8-4.5M12 12v9",
    "channels": "M4 7l8-4 8 4-8 4-8-4M4 12l8 4 8-4M4 17l8 4 8-4",
    "inbox": "M4 13h4l2 3h4l2-3h4M4 13l3-8h10l3 8v6H4v-6",
    "request": "M12 5v14M5 12h14",
    "chart": "M4 4v16h16M8 16v-4M12 16V8M16 16v-6",
    "policy": "M12 3l7 3v5c0 5-3 8-7 10c-4-2-7-5-7-10V6l7-3M9 12l2 2 4-4",
    "advisory": "M12 4l9 16H3l9-16M12 10v4M12 17v.5",
    "audit": "M6 3h9l4 4v14H6V3M14 3v5h5M9 12h7M9 16h7",
    "settings": "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
    "user": "M12 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8M5 20c.5-4 3-6 7-6s6.5 2 7 6",
    "users": "M9 5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 0 0 0-7M3 19c.5-3.5 2.5-5 6-5s5.5 1.5 6 5M16 5.500a3.5 3.5 0 0 1 0 6.500M18 14.500c2 .7 3 2.2 3 4.5",
    "key": "M15 4a5 5 0 1 1-4.5 7.200L4 17.700V20h3v-2h2v-2h2l1.5-1.500M16 8v.5",
    "device": "M4 5h16v10H4V5M9 19h6M12 15v4",
    "clock": "M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16M12 8v4l3 2",
    "copy": "M9 9h11v11H9V9M5 15H4V4h11v1",
    "check": "M5 12.500l4.5 4.500L19 7.5",
    "cross": "M6 6l12 12M18 6L6 18",
    "pause": "M8 6v12M16 6v12",
    "dots": "M5 12v.1M12 12v.1M19 12v.1",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "next": "M9 6l6 6-6 6",
    "back": "M15 6l-6 6 6 6",
    "down": "M6 9l6 6 6-6",
    "external": "M10 5H5v14h14v-5M13 5h6v6M19 5l-9 9",
    "download": "M12 4v11M7 11l5 5 5-5M5 20h14",
    "upload": "M12 20V9M7 13l5-5 5 5M5 4h14",
    "filter": "M4 5h16l-6 7.500V19l-4-2v-4.500L4 5",
    "file": "M6 3h8l4 4v14H6V3M14 3v5h4",
    "terminal": "M5 6l6 6-6 6M13 18h6",
    "refresh": "M19 12a7 7 0 1 1-2-5l2 2M19 4v5h-5",
    "undo": "M9 7L4 12l5 5M4 12h10a5 5 0 0 1 5 5v1",
    "trash": "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
    "info": "M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16M12 11v5M12 8v.3",
    "theme": "M12 4a8 8 0 1 0 0 16V4M12 4a8 8 0 0 1 0 16",
    "leave": "M14 5H6v14h8M11 12h9M17 9l3 3-3 3",
    "book": "M5 5c3-1 5-.5 7 1c2-1.5 4-2 7-1v14c-3-1-5-.5-7 1c-2-1.5-4-2-7-1V5M12 6v14",
    "scale": "M12 4v16M7 20h10M5 7h14M5 7l-3 7h6L5 7M19 7l-3 7h6l-3-7",
    "link": "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
}


@lru_cache(maxsize=1_000)
def icon(name: str, label: str | None = None) -> Markup:
    """The picture as SVG; without a label it says nothing to a screen reader."""
    said = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    tag = Markup('<svg class="icon" viewBox="0 0 24 24" {}><path d="{}"/></svg>')
    return tag.format(said, _PATHS[name])
