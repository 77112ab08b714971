"""What an operator decides: flags, environment variables, and secrets from files.

A server's settings are a `ServerSettings` subclass. A field becomes the flag `--field-name` and the
variable `PREFIX_FIELD_NAME` (`MCP_FIELD_NAME` for those below, which every server shares);
`Annotated[..., Source(...)]` says otherwise. A flag wins over the environment, the environment over
the default. Problems are told in plain words that never print a value, since a value may be a secret.
"""

import os
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self, TextIO, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo

from mcp_server_shared.catalog import Grant
from mcp_server_shared.errors import did_you_mean
from mcp_server_shared.validation import problems

Policy = Literal["ask", "never", "refuse"]


class SettingsProblem(Exception):
    """The command line or the environment is not usable; the text says what to change."""


@dataclass(frozen=True)
class Source:
    """Where a setting comes from, when that is not the flag and variable of its own name.

    Attributes:
        env: variable names, first one wins; names people already have in their configuration.
        positional: the placeholder of a positional argument, for example "DIR"; then there is no flag.
        placeholder: what `--help` shows for the flag's value.
        value_optional: whether the flag may stand alone; its value is then the empty string.
    """

    env: tuple[str, ...] = ()
    positional: str = ""
    placeholder: str = ""
    value_optional: bool = False


@dataclass(frozen=True)
class Setting:
    """One setting as `--help`, the catalog and the loader see it."""

    field: str
    flag: str
    env: tuple[str, ...]
    positional: str
    placeholder: str
    description: str
    secret: bool
    required: bool
    switch: bool
    value_optional: bool
    many: bool
    separator: str
    default: Any

    def names(self) -> str:
        """Return the setting as a person would type it: "--flag (or VARIABLE)"."""
        first = self.flag or self.positional
        return f"{first} (or {', '.join(self.env)})" if self.env else first


