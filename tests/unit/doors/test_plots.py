"""What a plot shows is what its report says, however many lines there are."""

from headgate.doors.web.plots import OTHERS, Plot, lines_of


def test_lines_beyond_the_first_are_one_together() -> None:
    cells = [(f"channel-{number}", "monday", float(number)) for number in range(1, 10)] + [
        ("channel-1", "tuesday", 50.0)
    ]
    lines = lines_of(cells, ["monday", "tuesday"])
    assert [(one.name, one.values) for one in lines] == [
        ("channel-1", [1, 50]), ("channel-9", [9, 0]), ("channel-8", [8, 0]), ("channel-7", [7, 0]), ("channel-6", [6, 0]),
        (OTHERS, [2 + 3 + 4 + 5, 0]),
    ]  # fmt: skip


def test_the_table_says_what_is_drawn() -> None:
    plot = Plot("Downloads", "Day", ["monday", "tuesday"], lines_of([("team", "tuesday", 3)], ["monday", "tuesday"]))
    assert plot.rows == [("monday", [0]), ("tuesday", [3])]
    assert not plot.is_empty
    assert Plot("Downloads", "Day", ["monday"], lines_of([], ["monday"])).is_empty
