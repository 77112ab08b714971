"""Settings: where they come from, which source wins, and problems in plain words without a value in them."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from mcp_server_shared.settings import ServerSettings, SettingsProblem, Source
from pydantic import Field, SecretStr

SECRET = "hunter2-do-not-print"  # noqa: S105


class Settings(ServerSettings):
    """One setting of each kind."""

    env_prefix = "DEMO"
    confirmations = ("delete", "other")

    directories: Annotated[tuple[Path, ...], Source(positional="DIR")] = ()
    allow_write: bool = False
    token: Annotated[SecretStr | None, Source(env=("DEMO_TOKEN", "OLD_TOKEN"))] = None
    port: Annotated[int, Field(ge=1, le=65_535)] = 8080
    mode: Literal["fast", "safe"] = "safe"
    snapshot: Annotated[str | None, Source(value_optional=True)] = None


class Required(ServerSettings):
    """One setting without a default."""

    env_prefix = "DEMO"

    url: Annotated[SecretStr, Source(positional="URL", env=("DEMO_URL",))]


def load(*arguments: str, **environment: str) -> Settings:
    return Settings.load(arguments, environment)


def problem(*arguments: str, **environment: str) -> str:
    with pytest.raises(SettingsProblem) as caught:
        load(*arguments, **environment)
    return str(caught.value)


# Sources


def test_without_arguments_and_environment_the_defaults_hold() -> None:
    assert load() == Settings()


def test_a_setting_comes_from_the_environment() -> None:
    assert load(DEMO_PORT="9000").port == 9000


def test_a_flag_wins_over_the_environment() -> None:
    assert load("--port", "1", DEMO_PORT="2").port == 1


def test_a_flag_takes_its_value_after_an_equals_sign_too() -> None:
    assert load("--port=1").port == 1


def test_a_shared_setting_has_the_prefix_mcp() -> None:
    assert load(MCP_THREADS="3").threads == 3


def test_an_empty_variable_counts_as_absent() -> None:
    assert load(DEMO_PORT="").port == 8080


def test_the_first_of_several_variables_wins() -> None:
    settings = load(DEMO_TOKEN="new", OLD_TOKEN="old")  # noqa: S106
    assert settings.token == SecretStr("new")


def test_a_later_variable_is_read_when_the_first_is_absent() -> None:
    assert load(OLD_TOKEN="old").token == SecretStr("old")  # noqa: S106


def test_a_switch_needs_no_value() -> None:
    assert load("--allow-write").allow_write is True


def test_a_switch_can_be_turned_off_on_the_command_line() -> None:
    assert load("--allow-write=false", DEMO_ALLOW_WRITE="true").allow_write is False


def test_a_flag_with_an_optional_value_may_stand_alone() -> None:
    assert load("--snapshot", "--allow-write").snapshot == ""


def test_positional_arguments_gather_in_order() -> None:
    assert load("b", "a").directories == (Path("b"), Path("a"))


def test_after_two_dashes_everything_is_positional() -> None:
    assert load("--", "--port").directories == (Path("--port"),)


def test_paths_in_a_variable_are_separated_as_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.pathsep", ":")
    assert load(DEMO_DIRECTORIES="/a:/b").directories == (Path("/a"), Path("/b"))


def test_a_repeatable_flag_replaces_what_the_environment_says() -> None:
    assert load("--confirm", "never", MCP_CONFIRM="refuse,other=ask").confirm == ("never",)


# Secrets from files


def test_a_secret_is_read_from_the_file_that_name_file_names(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    assert load(DEMO_TOKEN_FILE=str(tmp_path / "token")).token == SecretStr("from a file")


def test_a_secret_given_directly_and_as_a_file_is_refused(tmp_path: Path) -> None:
    message = problem(DEMO_TOKEN=SECRET, DEMO_TOKEN_FILE=str(tmp_path))
    assert message == "both DEMO_TOKEN and DEMO_TOKEN_FILE are set; keep one"


def test_a_secret_file_that_does_not_exist_is_a_problem_that_names_the_variable(tmp_path: Path) -> None:
    message = problem(DEMO_TOKEN_FILE=str(tmp_path / "absent"))
    assert message == "cannot read the file that DEMO_TOKEN_FILE names: No such file or directory"


def test_a_secret_file_that_is_not_text_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    assert problem(DEMO_TOKEN_FILE=str(tmp_path / "token")).endswith("it is not UTF-8 text")


def test_only_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    assert load(DEMO_PORT_FILE=str(tmp_path / "port")).port == 8080


def test_a_secret_is_not_in_the_settings_representation() -> None:
    assert SECRET not in repr(load(DEMO_TOKEN=SECRET))


# Problems


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "x"], "--port (or DEMO_PORT) must be a whole number"),
        (["--port", "0"], "--port (or DEMO_PORT) must be at least 1"),
        (["--port", "65536"], "--port (or DEMO_PORT) must be at most 65535"),
        (["--mode", "saef"], "--mode (or DEMO_MODE) must be one of 'fast' or 'safe'; did you mean safe?"),
        (["--allow-write=maybe"], "--allow-write (or DEMO_ALLOW_WRITE) must be true or false"),
        (["--deadline-s", "0"], "--deadline-s (or MCP_DEADLINE_S) must be greater than 0.0"),
        (["--port"], "--port needs a value: --port N"),
        (["--port", "1", "--port", "2"], "--port is given twice"),
        (["--max-message-byte", "9"], "unknown option --max-message-byte; did you mean --max-message-bytes?"),
        (["-x"], "unknown option -x; see --help"),
        (
            ["--confirm", "delete=maybe"],
            "--confirm (or MCP_CONFIRM) must be ask, never or refuse, or KIND= one of these",
        ),
        (
            ["--confirm", "delet=never"],
            "--confirm (or MCP_CONFIRM) must have a KIND that there is: delete, other",
        ),
    ],
)
def test_a_problem_is_told_in_plain_words(arguments: list[str], message: str) -> None:
    assert problem(*arguments) == message


def test_several_problems_are_told_at_once() -> None:
    message = problem("--port", "x", MCP_THREADS="y")
    assert "--port (or DEMO_PORT) must be a whole number" in message
    assert "--threads (or MCP_THREADS) must be a whole number" in message


def test_a_missing_required_setting_is_named_with_its_variable() -> None:
    with pytest.raises(SettingsProblem, match=r"^URL \(or DEMO_URL\) is missing$"):
        Required.load([], {})


def test_a_second_value_for_a_single_positional_is_refused() -> None:
    with pytest.raises(SettingsProblem, match=r"^too many arguments; see --help$"):
        Required.load([SECRET, SECRET], {})


def test_a_command_that_is_misspelt_is_told_by_its_name() -> None:
    with pytest.raises(SettingsProblem, match=r"^too many arguments; did you mean check\?$"):
        ServerSettings.load(["chek"], {})


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--port", SECRET], {}),
        (["--mode", SECRET], {}),
        ([f"--tokn={SECRET}"], {}),
        (["--token", "a", f"--token={SECRET}"], {}),
        (["--confirm", SECRET], {}),
        ([], {"DEMO_PORT": SECRET}),
        ([], {"MCP_LOG_LEVEL": SECRET}),
        ([], {"DEMO_TOKEN": "a", "DEMO_TOKEN_FILE": SECRET}),
        ([], {"DEMO_TOKEN_FILE": SECRET}),
    ],
)
def test_a_problem_never_shows_a_value(arguments: list[str], environment: dict[str, str]) -> None:
    assert SECRET not in problem(*arguments, **environment)


# Confirmation policies


@pytest.mark.parametrize(
    ("entries", "policy"),
    [
        ([], "ask"),
        (["never"], "never"),
        (["delete=refuse"], "refuse"),
        (["other=never"], "ask"),
        (["delete=refuse", "never"], "refuse"),
        (["never", "delete=ask"], "ask"),
        (["delete=never", "delete=refuse"], "refuse"),
        (["never", "refuse"], "refuse"),
    ],
)
def test_the_policy_of_a_kind_wins_over_the_general_one_and_a_later_one_over_an_earlier(
    entries: list[str], policy: str
) -> None:
    arguments = [word for entry in entries for word in ("--confirm", entry)]
    assert load(*arguments).confirm_policy("delete") == policy


# Description


def test_the_settings_of_the_server_itself_are_described_first() -> None:
    assert [setting.field for setting in Settings.settings()][:6] == list(Settings.model_fields)[-6:]


def test_each_setting_has_a_flag_or_a_place_and_a_variable() -> None:
    assert all((setting.flag or setting.positional) and setting.env for setting in Settings.settings())


class Databases(ServerSettings):
    """Several secrets under one name."""

    env_prefix = "DATABASES"

    database: Annotated[tuple[SecretStr, ...], Field(description="Each.")] = ()


def test_a_file_may_hold_one_secret_a_line(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("a=postgresql://x\nb=postgresql://y\n", encoding="utf-8")
    loaded = Databases.load([], {"DATABASES_DATABASE_FILE": str(tmp_path / "secrets")})
    assert [each.get_secret_value() for each in loaded.database] == ["a=postgresql://x", "b=postgresql://y"]
