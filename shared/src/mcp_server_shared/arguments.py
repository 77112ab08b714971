"""The arguments of a tool or prompt, from its signature: the schema that is listed is exactly what is enforced."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, cast, get_args

from mcp.shared.inbound import x_mcp_header_map
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.validation import problems

_STRICT = ConfigDict(
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    hide_input_in_errors=True,
    alias_generator=lambda field: field.removesuffix("_"),
)


class Arguments:
    """What one function accepts beside its first parameter, the call.

    Args:
        fn: an annotated function; each parameter's `Field` holds its description and limits. Optional means
            having a default; `X | None = None` is listed as an optional X, since an explicit null counts as absent.
        choices: for a string parameter that picks one of what the operator configured, the names there are. With
            several, one of them is required; with less than two there is nothing to pick, so there is no such argument
            and the function's default stands.
    """

    def __init__(self, fn: Callable[..., Any], choices: Mapping[str, Sequence[str]] | None = None) -> None:
        signature = list(inspect.signature(fn, eval_str=True).parameters.values())[1:]
        parameters = [_chosen(p, choices[p.name]) if choices and p.name in choices else p for p in signature]
        parameters = [p for p in parameters if p is not None]
        # An argument may be called "schema" or "copy", as methods of a pydantic model are; a field may not.
        fields: dict[str, Any] = {
            f"{p.name}_": (p.annotation, ... if p.default is p.empty else p.default) for p in parameters
        }
        self._model: type[BaseModel] = create_model(fn.__name__, __config__=_STRICT, **fields)
        self.names = tuple(p.name for p in parameters)
        self.required = frozenset(p.name for p in parameters if p.default is p.empty)
        self.schema = compact_schema(self._model.model_json_schema())
        properties: dict[str, dict[str, Any]] = self.schema["properties"]
        self._integers = {name for name, prop in properties.items() if prop.get("type") == "integer"}

    def validate(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments to call the function with, defaults included.

        Raises:
            InvalidArgument: naming each problem and, for an unknown name, the nearest known one.
        """
        present = {
            name: self._whole(name, value)
            for name, value in given.items()
            if value is not None or name in self.required or name not in self.names
        }
        try:
            checked = self._model.model_validate(present)
        except ValidationError as error:
            found = "; ".join(problems(error, self.names))
            raise InvalidArgument(
                f"Invalid arguments: {found}{'' if found.endswith('?') else '.'}", hint=self._usage()
            ) from None
        return {name: getattr(checked, f"{name}_") for name in self.names}

    @cached_property
    def in_headers(self) -> bool:
        """Whether a client repeats some of them in headers of HTTP, for what routes by them (`x-mcp-header`)."""
        return bool(x_mcp_header_map(self.schema))

    def _whole(self, name: str, value: Any) -> Any:
        # To JSON Schema 5.0 is an integer, and some clients write integers so.
        return int(value) if name in self._integers and isinstance(value, float) and value.is_integer() else value

    def _usage(self) -> str:
        if not self.names:
            return "It takes no arguments."
        return f"Arguments: {', '.join(n if n in self.required else f'{n} (optional)' for n in self.names)}."


def _chosen(parameter: inspect.Parameter, names: Sequence[str]) -> inspect.Parameter | None:
    """Return a required parameter that takes one of the names; None when there is nothing to choose."""
    if not names[1:]:
        return None
    metadata = get_args(parameter.annotation)[1:]
    return parameter.replace(annotation=Annotated[(Literal[tuple(names)], *metadata)], default=inspect.Parameter.empty)


def compact_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return pydantic's schema without what a model pays for and does not need.

    That is titles, null arms, null defaults, and definitions apart from where they are used. A type that contains
    itself has no such schema and raises RecursionError.
    """
    compacted = _compacted(schema, schema.get("$defs", {}))
    compacted.pop("description", None)  # the tool has its own
    return {"type": "object", "properties": {}} | compacted | {"additionalProperties": False}


def _compacted(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_compacted(item, definitions) for item in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    slim: dict[str, Any] = {}
    for key, value in cast(dict[str, Any], node).items():
        if key == "$ref":
            slim |= _compacted(definitions[value.rpartition("/")[2]], definitions)
        elif key == "properties":  # these keys are names of arguments, and one may be called "title"
            slim[key] = {name: _compacted(prop, definitions) for name, prop in value.items()}
        elif key not in {"title", "$defs"} and not (key == "default" and value is None):
            slim[key] = _compacted(value, definitions)
    arms = [arm for arm in slim.get("anyOf", ()) if arm != {"type": "null"}]
    if len(arms) == 1:
        del slim["anyOf"]
        slim = arms[0] | slim
    elif arms:
        slim["anyOf"] = arms
    return slim
