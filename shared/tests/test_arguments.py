"""Arguments: what the schema lists is exactly what is enforced, and a refusal says what to change."""

import json
import string
from typing import Annotated, Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_shared.arguments import Arguments, compact_schema
from mcp_server_shared.errors import MAX_ERROR_CHARACTERS, InvalidArgument
from pydantic import Field
from typing_extensions import TypedDict

Schema = dict[str, Any]


class Edit(TypedDict):
    """One object as an argument."""

    old: str
    title: str


async def everything(  # noqa: PLR0913, PLR0917
    call: object,
    name: Annotated[str, Field(description="A name.", min_length=2, max_length=4)],
    pattern: Annotated[str, Field(pattern=r"^[a-c]+$")],
    count: Annotated[int, Field(ge=-3, le=3)],
    ratio: Annotated[float, Field(gt=0, lt=1)],
    exact: bool,  # noqa: FBT001
    order: Literal["name", "length"],
    tags: Annotated[list[str], Field(min_length=1, max_length=2)],
    edits: list[Edit],
    either: int | str,
    values: dict[str, int],
    anything: float,
    title: str | None = None,
    limit: Annotated[int, Field(ge=1)] = 10,
) -> None:
    """Take one argument of each kind."""


ARGUMENTS = Arguments(everything)
PROPERTIES: dict[str, Schema] = ARGUMENTS.schema["properties"]
VALID: dict[str, Any] = {
    "name": "abc",
    "pattern": "a",
    "count": 0,
    "ratio": 0.5,
    "exact": True,
    "order": "name",
    "tags": ["x"],
    "edits": [],
    "either": 1,
    "values": {},
    "anything": 0.0,
}


def refusal_by(arguments: Arguments, **given: Any) -> str:
    with pytest.raises(InvalidArgument) as caught:
        arguments.validate(given)
    return caught.value.text()


def refusal(**given: Any) -> str:
    return refusal_by(ARGUMENTS, **VALID | given)


# The listed schema is what is enforced

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
of_type: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "integer": st.integers(-9, 9),
    "number": st.floats(-2, 2),
    "boolean": st.booleans(),
    "array": st.lists(st.integers() | texts, max_size=3),
    "object": st.dictionaries(texts, st.integers() | texts, max_size=3),
}


