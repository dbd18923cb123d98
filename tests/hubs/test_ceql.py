"""CEQL is read by its grammar (contract for hubs, 5.1)."""

from pathlib import Path

import pytest

from instances.errors import InvalidConditionError
from instances.hubs.ceql import Comparison, In, IsNull, Junction, Like, Value, parse

REAL_LIFE = (Path(__file__).parent / "real_life_conditions.txt").read_text().splitlines()


def quoted(text):
    return Value(text, is_quoted=True)


def bare(text):
    return Value(text, is_quoted=False)


@pytest.mark.parametrize("where", REAL_LIFE)
def test_a_condition_from_real_life_is_read_and_written_again(where):
    tree = parse(where)
    assert parse(str(tree)) == tree


def test_there_are_enough_conditions_from_real_life():
    assert len(set(REAL_LIFE)) >= 100


@pytest.mark.parametrize(
    ("where", "tree"),
    [
        ("email='z''x'", Comparison("email", "=", quoted("z'x"))),
        ('email = "a""b"', Comparison("email", "=", quoted('a"b'))),
        ("\"$city\"='Dallas'", Comparison("$city", "=", quoted("Dallas"))),
        ("'Modified Time'>'2018-01-01'", Comparison("Modified Time", ">", quoted("2018-01-01"))),
        ("`com.x:invoice` = `a b`", Comparison("com.x:invoice", "=", quoted("a b"))),
        ("Name.content<>True", Comparison("Name.content", "!=", bare("True"))),
        ("id='2% 10/Net 30'", Comparison("id", "=", quoted("2% 10/Net 30"))),
        ("a=-5.5", Comparison("a", "=", bare("-5.5"))),
        ("mdate>=2017-02-28T16:11:29-06:00", Comparison("mdate", ">=", bare("2017-02-28T16:11:29-06:00"))),
        ("a like 'x%'", Like("a", quoted("x%"))),
        ("a In ( 1 ,'2',\"3\")", In("a", (bare("1"), quoted("2"), quoted("3")))),
        ("a is null", IsNull("a", is_null=True)),
        ("a IS not NULL", IsNull("a", is_null=False)),
        ("like = in", Comparison("like", "=", bare("in"))),
        ("'and' = 'or'", Comparison("and", "=", quoted("or"))),
        ("order=1", Comparison("order", "=", bare("1"))),
        ("android=1", Comparison("android", "=", bare("1"))),
        ("a=''", Comparison("a", "=", quoted(""))),
    ],
)  # fmt: skip
def test_names_operators_and_values_are_read(where, tree):
    assert parse(where) == tree


def test_and_binds_closer_than_or_and_brackets_closest():
    a, b, c = (Comparison(name, "=", bare("1")) for name in "abc")
    assert parse("a=1 or b=1 and c=1") == Junction("OR", (a, Junction("AND", (b, c))))
    assert parse("(a=1 or b=1) AND c=1") == Junction("AND", (Junction("OR", (a, b)), c))
    assert parse("a=1 AND b=1 and c=1") == Junction("AND", (a, b, c))
    assert parse("((a=1))") == a


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("", "expected a field name at column 1, found the end"),
        ("a", "expected an operator at column 2, found the end"),
        ("a =", "expected a value at column 4, found the end"),
        ("a = )", "expected a value at column 5, found “)”"),
        ("a = 'x", "unexpected ' at column 5"),
        ("a = 1 b = 2", "expected AND, OR or the end at column 7, found “b”"),
        ("a = 1 AND", "expected a field name at column 10, found the end"),
        ("(a = 1", "expected a closing bracket at column 7, found the end"),
        ("a = 1)", "expected AND, OR or the end at column 6, found “)”"),
        ("a IN 1", "expected an opening bracket at column 6, found “1”"),
        ("a IN ()", "expected a value at column 7, found “)”"),
        ("a IN (1 2)", "expected a comma or a closing bracket at column 9, found “2”"),
        ("a IS 1", "expected NULL at column 6, found “1”"),
        ("a = null", "use IS NULL or IS NOT NULL in place of NULL at column 5"),
        ("NOT a = 1", "expected an operator at column 5, found “a”"),
        ("a BETWEEN 1 AND 2", "expected an operator at column 3, found “BETWEEN”"),
        ("a == 1", "expected a value at column 4, found “=”"),
        ("= 1", "expected a field name at column 1, found “=”"),
        ("a = and", "expected a value at column 5, found “and”"),
        ("'' = 1", "expected a field name at column 1, found “”"),
        ("a = 1; DROP TABLE x", "expected AND, OR or the end at column 8, found “DROP”"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_its_position(where, why):
    with pytest.raises(InvalidConditionError) as caught:
        parse(where)
    assert str(caught.value) == f"Error parsing query: {why}"


@pytest.mark.parametrize(
    "where",
    [
        "a = '" + "x" * 8192 + "'",
        "(" * 51 + "a = 1" + ")" * 51,
        "(" * 5000,
        " and ".join(["a=1"] * 501),
    ],
    ids=["characters", "brackets", "many brackets", "terms"],
)
def test_a_condition_has_limits(where):
    with pytest.raises(InvalidConditionError):
        parse(where)


def test_a_condition_up_to_the_limits_is_read():
    parse("(" * 50 + "a = 1" + ")" * 50)
    parse(" or ".join(["a=1"] * 500))
