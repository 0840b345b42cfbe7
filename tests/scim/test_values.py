"""When two texts are the same, and what a dateTime says (RFC 7643 §2.3, RFC 7644 §7.8)."""

from __future__ import annotations

from datetime import UTC, datetime
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_server.scim.values import fold, parse_date_time


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Ada", "aDA", id="case"),
        pytest.param("Straße", "STRASSE", id="case of more than one letter"),
        pytest.param("Zoë", "Zoe\u0308", id="a letter with a mark, composed or not"),
        pytest.param("ＡＤＡ＠example.com", "ada@example.com", id="full width"),
        pytest.param("ｶﾞ", "ガ", id="half width"),
    ],
)
def test_texts_that_differ_in_case_width_or_composition_are_the_same(one, other):
    assert fold(one) == fold(other)


def test_a_letter_is_not_the_same_without_its_mark():
    assert fold("José") != fold("Jose")
    assert not fold("Jose\u0301").startswith(fold("Jose"))


@given(st.text())
def test_folding_twice_is_folding_once_whatever_the_composition(text):
    folded = fold(text)

    assert fold(folded) == folded
    assert fold(normalize("NFD", text)) == folded


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000000000Z",
        "2026-01-31T13:30:00+01:30",
        "2026-02-01T02:00:00+14:00",
        "2026-01-30T22:00:00-14:00",
        "2026-01-31T12:00:00",
    ],
)
def test_a_date_time_is_an_instant_however_it_is_written(text):
    assert parse_date_time(text) == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_day_may_end_at_24_hours():
    assert parse_date_time("2026-01-31T24:00:00Z") == datetime(2026, 2, 1, tzinfo=UTC)
    assert parse_date_time("2026-12-31T24:00:00.000-01:00") == datetime(2027, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T24:00:01Z",
        "2026-01-31T24:00:00.5Z",
        "9999-12-31T24:00:00Z",
        "2026-01-31",
        "2026-02-30T12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+1",
        "2026-01-31T12:00:00+14:30",
        "2026-01-31T12:00:00+05:75",
        "0001-01-01T00:00:00+14:00",
        "２０２６-01-31T12:00:00Z",
    ],
)
def test_what_is_no_xsd_date_time_is_refused(text):
    with pytest.raises(ValueError):
        parse_date_time(text)
