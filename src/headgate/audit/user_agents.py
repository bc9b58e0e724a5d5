"""Which client asks, as its `User-Agent` says."""

import re
from functools import lru_cache
from typing import NamedTuple

OTHER = "other"
_MOST_LETTERS = 200
_PRODUCT = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)(?:/([A-Za-z0-9][A-Za-z0-9.+_-]{0,39}))?")
_KNOWN = {
    "conda": "conda",
    "conda-build": "conda-build",
    "mamba": "mamba",
    "libmamba": "mamba",
    "micromamba": "micromamba",
    "pixi": "pixi",
    "rattler": "rattler",
    "rattler-build": "rattler-build",
    "py-rattler": "rattler",
    "conda-lock": "conda-lock",
    "constructor": "constructor",
    "quetz": "quetz",
    "headgate": "headgate",
    "pip": "pip",
    "uv": "uv",
    "python-requests": "python-requests",
    "python-urllib": "python-urllib",
    "python-httpx": "python-httpx",
    "aiohttp": "aiohttp",
    "curl": "curl",
    "wget": "wget",
    "mozilla": "browser",
}


class Client(NamedTuple):
    """A client's name, its version, and the first letters of what it said."""

    name: str
    version: str
    agent: str


@lru_cache(maxsize=4_096)
def parse_agent(text: str) -> Client:
    """The first product of a `User-Agent` (RFC 9110, 10.1.5) that is known here; else `other`."""
    agent = "".join(letter for letter in text[:_MOST_LETTERS] if letter.isprintable())
    for product, version in _PRODUCT.findall(agent):
        name = _KNOWN.get(product.lower())
        if name is not None:
            return Client(name, version, agent)
    return Client(OTHER, "", agent)
