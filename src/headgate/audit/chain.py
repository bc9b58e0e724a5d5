"""The chain of audit events: each has a hash of what it says and of the hash before it.

    hash(n) = SHA-256( hash(n - 1) + canonical(n) )          hash(0) = 32 zero bytes

`canonical` is the JSON array [number, at in ms, action, actor, channel, subject, detail], keys sorted, no spaces, ASCII. Events are
numbered from 1 without gaps. Whoever changes, removes or moves one has to write every later hash anew, and the head; and
cannot do that to what was exported, sent on, or signed in a checkpoint.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headgate.kernel import clock

START = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Event:
    """One audit event at its place in the chain."""

    number: int
    at: datetime
    action: str
    actor: str
    channel: str | None
    subject: str | None
    detail: Mapping[str, Any]
    hash: bytes = START

    def as_json(self) -> dict[str, Any]:
        """What the API, exports and receivers get."""
        return {
            "number": self.number,
            "at": self.at.isoformat(timespec="milliseconds"),
            "action": self.action,
            "actor": self.actor,
            "channel": self.channel,
            "subject": self.subject,
            "detail": dict(self.detail),
            "hash": self.hash.hex(),
        }


def canonical(event: Event) -> bytes:
    """What of an event is hashed."""
    said = [event.number, clock.to_ms(event.at), event.action, event.actor, event.channel, event.subject, event.detail]
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def next_hash(previous: bytes, event: Event) -> bytes:
    """The hash of the event that follows the one with the hash `previous`."""
    return hashlib.sha256(previous + canonical(event)).digest()


class ChainCheck:
    """Follows the chain event by event, and complains of every link that does not hold."""

    def __init__(self, number: int = 0, previous: bytes = START) -> None:
        self.number = number
        self.hash = previous
        self.checked = 0
        self.complaints: list[str] = []

    def take(self, event: Event) -> None:
        """The next event, in the order of their numbers."""
        if event.number != self.number + 1:
            missing = f"{self.number + 1} to {event.number - 1}" if event.number > self.number + 2 else self.number + 1
            is_behind = event.number <= self.number
            said = f"Event {event.number} stands twice." if is_behind else f"Missing from the chain: event {missing}."
            self.complaints.append(said)
        elif next_hash(self.hash, event) != event.hash:
            self.complaints.append(f"Event {event.number} is not what was recorded, or the one before it is not.")
        self.number, self.hash = event.number, event.hash
        self.checked += 1

    def end(self, number: int, last: bytes) -> None:
        """The head of the chain, as it was kept beside it."""
        if self.number < number:
            self.complaints.append(f"The end is missing: events {self.number + 1} to {number}.")
        elif (self.number, self.hash) != (number, last):
            self.complaints.append(f"The chain ends with event {self.number}, but its head names event {number}.")
