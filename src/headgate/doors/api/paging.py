"""Lists in pages: `?limit=` and an opaque `?cursor=` in, `items` and `next` out."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Depends, Query
from pydantic import BaseModel, Field

from headgate.kernel.errors import Invalid

T = TypeVar("T")
# What a cursor may hold, so that a made-up one cannot upset a database.
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Moment = Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)]
Word = Annotated[str, msgspec.Meta(max_length=512, pattern=r"^[^\x00]*$")]


class Listing(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(default=None, description="The `cursor` of the next page; null on the last one.")


@dataclass(frozen=True, slots=True)
class Page:
    """The page asked for: at most `limit` items, behind those of an earlier page."""

    limit: int
    cursor: str | None

    def after(self, kind: type[T]) -> T | None:
        """The key of the last item of the page before, of the given tuple type. Raises Invalid `cursor-invalid`."""
        if self.cursor is None:
            return None
        try:
            return msgspec.json.decode(urlsafe_b64decode(self.cursor.encode()), type=kind)
        except (ValueError, binascii.Error) as error:
            raise Invalid(
                "cursor-invalid", "The cursor is not one of this list; leave it out to start again."
            ) from error

    def cut(self, found: Sequence[T], key: Callable[[T], tuple[Any, ...]]) -> tuple[list[T], str | None]:
        """The items of this page and the cursor of the next, of up to `limit + 1` items found."""
        items = list(found[: self.limit])
        if len(found) <= self.limit:
            return items, None
        return items, urlsafe_b64encode(msgspec.json.encode(key(items[-1]), enc_hook=str)).decode()

    def cut_whole(self, items: Iterable[T], key: Callable[[T], tuple[str, ...]]) -> tuple[list[T], str | None]:
        """The same of a list that is in memory, ordered by `key`, a tuple of strings."""
        after = self.after(tuple[Word, ...])
        return self.cut([one for one in items if after is None or key(one) > after], key)


def _page(
    limit: Annotated[int, Query(ge=1, le=1000, description="Most items in the answer.")] = 100,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")] = None,
) -> Page:
    return Page(limit, cursor)


Paging = Annotated[Page, Depends(_page)]
