"""What PostgreSQL refuses, by SQLSTATE, as errors that a model can act on.

The server's own message is given, capped; how the server is reached never is.
"""

import re
from dataclasses import dataclass

from mcp_server_shared import errors

from mcp_server_postgres.values import JsonValue

UNDEFINED_TABLE = "42P01"
UNDEFINED_COLUMN = "42703"
UNDEFINED_FUNCTION = "42883"

NO_SUCH_HOST = "there is no host of that name"  # why a connection cannot be made

_MAX_MESSAGE = 600

# Unknown to the server, with a value that it cannot read, not to be set in a session.
_SETTING_REFUSED = frozenset({"42704", "22023", "55P02"})
_USUAL_PARAMETERS = frozenset(
    {"channel_binding", "client_encoding", "connection_limit", "gssencmode", "options"}
    | {"pgbouncer", "pool_mode", "pool_timeout", "schema", "search_path", "statement_timeout", "tcp_user_timeout"}
)

# By SQLSTATE, or by its class (the first two characters), the more exact one first.
_KINDS: dict[str, tuple[type[errors.ExpectedError], str]] = {
    "0A": (errors.Unsupported, ""),
    "08": (errors.Unavailable, "The connection to the database broke; try again."),
    "23503": (errors.Conflict, "The row that is referred to is not there, or is still referred to."),
    "23505": (errors.Conflict, "There is such a row already; change it instead, or use ON CONFLICT."),
    "23P01": (errors.Conflict, "It overlaps with a row that is there already."),
    "25001": (
        errors.InvalidArgument,
        "This server runs everything in a transaction, where this cannot run (CONCURRENTLY, VACUUM, CREATE DATABASE…): "
        "leave CONCURRENTLY out, at the price of a lock, or have a person run it in psql.",
    ),
    "25006": (errors.PermissionDenied, "This tool runs every statement in a read-only transaction."),
    "25P03": (errors.Unavailable, "The transaction was idle for too long and was ended; run the query again."),
    "25P04": (errors.DeadlineExceeded, "The database ends transactions that take so long."),
    "3F000": (errors.NotFound, "Look for the schema with search_objects."),
    "40": (errors.Unavailable, "Another transaction got in the way; try again."),
    "42501": (errors.PermissionDenied, "The database role lacks the privilege; someone with it has to GRANT it."),
    UNDEFINED_COLUMN: (errors.NotFound, "Look at the table's columns first."),
    "42704": (errors.NotFound, "Look for the name with search_objects."),
    "42723": (errors.Conflict, "It exists already; use CREATE OR REPLACE, or another name."),
    UNDEFINED_FUNCTION: (errors.NotFound, "Check name and argument types with search_objects; add casts where needed."),
    UNDEFINED_TABLE: (errors.NotFound, "Look for the name with search_objects."),
    "42P06": (errors.Conflict, "It exists already; use IF NOT EXISTS, or another name."),
    "42P07": (errors.Conflict, "It exists already; use IF NOT EXISTS, or another name."),
    "42701": (errors.Conflict, "It exists already; use IF NOT EXISTS, or another name."),
    "42710": (errors.Conflict, "It exists already; use another name."),
    "42P18": (errors.InvalidArgument, "Add a cast that gives the parameter a type, such as $1::text."),
    "2BP01": (errors.Conflict, "Other objects depend on it; drop those first, or use CASCADE."),
    "53": (errors.Unavailable, "The database is out of a resource; try again later."),
    "54": (errors.TooLarge, "Make the statement simpler."),
    "55000": (errors.Conflict, ""),
    "55006": (errors.Conflict, "It is in use by another session."),
    "55P03": (errors.Unavailable, "Another session holds a lock on it; try again later."),
    "57": (errors.Unavailable, "The database is stopping, starting or ended this session; try again."),
    "57014": (errors.DeadlineExceeded, "Narrow it (WHERE, LIMIT, fewer joins) or look at its plan with EXPLAIN."),
    "58": (errors.Unavailable, "The database has trouble with its own system."),
    "72": (errors.Unavailable, "The rows as of that moment are gone; run the query again."),
    "XX": (errors.Unavailable, "The database has an internal fault."),
}


@dataclass(eq=False)
class Refusal(Exception):
    """What the server says about a statement or a connection.

    Attributes:
        position: the character that it means, counted from 1; 0 for none.
        beginning: our own words to go before.
    """

    sqlstate: str
    message: str
    detail: str
    context: str
    position: int
    beginning: str = ""


@dataclass(eq=False)
class ConnectionLost(Exception):
    """There is no connection, or no longer; `why` is in our own words, since the driver's may quote the URL."""

    why: str


