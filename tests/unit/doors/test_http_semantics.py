from datetime import UTC, datetime

import pytest

from headgate.doors.http import (
    Head,
    Span,
    Unsatisfiable,
    Validators,
    begin,
    held_back,
    is_unchanged,
    send_bytes,
    send_stream,
    wanted_span,
)

MODIFIED = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
VALIDATORS = Validators('"abc"', MODIFIED)
BODY = bytes(range(100))


def scope(method="GET", **headers):
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"method": method, "headers": encoded, "extensions": {}}


async def answer(request):
    sent = []

    async def send(message):
        sent.append(message)

    await send_bytes(request, send, Head("text/plain", len(BODY), VALIDATORS, "max-age=1"), BODY)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes=0-9", Span(0, 10)),
        ("bytes=90-", Span(90, 100)),
        ("bytes=90-1000", Span(90, 100)),
        ("bytes=-7", Span(93, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=a-b", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("bytes=\u0661-2", None),
    ],
)
def test_ranges(text, span):
    request = {"method": "GET", "headers": [(b"range", text.encode("latin-1", "replace"))]}
    assert wanted_span(request, 100, VALIDATORS) == span


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_outside_the_body_cannot_be_satisfied(text):
    with pytest.raises(Unsatisfiable):
        wanted_span(scope(range=text), 100, VALIDATORS)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('"abc"', True),
        ('"other"', False),
        ('W/"abc"', False),
        ("Fri, 02 Jan 2026 03:04:05 GMT", True),
        ("Fri, 02 Jan 2026 03:04:06 GMT", False),
        ("yesterday", False),
    ],
)
def test_if_range_decides_between_part_and_whole(condition, holds):
    span = wanted_span(scope(range="bytes=0-9", if_range=condition), 100, VALIDATORS)
    assert (span is not None) == holds


@pytest.mark.parametrize(
    ("headers", "unchanged"),
    [
        ({"if_none_match": '"abc"'}, True),
        ({"if_none_match": '"x", W/"abc"'}, True),
        ({"if_none_match": "*"}, True),
        ({"if_none_match": '"x"'}, False),
        ({"if_none_match": '"x"', "if_modified_since": "Fri, 02 Jan 2026 03:04:05 GMT"}, False),
        ({"if_modified_since": "Fri, 02 Jan 2026 03:04:05 GMT"}, True),
        ({"if_modified_since": "Fri, 02 Jan 2026 03:04:04 GMT"}, False),
        ({}, False),
    ],
)
def test_conditional_requests(headers, unchanged):
    assert is_unchanged(scope(**headers), VALIDATORS) is unchanged


async def test_whole_part_head_and_errors_carry_the_right_lengths():
    status, headers, body = await answer(scope())
    assert (status, headers["content-length"], body) == (200, "100", BODY)
    status, headers, body = await answer(scope("HEAD"))
    assert (status, headers["content-length"], body) == (200, "100", b"")
    status, headers, body = await answer(scope(range="bytes=10-19"))
    assert (status, headers["content-range"], body) == (206, "bytes 10-19/100", BODY[10:20])
    status, headers, body = await answer(scope(range="bytes=100-"))
    assert (status, headers["content-range"], body) == (416, "bytes */100", b"")
    status, headers, body = await answer(scope(if_none_match='"abc"'))
    assert (status, headers["etag"], body) == (304, '"abc"', b"")


async def streamed(pieces):
    sent = []

    async def send(message):
        sent.append(message["type"])

    late = held_back(send)
    await begin(scope(), late, Head("text/plain", len(BODY), VALIDATORS, "max-age=1"))
    assert sent == []
    try:
        await send_stream(late, pieces)
    except RuntimeError:
        sent.append("failed")
    return [one.rpartition(".")[2] for one in sent]


async def test_a_head_that_is_held_back_goes_with_the_first_piece():
    async def pieces():
        yield BODY[:50]
        yield BODY[50:]

    assert await streamed(pieces()) == ["start", "body", "body", "body"]


async def test_a_failure_before_the_first_piece_leaves_room_for_another_answer():
    async def pieces(wanted=()):
        for piece in wanted:
            yield piece
        raise RuntimeError

    assert await streamed(pieces()) == ["failed"]
    assert await streamed(pieces([BODY[:50]])) == ["start", "body", "failed"]