def allowed(schema: Schema) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    """Draw values that a listed schema allows."""
    if "anyOf" in schema:
        return st.one_of([allowed(arm) for arm in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "pattern" in schema:
        return st.text("abc", min_size=1)
    match schema["type"]:
        case "array":
            least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
            return st.lists(allowed(schema["items"]), min_size=least, max_size=most)
        case "object" if "properties" in schema:
            return st.fixed_dictionaries({name: allowed(part) for name, part in schema["properties"].items()})
        case "object":
            return st.dictionaries(texts, allowed(schema["additionalProperties"]), max_size=3)
        case kind:
            return of_type[kind].filter(lambda value: within(value, schema))


def within(value: Any, schema: Schema) -> bool:
    """Tell whether a value of the right type keeps a schema's limits, as JSON Schema defines them."""
    size = len(cast("str | list[Any]", value)) if isinstance(value, str | list) else 0
    number = value if isinstance(value, int | float) else 0
    return (
        schema.get("minLength", 0) <= size <= schema.get("maxLength", 9)
        and schema.get("minItems", 0) <= size <= schema.get("maxItems", 9)
        and schema.get("minimum", number) <= number <= schema.get("maximum", number)
        and ("exclusiveMinimum" not in schema or number > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or number < schema["exclusiveMaximum"])
    )


def kinds(schema: Schema) -> set[str]:
    arms = schema.get("anyOf", [schema])
    named: set[str] = {(arm)["type"] for arm in arms}
    return named | {"integer"} if "number" in named else named


def forbidden(schema: Schema) -> st.SearchStrategy[Any]:
    """Draw values that a listed schema forbids: of another type, past a limit, or wrong inside."""
    other_types = [values for kind, values in of_type.items() if kind not in kinds(schema)]
    if "integer" in kinds(schema) and "number" not in kinds(schema):
        other_types.remove(of_type["number"])
        other_types.append(of_type["number"].filter(lambda value: not value.is_integer()))
    wrong = st.one_of(other_types)
    if "enum" in schema:
        return wrong | texts.filter(lambda text: text not in schema["enum"])
    if "pattern" in schema:
        return wrong | texts.filter(lambda text: not text or set(text) - set("abc") != set())
    if schema.get("type") == "array":
        wrong |= st.lists(forbidden(schema["items"]), min_size=1, max_size=2)
    elif schema.get("type") == "object":
        wrong |= st.dictionaries(texts, forbidden(schema["additionalProperties"]), min_size=1, max_size=2)
    if any(key in schema for key in ("minLength", "minItems", "minimum", "exclusiveMinimum")):
        wrong |= of_type[schema["type"]].filter(lambda value: not within(value, schema))
    return wrong


@given(st.fixed_dictionaries({name: allowed(schema) for name, schema in PROPERTIES.items()}))
def test_what_the_schema_allows_is_accepted_unchanged(given_arguments: dict[str, Any]) -> None:
    assert ARGUMENTS.validate(given_arguments) == given_arguments


@given(st.data(), st.sampled_from([name for name in PROPERTIES if name != "edits"]))
def test_what_the_schema_forbids_is_refused(data: st.DataObject, name: str) -> None:
    value = data.draw(forbidden(PROPERTIES[name]))
    assert f"'{name}'" in refusal(**{name: value})


@pytest.mark.parametrize("edit", [{}, {"old": "a"}, {"old": 1, "title": "b"}, {"old": "a", "title": "b", "more": 1}])
def test_what_the_schema_forbids_inside_an_object_is_refused(edit: dict[str, Any]) -> None:
    assert "'edits'[0]" in refusal(edits=[edit])


@pytest.mark.parametrize("name", sorted(ARGUMENTS.required))
def test_a_missing_required_argument_is_refused(name: str) -> None:
    assert f"'{name}' is missing" in refusal_by(ARGUMENTS, **{k: v for k, v in VALID.items() if k != name})


@pytest.mark.parametrize("name", sorted(ARGUMENTS.required))
def test_null_for_a_required_argument_is_refused(name: str) -> None:
    assert f"'{name}'" in refusal(**{name: None})


@pytest.mark.parametrize("name", ["title", "limit"])
def test_null_for_an_optional_argument_counts_as_absent(name: str) -> None:
    assert ARGUMENTS.validate(VALID | {name: None}) == VALID | {"title": None, "limit": 10}


@given(st.integers(-3, 3))
def test_a_whole_number_written_with_a_point_is_an_integer_as_in_json_schema(number: int) -> None:
    count = ARGUMENTS.validate(VALID | {"count": float(number)})["count"]
    assert (count, type(count)) == (number, int)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["count", "anything"])
def test_what_is_no_json_number_is_refused(name: str, value: float) -> None:
    assert f"'{name}'" in refusal(**{name: value})


# Refusals


@pytest.mark.parametrize(
    ("given_arguments", "phrase"),
    [
        ({"nam": "x"}, "'nam' is unknown; did you mean name?"),
        ({"zzz": 1}, "'zzz' is unknown."),
        ({"title": 5}, "'title' must be a string, not an integer."),
        ({"count": 4}, "'count' must be at most 3."),
        ({"count": True}, "'count' must be an integer, not a boolean."),
        ({"count": 0.5}, "'count' must be an integer, not a number."),
        ({"order": "nmae"}, "'order' must be one of 'name' or 'length'; did you mean name?"),
        ({"name": "x"}, "'name' must have at least 2 characters."),
        ({"pattern": "z"}, "'pattern' must match ^[a-c]+$."),
        ({"tags": []}, "'tags' must not be empty."),
        ({"tags": [1]}, "'tags'[0] must be a string, not an integer."),
        ({"tags": "x"}, "'tags' must be an array, not a string."),
        ({"values": {"a": "b"}}, "'values'['a'] must be an integer, not a string."),
        ({"edits": [{"old": "a", "title": "b", "more": 1}]}, "'edits'[0]['more'] is unknown."),
    ],
)
def test_a_refusal_says_what_is_wrong(given_arguments: dict[str, Any], phrase: str) -> None:
    assert phrase in refusal(**given_arguments)


def test_a_refusal_lists_the_arguments_there_are() -> None:
    async def greet(call: object, name: str, loud: bool = False) -> None: ...  # noqa: FBT001, FBT002

    assert refusal_by(Arguments(greet)).endswith(" Arguments: name, loud (optional).")


def test_a_function_without_arguments_says_so() -> None:
    async def ping(call: object) -> None: ...

    assert refusal_by(Arguments(ping), x=1).endswith("'x' is unknown. It takes no arguments.")


@given(st.dictionaries(st.text(min_size=1), st.integers(), min_size=1, max_size=20))
def test_a_refusal_is_short_whatever_the_names(unknown: dict[str, int]) -> None:
    assert len(refusal(**{"x" + name: value for name, value in unknown.items()})) <= MAX_ERROR_CHARACTERS


@pytest.mark.parametrize("name", ["title", "order", "count", "tags", "pattern", "either"])
def test_a_refusal_never_repeats_a_value(name: str) -> None:
    assert "hunter2" not in refusal(**{name: {"password": "hunter2"}}) + refusal(count=9, **{"order": "hunter2"})


def test_an_argument_may_be_called_as_a_method_of_pydantics_models_is() -> None:
    async def dump(call: object, schema: str, copy: int, json: bool) -> None: ...  # noqa: FBT001

    given_arguments = {"schema": "public", "copy": 1, "json": True}
    assert Arguments(dump).validate(given_arguments) == given_arguments


# The listed schema is compact


def test_an_optional_argument_is_listed_without_null() -> None:
    assert PROPERTIES["title"] == {"type": "string"}


def test_an_argument_keeps_its_description_limits_and_default() -> None:
    assert PROPERTIES["name"] == {"description": "A name.", "minLength": 2, "maxLength": 4, "type": "string"}
    assert PROPERTIES["limit"] == {"default": 10, "minimum": 1, "type": "integer"}


def test_unknown_arguments_are_listed_as_not_allowed() -> None:
    assert ARGUMENTS.schema["additionalProperties"] is False


def test_a_function_without_arguments_has_an_empty_object_as_schema() -> None:
    async def ping(call: object) -> None: ...

    assert Arguments(ping).schema == {"type": "object", "properties": {}, "additionalProperties": False}


def test_no_title_of_pydantics_is_left() -> None:
    assert '"title": "' not in json.dumps(ARGUMENTS.schema)


def test_an_argument_named_title_stays() -> None:
    assert "title" in PROPERTIES["edits"]["items"]["properties"]


def test_a_type_stands_where_it_is_used() -> None:
    assert '"$' not in json.dumps(ARGUMENTS.schema)


names = st.text(string.ascii_lowercase, min_size=1, max_size=5) | st.sampled_from(["title", "default", "properties"])


@given(st.dictionaries(names, st.sampled_from([{"type": "string"}, {"type": "integer", "title": "X"}])))
def test_compaction_keeps_every_argument_whatever_its_name(properties: dict[str, Schema]) -> None:
    schema: Schema = {"title": "Model", "type": "object", "properties": properties}
    assert list(compact_schema(schema)["properties"]) == list(properties)


# Choices that the configuration decides


async def pick(call: object, database: Annotated[str, Field(description="Which.")] = "only", limit: int = 3) -> None:
    """Pick one."""


def test_a_choice_among_several_is_required_and_lists_the_names() -> None:
    schema = Arguments(pick, {"database": ("sales", "stock")}).schema
    assert schema["properties"]["database"] == {"type": "string", "enum": ["sales", "stock"], "description": "Which."}
    assert schema["required"] == ["database"]


def test_a_name_that_is_no_choice_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="sales"):
        Arguments(pick, {"database": ("sales", "stock")}).validate({"database": "other"})


@pytest.mark.parametrize("names", [(), ("sales",)])
def test_without_a_choice_there_is_no_such_argument(names: tuple[str, ...]) -> None:
    assert Arguments(pick, {"database": names}).validate({}) == {"limit": 3}


def test_without_a_choice_its_argument_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="database"):
        Arguments(pick, {"database": ("sales",)}).validate({"database": "sales"})
