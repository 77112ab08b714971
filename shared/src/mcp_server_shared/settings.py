"""What an operator decides: flags, environment variables, and secrets from files.

A server's settings are a `ServerSettings` subclass. A field becomes the flag `--field-name` and the
variable `PREFIX_FIELD_NAME` (`MCP_FIELD_NAME` for those below, which every server shares);
`Annotated[..., Source(...)]` says otherwise. A flag wins over the environment, the environment over
the default. Problems are told in plain words that never print a value, since a value may be a secret.
"""

import os
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self, TextIO, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo

from mcp_server_shared.catalog import Grant
from mcp_server_shared.errors import did_you_mean
from mcp_server_shared.validation import problems

Policy = Literal["ask", "never", "refuse"]
SettingsT = TypeVar("SettingsT", bound="OperatorSettings")
BesideT = TypeVar("BesideT", bound="OperatorSettings")


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
    path: bool
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


def application_settings() -> Path:
    """Return the folder in which this system's applications keep their settings."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData/Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


class OperatorSettings(BaseModel):
    """Settings that the command line and the environment give."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    env_prefix: ClassVar[str] = "MCP"

    @classmethod
    def settings(cls) -> list[Setting]:
        """Describe every setting, in the order of the code."""
        return [_describe(cls, name, field) for name, field in cls.model_fields.items()]


class ServerSettings(OperatorSettings):
    """The settings every server has.

    Attributes:
        confirmations: the kinds of what a person confirms, for `--confirm KIND=never`.
    """

    confirmations: ClassVar[tuple[str, ...]] = ()

    transport: Annotated[
        Literal["stdio", "http", "sse", "websocket"],
        Field(description="How clients connect; all but stdio take the extra [http]."),
    ] = "stdio"

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
    max_calls: Annotated[int, Field(ge=1, le=100_000, description="Calls at the same time; more are refused.")] = 256
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
        for kind, _, policy in (entry.rpartition("=") for entry in entries):
            if policy not in get_args(Policy):
                raise ValueError("must be ask, never or refuse, or KIND= one of these")
            if kind and kind not in cls.confirmations:
                raise ValueError(f"must have a KIND that there is: {', '.join(cls.confirmations) or 'none'}")
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
        described = [_describe(cls, name, cls.model_fields[name]) for name in [*own, *ServerSettings.model_fields]]
        kinds = f" Kinds: {', '.join(cls.confirmations) or 'none'}."
        return [
            replace(setting, description=setting.description + kinds) if setting.field == "confirm" else setting
            for setting in described
        ]

    def with_own(self, values: Mapping[str, Any], whose: str) -> Self:
        """Return these settings with some of the server's own in place of the operator's, and without his secrets.

        Raises:
            SettingsProblem: there is no such setting, or it has a value that will not do.
        """
        described = [setting for setting in self.settings() if setting.field not in ServerSettings.model_fields]
        own = [setting.field for setting in described]
        secret = {setting.field for setting in described if setting.secret}
        kept = {name: value for name, value in self if name not in secret}
        for name in values:
            if name not in own:
                raise SettingsProblem(f"{whose}: {name} is no setting of this server; {did_you_mean(name, own)}")
        try:
            return type(self).model_validate(kept | dict(values))
        except ValidationError as error:
            raise SettingsProblem(f"{whose}: {'; '.join(problems(error, own, str))}") from None

    @classmethod
    def load(cls, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings from command-line arguments and the environment.

        Raises:
            SettingsProblem: for an unknown flag, a missing, unreadable or invalid value.
        """
        return read_settings(cls, arguments, environment)[0]


def names_transport(arguments: Sequence[str]) -> bool:
    """Whether the operator says how clients connect, and so may have set what `serving` has settings for."""
    return any(word.partition("=")[0] == "--transport" for word in arguments) or bool(os.environ.get("MCP_TRANSPORT"))


def read_settings(
    kind: type[SettingsT],
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    beside: type[BesideT] | None = None,
) -> "tuple[SettingsT, BesideT | None]":
    """Read the settings of a server, and those of a second kind `beside`, from one command line and environment.

    Raises:
        SettingsProblem: for an unknown flag, a missing, unreadable or invalid value.
    """
    more = beside.settings() if beside else []
    described = [*kind.settings(), *more]
    values = _from_environment(described, os.environ if environment is None else environment)
    values |= given_settings(described, arguments)
    others = {setting.field for setting in more}
    try:
        settings = kind.model_validate({name: value for name, value in values.items() if name not in others})
        return settings, beside and beside.model_validate({n: value for n, value in values.items() if n in others})
    except ValidationError as error:
        named = {setting.field: setting.names() for setting in described}
        raise SettingsProblem("; ".join(problems(error, named, lambda field: named.get(field, field)))) from None


def _describe(owner: type[OperatorSettings], name: str, field: FieldInfo) -> Setting:
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
        secret=SecretStr in [*kinds, *item_types],
        required=field.is_required(),
        switch=bool in kinds,
        path=Path in [*kinds, *item_types],
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
            # A variable has one line, a file that it names may have one for each value.
            lines = text.replace(setting.separator, "\n").split("\n")
            values[setting.field] = lines if setting.many else text
    return values


def _variable(setting: Setting, environment: Mapping[str, str]) -> str | None:
    """Return the first variable that is set and not empty.

    Of a secret, `NAME_FILE` names a file that holds it, `NAME_KEYRING` its entry in the keyring of the system.
    """
    for name in setting.env:
        forms = [form for form in (name, f"{name}_FILE", f"{name}_KEYRING") if environment.get(form)]
        if not setting.secret:
            forms = [form for form in forms if form == name]
        if len(forms) > 1:
            raise SettingsProblem(f"both {forms[0]} and {forms[1]} are set; keep one")
        for form in forms:
            return _text_of(form, environment[form], kind=form.removeprefix(name))
    return None


def _text_of(variable: str, value: str, kind: str) -> str:
    """Return what a variable says, or what the place holds that it names."""
    if kind == "_FILE":
        try:
            return Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsProblem(f"cannot read the file that {variable} names: {reason}") from None
    if kind == "_KEYRING":
        from mcp_server_shared import keyrings

        try:
            return keyrings.read(value)
        except keyrings.KeyringProblem as problem:
            raise SettingsProblem(f"{variable}: {problem}") from None
    return value


def given_variable(setting: Setting) -> str | None:
    """Return what this process's environment says of a setting, if anything."""
    return _variable(setting, os.environ)


def given_settings(described: list[Setting], arguments: Sequence[str]) -> dict[str, Any]:
    """Return what a command line says of the settings, not yet checked: a text by field, or several.

    Raises:
        SettingsProblem: for an unknown flag, one without its value, or too many words.
    """
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
            raise SettingsProblem(f"too many arguments; {_nearest_command(word) or 'see --help'}")
        else:
            _put(values, positional, word)
    return values


def _nearest_command(word: str) -> str:
    from mcp_server_shared.start import COMMANDS

    return did_you_mean(word, COMMANDS)


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