def wants_colour(stream: TextIO) -> bool:
    """Whether to write colours to a stream: a terminal, unless `NO_COLOR` (no-color.org) is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


class ServerSettings(BaseModel):
    """The settings every server has."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    env_prefix: ClassVar[str] = "MCP"

    results: Annotated[
        Literal["both", "text"],
        Field(description="Forms of a result: both, or text alone for hosts that show a model both."),
    ] = "both"
    max_output_characters: Annotated[
        int, Field(ge=1_000, le=1_000_000, description="Budget of one result, in characters.")
    ] = 25_000
    deadline_s: Annotated[float, Field(gt=0, le=3_600, description="Seconds a call may take.")] = 60.0
    confirm: Annotated[
        tuple[str, ...],
        Source(placeholder="[KIND=]ask|never|refuse"),
        Field(description="Whether a person confirms risky calls: ask them, never ask, or refuse the call."),
    ] = ("ask",)
    max_message_bytes: Annotated[
        int, Field(ge=1_024, le=1_073_741_824, description="Largest message accepted, in bytes.")
    ] = 8_388_608
    threads: Annotated[int, Field(ge=1, le=256, description="Blocking operations at the same time.")] = 16
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severity that is logged.")
    ] = "info"
    log_results: Annotated[
        Literal["none", "preview", "full"], Field(description="How much of each result the audit line keeps.")
    ] = "preview"
    log_file: Annotated[
        Path | None, Field(description="Log to this file instead of stderr; rotated at 10 MB, five kept.")
    ] = None

    @field_validator("confirm")
    @classmethod
    def _policies(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            if entry.rpartition("=")[2] not in get_args(Policy):
                raise ValueError("must be ask, never or refuse, or KIND= one of these")
        return entries

    def confirm_policy(self, kind: str) -> Policy:
        """Return what the operator decided for one kind of confirmation; the last entry that fits wins."""
        fitting = [entry.rpartition("=") for entry in self.confirm if entry.rpartition("=")[0] in {"", kind}]
        by_kind = [policy for named, _, policy in fitting if named]
        return (by_kind or [policy for _, _, policy in fitting] or ["ask"])[-1]  # pyright: ignore[reportReturnType]

    def gives(self, grant: Grant) -> bool:
        """Whether the operator gave a grant; a server whose grants are finer than one switch overrides this."""
        return bool(getattr(self, grant.setting))

    @classmethod
    def settings(cls) -> list[Setting]:
        """Describe every setting: the server's own first, in the order of the code."""
        shared = set(ServerSettings.model_fields)
        own = [name for name in cls.model_fields if name not in shared]
        return [_describe(cls, name, cls.model_fields[name]) for name in [*own, *ServerSettings.model_fields]]

    @classmethod
    def load(cls, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings from command-line arguments and the environment.

        Raises:
            SettingsProblem: for an unknown flag, a missing, unreadable or invalid value.
        """
        described = cls.settings()
        values = _from_environment(described, os.environ if environment is None else environment)
        values |= _from_arguments(described, arguments)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            named = {setting.field: setting.names() for setting in described}
            raise SettingsProblem("; ".join(problems(error, named, lambda field: named.get(field, field)))) from None


def _describe(owner: type[ServerSettings], name: str, field: FieldInfo) -> Setting:
    source = next((item for item in field.metadata if isinstance(item, Source)), Source())
    prefix = "MCP" if name in ServerSettings.model_fields else owner.env_prefix
    kinds = _plain_types(field.annotation)
    many = any(get_origin(kind) in {tuple, list} for kind in kinds)
    item_types = [item for kind in kinds for item in get_args(kind)]
    return Setting(
        field=name,
        flag="" if source.positional else "--" + name.replace("_", "-"),
        env=source.env or (f"{prefix}_{name.upper()}",),
        positional=source.positional,
        placeholder=source.placeholder or _placeholder(kinds),
        description=field.description or "",
        secret=SecretStr in kinds,
        required=field.is_required(),
        switch=bool in kinds,
        value_optional=source.value_optional,
        many=many,
        separator=os.pathsep if Path in item_types else ",",
        default=None if field.is_required() else field.get_default(call_default_factory=True),
    )


def _plain_types(annotation: Any) -> list[Any]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return [kind for kind in get_args(annotation) if kind is not type(None)]
    return [annotation]


def _placeholder(kinds: list[Any]) -> str:
    if get_origin(kinds[0]) is Literal:
        return "|".join(get_args(kinds[0]))
    return {int: "N", float: "SECONDS", Path: "PATH", SecretStr: "SECRET"}.get(kinds[0], "TEXT")


def _from_environment(described: list[Setting], environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in described:
        text = _variable(setting, environment)
        if text is not None:
            values[setting.field] = text.split(setting.separator) if setting.many else text
    return values


def _variable(setting: Setting, environment: Mapping[str, str]) -> str | None:
    """Return the first variable that is set and not empty; a secret's `NAME_FILE` names a file that holds it."""
    for name in setting.env:
        if text := environment.get(name):
            if setting.secret and environment.get(f"{name}_FILE"):
                raise SettingsProblem(f"both {name} and {name}_FILE are set; keep one")
            return text
        if setting.secret and (path := environment.get(f"{name}_FILE")):
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                raise SettingsProblem(f"cannot read the file that {name}_FILE names: {reason}") from None
    return None


def _from_arguments(described: list[Setting], arguments: Sequence[str]) -> dict[str, Any]:
    by_flag = {setting.flag: setting for setting in described if setting.flag}
    positional = next((setting for setting in described if setting.positional), None)
    values: dict[str, Any] = {}
    remaining = list(arguments)
    only_positional = False
    while remaining:
        word = remaining.pop(0)
        if word == "--" and not only_positional:
            only_positional = True
        elif word.startswith("-") and not only_positional:
            setting, text = _flag(word, remaining, by_flag)
            _put(values, setting, text)
        elif positional is None or (positional.field in values and not positional.many):
            raise SettingsProblem("too many arguments; see --help")
        else:
            _put(values, positional, word)
    return values


def _flag(word: str, remaining: list[str], by_flag: Mapping[str, Setting]) -> tuple[Setting, str]:
    flag, equals, text = word.partition("=")
    setting = by_flag.get(flag)
    if setting is None:
        _refuse_flag(flag, by_flag)
    if equals:
        return setting, text
    if setting.switch:
        return setting, "true"
    if setting.value_optional and (not remaining or remaining[0].startswith("-")):
        return setting, ""
    if not remaining:
        raise SettingsProblem(f"{flag} needs a value: {flag} {setting.placeholder}")
    return setting, remaining.pop(0)


def _refuse_flag(flag: str, known: Mapping[str, Setting]) -> NoReturn:
    raise SettingsProblem(f"unknown option {flag}; {did_you_mean(flag, known) or 'see --help'}")


def _put(values: dict[str, Any], setting: Setting, text: str) -> None:
    if setting.many:
        values.setdefault(setting.field, []).append(text)
    elif setting.field in values:
        raise SettingsProblem(f"{setting.flag} is given twice")
    else:
        values[setting.field] = text
