"""Conditions in the provider's language mean what they mean in CEQL (contract for hubs, 8.2)."""

import uuid
from datetime import UTC

import pytest
from hypothesis import example, given, settings, strategies as st

from instances.errors import InvalidConditionError
from instances.hubs.ceql import Comparison, In, IsNull, Junction, Like, Value, parse
from instances.hubs.fields import Field, FieldType, ObjectMetadata
from instances.hubs.filters import ODataFilter, SoqlFilter
from instances.sandbox.odata import compiled_filter
from tests.support.ceql import holds
from tests.support.soql import parse_condition

KINDS = {
    "name": FieldType.TEXT,
    "city": FieldType.TEXT,
    "revenue": FieldType.NUMBER,
    "active": FieldType.BOOLEAN,
    "born": FieldType.DATE,
    "changed": FieldType.DATETIME,
    "id": FieldType.ID,
    "parent": FieldType.LOOKUP,
}
ORDERED = ("name", "city", "revenue", "born", "changed")
METADATA = ObjectMetadata(
    "thing", "things", "id", {name: Field(name, kind, kind) for name, kind in KINDS.items()}
)
COLUMNS = {
    "name": "String", "city": "String", "revenue": "Number", "active": "Boolean", "born": "Date",
    "changed": "Instant", "id": "Guid", "_parent_value": "Guid",
}  # fmt: skip
FEW = 100
MANY = 10_000

SOQL_COLUMNS = {
    "name": "text", "city": "text", "revenue": "number", "active": "boolean", "born": "date", "changed": "datetime",
}  # fmt: skip

