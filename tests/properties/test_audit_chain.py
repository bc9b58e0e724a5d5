"""Laws of the chain: whatever was done to a chain of events after it was written is found."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from headgate.audit.chain import START, ChainCheck, Event, next_hash
from headgate.kernel import clock

texts = st.text(max_size=8)
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3))
moments = st.integers(min_value=0, max_value=4_000_000_000_000).map(clock.from_ms)
said = st.tuples(
    moments, texts, texts, st.none() | texts, st.none() | texts, st.dictionaries(texts, values, max_size=3)
)


def chained(contents: list[tuple[object, ...]]) -> list[Event]:
    events, previous = [], START
    for number, content in enumerate(contents, 1):
        event = Event(number, *content)  # type: ignore[arg-type]
        previous = next_hash(previous, event)
        events.append(replace(event, hash=previous))
    return events


def complaints(events: list[Event], head: Event) -> list[str]:
    check = ChainCheck()
    for event in events:
        check.take(event)
    check.end(head.number, head.hash)
    return check.complaints


chains = st.lists(said, min_size=2, max_size=8).map(chained)


@given(chains)
def test_what_was_written_holds(events: list[Event]) -> None:
    assert complaints(events, events[-1]) == []


@given(chains, st.data())
def test_a_removed_event_is_found(events: list[Event], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 1))
    assert complaints(events[:at] + events[at + 1 :], events[-1])


@given(chains, st.data())
def test_two_events_that_changed_places_are_found(events: list[Event], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(events) - 2))
    second = data.draw(st.integers(first + 1, len(events) - 1))
    moved = list(events)
    moved[first], moved[second] = events[second], events[first]
    assert complaints(moved, events[-1])
    # also when whoever moved them gave each the other's number
    moved[first] = replace(events[second], number=events[first].number)
    moved[second] = replace(events[first], number=events[second].number)
    assert complaints(moved, events[-1])


@given(chains, st.data())
def test_a_changed_event_is_found(events: list[Event], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 1))
    old = events[at]
    change = data.draw(
        st.sampled_from(
            [
                {"at": old.at + timedelta(milliseconds=1)},
                {"action": old.action + "x"},
                {"actor": old.actor + "x"},
                {"channel": (old.channel or "") + "x"},
                {"subject": (old.subject or "") + "x"},
                {"detail": {**old.detail, "x": "x" if old.detail.get("x") != "x" else "y"}},
                {"hash": bytes([old.hash[0] ^ 1]) + old.hash[1:]},
            ]
        )
    )
    changed = replace(old, **change)  # type: ignore[arg-type]
    assert complaints([*events[:at], changed, *events[at + 1 :]], events[-1])


@given(chains, said)
def test_an_event_that_was_put_in_is_found(events: list[Event], content: tuple[object, ...]) -> None:
    forged = Event(len(events) + 1, *content)  # type: ignore[arg-type]
    forged = replace(forged, hash=next_hash(events[-1].hash, forged))
    assert complaints([*events, forged], events[-1])
