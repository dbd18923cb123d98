"""What definitions say about their availability."""

import pytest

from tests.catalogue.test_validation import BASIC, OAUTH2, problems

RETIRED = {"status": "retired", "status_reason": "It was shut down.", "use_instead": "Nothing."}


@pytest.mark.parametrize(
    ("stated", "place"),
    [
        ({"status": "retired", "use_instead": "Nothing."}, "status_reason"),
        ({"status": "retired", "status_reason": "It ended."}, "use_instead"),
        ({"status": "unverified"}, "status_reason"),
        ({"status_reason": "It ended."}, "status_reason"),
        ({"use_instead": "Acme."}, "use_instead"),
        (RETIRED | {"status_reason": "no sentence"}, "status_reason"),
        ({"sunset": {"date": "2027-01-01", "what": ""}}, "sunset.what"),
        ({"sunset": {"date": "2027-01-01", "what": "it ends"}}, "sunset.what"),
    ],
)
def test_what_is_not_current_says_why_in_whole_sentences(stated, place):
    assert list(problems(BASIC, **stated)) == [place]
    other = BASIC | {"type": "custom"}
    assert list(problems(other, BASIC | stated)) == [f"authentication[1].{place}"]


def test_an_element_without_a_way_that_is_left_is_retired():
    assert list(problems(BASIC | RETIRED)) == ["status"]
    assert problems(BASIC | RETIRED, **RETIRED) == {}
    assert problems(OAUTH2, BASIC | RETIRED) == {}


def test_an_alias_is_as_available_as_its_element():
    assert list(problems(alias_of="other", **RETIRED)) == [*RETIRED]