class InvalidAddress(Exception):
    """The URL or the environment does not say where the database is."""


class CommitInDoubt(errors.Unavailable):
    """Nobody can tell whether a transaction was committed; the server can, once it is back."""

    retryable = False

    def __init__(self, xid: str) -> None:
        super().__init__(
            "The connection ended while the server was committing: it is unknown whether the changes were applied.",
            hint=f"Do not repeat it yet. Find out by the query: select pg_xact_status('{xid}'::xid8), which says "
            "committed, aborted or in progress.",
        )


def expected(error: Refusal, sql: str, suggestion: str = "") -> errors.ExpectedError:
    """Return the typed error for what the server said about `sql`; a suggestion takes the place of the usual hint."""
    state = error.sqlstate
    if state == "42601" and "multiple commands" in error.message:
        return errors.InvalidArgument("PostgreSQL runs one statement at a time here.", hint="Send them one by one.")
    kind, hint = _KINDS.get(state) or _KINDS.get(state[:2]) or (errors.InvalidArgument, "")
    # What the server says may quote a row or an identifier, and a function may raise anything.
    said = f"{_subject(error)}{_capped(error.message)} {_capped(error.detail)}".strip()
    return kind(
        f"{error.beginning}PostgreSQL refuses this (SQLSTATE {state}){_place(error, sql)}.",
        untrusted=said,
        hint=suggestion or hint,
    )


def refused_connection(error: Refusal, address: str, how_to_connect: str) -> errors.ExpectedError:
    """Return the typed error for a connection that the server refused; its own words name the role and are left out."""
    state = error.sqlstate
    if state.startswith("28"):
        return errors.Unauthenticated(f"{address} refuses the login (SQLSTATE {state}).", hint=how_to_connect)
    if state == "3D000":
        return errors.NotFound(f"{address} has no database of that name (SQLSTATE {state}).", hint=how_to_connect)
    if state == "42501":
        return errors.PermissionDenied(f"The role may not connect to that database at {address} (SQLSTATE {state}).")
    if state == "0A000" and "recovery" in error.message:
        return errors.Unsupported(
            f"{address} is a standby, which takes no changes (SQLSTATE {state}).",
            hint="Changes go to the primary: name all hosts in the URL, with target_session_attrs=primary.",
        )
    if state in _SETTING_REFUSED or (state == "08P01" and "startup parameter" in error.message):
        return errors.InvalidArgument(
            f"{address} does not accept a parameter of the URL{_named_parameter(error.message)} (SQLSTATE {state}).",
            hint="Take it out of the URL, after the '?': what the driver does not know goes to the server as a setting "
            "of the session, and a pooler such as pgbouncer lets few of those pass.",
        )
    return errors.Unavailable(f"{address} takes no connection now (SQLSTATE {state}).", hint="Try again later.")


def _named_parameter(message: str) -> str:
    """Name the parameter if it is a usual one; another word may be a piece of a password that is not encoded."""
    found = _USUAL_PARAMETERS & set(re.findall(r"\w+", message))
    return f", {min(found)}," if found else ""


def names_at(error: Refusal, sql: str) -> list[str]:
    """Return the parts of the possibly qualified name that the error points at, as the server folds them."""
    if not error.position:
        return []
    part = r'(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
    found = re.compile(rf"{part}(?:\s*\.\s*{part})*").match(sql, error.position - 1)
    parts: list[str] = re.findall(part, found.group()) if found else []
    return [name[1:-1].replace('""', '"') if name.startswith('"') else name.lower() for name in parts]


def words_of(sql: str) -> list[JsonValue]:
    """Return the words of a statement that may be names, folded as the server folds them and as they are."""
    words = re.findall(r"[^\W\d][\w$]*", sql)
    return sorted({word.lower() for word in words} | set(words))[:1000]


def _subject(error: Refusal) -> str:
    """Name the parameter when its value is what the server could not read: "Parameter $2: "."""
    found = re.search(r"\$\d+", error.context) if error.sqlstate.startswith("22") else None
    return f"Parameter {found.group()}: " if found else ""


def _place(error: Refusal, sql: str) -> str:
    if not error.position:
        return ""
    offset = error.position - 1
    line_start = sql.rfind("\n", 0, offset) + 1
    line, column = sql.count("\n", 0, offset) + 1, offset - line_start + 1
    line_end = sql.find("\n", offset)
    near = sql[max(line_start, offset - 20) : min(len(sql) if line_end < 0 else line_end, offset + 30)]
    return f' at line {line}, column {column}, near "{near.strip()}"' if near.strip() else f" at line {line}"


def _capped(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"
