"""The types of columns that are ours."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from headgate.kernel import clock


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as milliseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Datetime to milliseconds."""
        return None if value is None else clock.to_ms(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Milliseconds to datetime."""
        return None if value is None else clock.from_ms(value)


class Bytes(LargeBinary):
    """Bytes as both drivers take and give them; SQLAlchemy's own type copies each value on its way in."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        """Nothing to do."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Nothing to do."""
