"""Reading and writing the place in a trace."""

import pytest

from service.observe.traceparent import Traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01"])
def test_what_is_read_is_written(flags: str) -> None:
    """
    Trace, span and the decision to sample survive.
    """
    text = f"00-{TRACE}-{SPAN}-{flags}"

    assert text == str(Traceparent.parse(text))


def test_later_versions_are_read() -> None:
    """
    A later version may add flags and fields; what is known of it holds.
    """
    place = Traceparent.parse(f"01-{TRACE}-{SPAN}-ff-more")

    assert Traceparent(TRACE, SPAN, sampled=True) == place


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "garbled",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_nonsense_is_no_place(text: str | None) -> None:
    """
    What cannot be read belongs to no trace.
    """
    assert Traceparent.parse(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{TRACE}/{int(SPAN, 16)};o=1", Traceparent(TRACE, SPAN, sampled=True)),
        (f"{TRACE}/{int(SPAN, 16)};o=0", Traceparent(TRACE, SPAN, sampled=False)),
        (f"{TRACE}/1", Traceparent(TRACE, "0" * 15 + "1", sampled=False)),
        (f"{TRACE}/0;o=1", None),
        (f"{TRACE}/{2**64};o=1", None),
        (f"{'0' * 32}/1;o=1", None),
        (TRACE, None),
        ("", None),
        (None, None),
    ],
)
def test_the_platforms_own_header(
    text: str | None, expected: Traceparent | None
) -> None:
    """
    X-Cloud-Trace-Context has its span in decimal.
    """
    assert expected == Traceparent.parse_cloud(text)
