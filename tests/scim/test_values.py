"""When two texts are the same, and what a dateTime says (RFC 7643 §2.3, RFC 7644 §7.8)."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_server.scim.values import fold


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
