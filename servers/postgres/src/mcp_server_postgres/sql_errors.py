"""What PostgreSQL refuses, by SQLSTATE, as errors that a model can act on.

The server's own message is given, capped; how the server is reached never is.
"""

import re
from dataclasses import dataclass

from mcp_server_shared import errors

from mcp_server_postgres.values import JsonValue

UNDEFINED_TABLE = "42P01"
UNDEFINED_COLUMN = "42703"

_MAX_MESSAGE = 600

# By SQLSTATE, or by its class (the first two characters), the more exact one first.
_KINDS: dict[str, tuple[type[errors.ExpectedError], str]] = {
    "25006": (errors.PermissionDenied, "This server runs every statement in a read-only transaction."),
    "42501": (errors.PermissionDenied, "The database role lacks the privilege; someone with it has to GRANT it."),
    "57014": (errors.DeadlineExceeded, "Narrow it (WHERE, LIMIT, fewer joins) or look at its plan with EXPLAIN."),
    "55P03": (errors.Unavailable, "Another session holds a lock on it; try again later."),
    "40001": (errors.Unavailable, "Another transaction got in the way; try again."),
    "40P01": (errors.Unavailable, "Another transaction got in the way; try again."),
    "42P18": (errors.InvalidArgument, "Add a cast that gives the parameter a type, such as $1::text."),
    UNDEFINED_TABLE: (errors.NotFound, "Look for the name with search_objects."),
    UNDEFINED_COLUMN: (errors.NotFound, "Look at the table's columns first."),
    "3F000": (errors.NotFound, "Look for the schema with search_objects."),
    "08": (errors.Unavailable, "The connection to the database broke; try again."),
    "0A": (errors.Unsupported, ""),
    "53": (errors.Unavailable, "The database is out of a resource; try again later."),
    "54": (errors.TooLarge, "Make the statement simpler."),
    "57": (errors.Unavailable, "The database is stopping, starting or ended this session; try again."),
    "58": (errors.Unavailable, "The database has trouble with its own system."),
    "XX": (errors.Unavailable, "The database has an internal fault."),
}


@dataclass(eq=False)
class Refusal(Exception):
    """What the server says about a statement or a connection; the position counts characters from 1, 0 for none."""

    sqlstate: str
    message: str
    detail: str
    context: str
    position: int


@dataclass(eq=False)
class ConnectionLost(Exception):
    """There is no connection, or no longer."""

    timed_out: bool


class InvalidAddress(Exception):
    """The URL or the environment does not say where the database is."""


def expected(error: Refusal, sql: str, suggestion: str = "") -> errors.ExpectedError:
    """Return the typed error for what the server said about `sql`; a suggestion takes the place of the usual hint."""
    state = error.sqlstate
    if state == "42601" and "multiple commands" in error.message:
        return errors.InvalidArgument("PostgreSQL runs one statement at a time here.", hint="Send them one by one.")
    kind, hint = _KINDS.get(state) or _KINDS.get(state[:2]) or (errors.InvalidArgument, "")
    text = f"{_subject(error)}{_capped(error.message)} (SQLSTATE {state}){_place(error, sql)}. {_capped(error.detail)}"
    return kind(text.rstrip(), hint=suggestion or hint)


def refused_connection(error: Refusal, address: str, how_to_connect: str) -> errors.ExpectedError:
    """Return the typed error for a connection that the server refused; its own words name the role and are left out."""
    state = error.sqlstate
    if state.startswith("28"):
        return errors.Unauthenticated(f"{address} refuses the login (SQLSTATE {state}).", hint=how_to_connect)
    if state == "3D000":
        return errors.NotFound(f"{address} has no database of that name (SQLSTATE {state}).", hint=how_to_connect)
    if state == "42501":
        return errors.PermissionDenied(f"The role may not connect to that database at {address} (SQLSTATE {state}).")
    return errors.Unavailable(f"{address} takes no connection now (SQLSTATE {state}).", hint="Try again later.")


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


def first_word(sql: str) -> str:
    """Return the first word in lower case, past blanks, empty statements and comments, which nest; empty if none."""
    start = _end_of_blanks(sql, 0)
    while sql.startswith("/*", start):
        start = _end_of_blanks(sql, _end_of_comment(sql, start))
    found = re.compile(r"\w+|.").match(sql, start)
    return found.group().lower() if found else ""


def _end_of_comment(sql: str, start: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(sql, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


def _end_of_blanks(sql: str, start: int) -> int:
    blanks = re.compile(r"(?:[\s;]|--[^\n\r]*)*").match(sql, start)
    return blanks.end() if blanks else start


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