# A small alphabet, so that texts meet, with all that is special somewhere.
texts = st.text(st.sampled_from("abAB'\"\\%_[]()-,=;& \né日"), max_size=6)
guids = st.integers(0, 3).map(lambda n: str(uuid.UUID(int=n)))
days = st.dates().filter(lambda day: day.year >= 1000).map(lambda day: day.isoformat())
instants = st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1000)
moments = instants.map(lambda at: at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
numbers = st.one_of(st.integers(-3, 3), st.floats(-1e9, 1e9).map(lambda n: round(n, 3)))

LITERALS = {
    FieldType.TEXT: texts,
    FieldType.NUMBER: numbers.map(lambda n: f"{n:f}"),
    FieldType.BOOLEAN: st.sampled_from(["true", "false", "True"]),
    FieldType.DATE: days,
    FieldType.DATETIME: moments,
    FieldType.ID: guids,
    FieldType.LOOKUP: guids,
}
STORED = LITERALS | {FieldType.NUMBER: numbers, FieldType.BOOLEAN: st.booleans()}


def values(kind):
    return LITERALS[kind].map(lambda text: Value(text, is_quoted=True))


def comparisons(name):
    operators = ["=", "!=", "<", ">", "<=", ">="] if name in ORDERED else ["=", "!="]
    return st.builds(Comparison, st.just(name), st.sampled_from(operators), values(KINDS[name]))


def patterns():
    inner = texts.map(lambda text: text.replace("%", ""))
    return st.tuples(st.sampled_from(["", "%"]), inner, st.sampled_from(["", "%"])).map("".join)


def terms(name):
    listed = st.lists(values(KINDS[name]), min_size=1, max_size=3).map(tuple)
    forms = [comparisons(name), st.builds(In, st.just(name), listed)]
    forms.append(st.builds(IsNull, st.just(name), st.booleans()))
    if KINDS[name] == FieldType.TEXT:
        pattern = patterns().map(lambda text: Value(text, is_quoted=True))
        forms.append(st.builds(Like, st.just(name), pattern))
    return st.one_of(forms)


def junctions(parts):
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(Junction, st.sampled_from(["AND", "OR"]), several)


conditions = st.recursive(st.one_of([terms(name) for name in KINDS]), junctions, max_leaves=6)
# Salesforce's ids are texts.
soql_conditions = st.recursive(
    st.one_of([terms(name) for name in SOQL_COLUMNS]), junctions, max_leaves=6
)
rows = st.fixed_dictionaries({name: st.none() | STORED[kind] for name, kind in KINDS.items()})


def check_that_both_mean_the_same(condition, some_rows):
    assert parse(str(condition)) == condition
    matches = compiled_filter(ODataFilter(METADATA).write(condition), COLUMNS)
    for row in some_rows:
        stored = row | {"_parent_value": row["parent"]}
        assert matches(stored) is holds(condition, row, METADATA.fields)


@settings(max_examples=FEW)
@given(conditions, st.lists(rows, min_size=1, max_size=4))
def test_a_filter_in_odata_means_what_the_condition_means(condition, some_rows):
    check_that_both_mean_the_same(condition, some_rows)


@pytest.mark.slow
@settings(max_examples=MANY)
@given(conditions, st.lists(rows, min_size=1, max_size=4))
def test_ten_thousand_filters_in_odata_mean_what_their_conditions_mean(condition, some_rows):
    check_that_both_mean_the_same(condition, some_rows)


def check_that_soql_means_the_same(condition, some_rows):
    matches = parse_condition(SoqlFilter(METADATA).write(condition), SOQL_COLUMNS)
    for row in some_rows:
        assert matches(row) is holds(condition, row, METADATA.fields)


@settings(max_examples=FEW)
@given(soql_conditions, st.lists(rows, min_size=1, max_size=4))
@example(Like("name", Value("\\%", is_quoted=True)), [{"name": "\\", "city": None}])
def test_a_condition_in_soql_means_what_it_means(condition, some_rows):
    check_that_soql_means_the_same(condition, some_rows)


@pytest.mark.slow
@settings(max_examples=MANY)
@given(soql_conditions, st.lists(rows, min_size=1, max_size=4))
def test_ten_thousand_conditions_in_soql_mean_what_they_mean(condition, some_rows):
    check_that_soql_means_the_same(condition, some_rows)


@settings(max_examples=FEW)
@given(st.text(st.characters(exclude_characters="\x00"), max_size=40))
def test_no_text_of_a_caller_changes_the_soql_around_it(text):
    condition = Junction("AND", (Comparison("name", "=", Value(text, True)), IsNull("city", True)))
    matches = parse_condition(SoqlFilter(METADATA).write(condition), SOQL_COLUMNS)
    assert matches({"name": text, "city": None})
    assert not matches({"name": text, "city": "x"})
    assert not matches({"name": text + "x", "city": None})


@settings(max_examples=FEW)
@given(st.text(max_size=40))
def test_no_text_of_a_caller_changes_the_filter_around_it(text):
    condition = Junction("AND", (Comparison("name", "=", Value(text, True)), IsNull("city", True)))
    matches = compiled_filter(ODataFilter(METADATA).write(parse(str(condition))), COLUMNS)
    assert matches({"name": text, "city": None})
    assert not matches({"name": text, "city": "x"})
    assert not matches({"name": text + "x", "city": None})


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"name", "city"}))
@settings(max_examples=30)
@given(
    text=st.sampled_from(
        ["1 or 1 eq 1", "' or '1' eq '1", "null", "x)", "1)or(1 eq 1", "true or true"]
    )
)
def test_no_text_gets_out_of_a_value_that_is_not_quoted(name, text):
    with pytest.raises(InvalidConditionError):
        ODataFilter(METADATA).write(Comparison(name, "=", Value(text, is_quoted=True)))


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ("name = 'z''x'", "name eq 'z''x'"),
        ("name = 5550101", "name eq '5550101'"),
        ("name LIKE 'a_[b]%'", "startswith(name,'a[_][[]b]')"),
        ("name LIKE '%a%' OR city = '%'", "contains(name,'a') or city eq '%'"),
        ("name LIKE '%'", "name ne null"),
        ("revenue <> +5.50", "revenue ne 5.50"),
        ("active = TRUE", "active eq true"),
        ("changed >= 2017-02-28T16:11:29-06:00", "changed ge 2017-02-28T22:11:29Z"),
        ("changed < 1524067137123", "changed lt 2018-04-18T15:58:57.123Z"),
        ("changed > '2017-02-28 16:11'", "changed gt 2017-02-28T16:11:00Z"),
        ("born = 2017-02-28", "born eq 2017-02-28"),
        ("id IN ('{B7C40D1E-0F6B-4A53-92D8-6E3A1F5C8B01}')", "(id eq b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b01)"),
        ("parent IS NULL AND (name='a' OR name='b')", "_parent_value eq null and (name eq 'a' or name eq 'b')"),
    ],
)  # fmt: skip
def test_conditions_are_written_in_odata(where, written):
    assert ODataFilter(METADATA).write(parse(where)) == written


@pytest.mark.parametrize(
    "where",
    [
        "name LIKE 'a%b'", "revenue LIKE '5%'", "id > 'b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b01'", "active < true",
        "born = '2017-02-30'", "changed = 'yesterday'", "revenue = '1,5'", "active = 'yes'", "zip = 1",
        "name IN ({})".format(",".join("x" * 51)),
    ],
)  # fmt: skip
def test_what_odata_cannot_express_is_refused_by_name(where):
    condition = parse(f"city = 'a' AND {where}")
    with pytest.raises(InvalidConditionError, match="The condition “") as caught:
        ODataFilter(METADATA).write(condition)
    assert str(parse(where))[:20] in str(caught.value)
