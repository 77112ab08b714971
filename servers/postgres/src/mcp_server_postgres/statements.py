"""The shape of SQL text: its tokens, where statements end, what kind they are.

For messages, for questions to a person and for splitting a migration, never for safety: what a statement may do, the
server's transaction and the role's privileges decide.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Possessive repetition (+): there is one way to read each token, so none takes more than linear time.
_TOKEN = re.compile(
    r"""
    (?P<blank>   (?: \s++ | --[^\n\r]*+ )++ )
  | (?P<comment> /\* )
  | (?P<text>    [eE]'(?:[^'\\]|\\.|'')*+(?:'|\Z)  |  '(?:[^']|'')*+(?:'|\Z)
              |  \$\$.*?(?:\$\$|\Z)  |  \$(?P<tag>[^\W\d]\w*+)\$.*?(?:\$(?P=tag)\$|\Z) )
  | (?P<quoted>  "(?:[^"]|"")*+(?:"|\Z) )
  | (?P<word>    [^\W\d][\w$]*+ )
  | (?P<other>   \$\d++ | \d[\w.]*+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_FIRST_WORD = re.compile(r"[\s;]*+([^\W\d][\w$]*+)(?!')")
_COMMENT_MARK = re.compile(r"/\*|\*/")

_READS = frozenset({"select", "values", "table", "show", "explain", "fetch"})
_CHANGES_ROWS = frozenset({"insert", "update", "delete", "merge"})
_ENDS_OTHERWISE = frozenset({"limit", "offset", "fetch", "for", "into", *_CHANGES_ROWS, "tablesample"})
_SETTINGS = frozenset({"set", "reset"})
_TRANSACTION_CONTROL = frozenset({"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word in lower case, or a single character; text in quotes is only its first character. `depth`: parentheses."""

    text: str
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement is, as far as its text tells.

    Attributes:
        keyword: the first word; for EXPLAIN ANALYZE that of the statement it runs.
        controls_transaction: whether it begins or ends one.
        everywhere: UPDATE or DELETE, when one of them has no WHERE; otherwise empty.
        defines: whether it is anything but a query or a change of rows: DDL, TRUNCATE, DO, CALL, GRANT…
    """

    keyword: str
    controls_transaction: bool
    everywhere: str
    defines: bool


def first_word(sql: str) -> str:
    """Return the first word in lower case, past blanks, empty statements and comments, which nest; empty if none."""
    if found := _FIRST_WORD.match(sql):  # nearly always; tokens take longer
        return found[1].lower()
    return next((token.text for token in tokens(sql) if token.text != ";"), "")


def tokens(sql: str) -> Iterator[Token]:
    """Yield the tokens of SQL text, without blanks and comments; text that never ends is one token."""
    position = depth = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        start, position = position, found.end() if found else position + 1
        kind = found.lastgroup if found else "other"
        if kind == "comment":
            position = _end_of_comment(sql, start)
        if kind in {"blank", "comment"}:
            continue
        text = sql[start:position].lower() if kind == "word" else sql[start]
        depth -= text == ")"
        yield Token(text, start, position, max(0, depth))
        depth = max(0, depth) + (text == "(")


def split(sql: str) -> list[str]:
    """Return the statements of a script, without what stands around them and without the semicolons."""
    statements: list[list[Token]] = [[]]
    inside = 0  # BEGIN ATOMIC and CASE that wait for their END: a function's body may stand there unquoted
    for token in tokens(sql):
        statement = statements[-1]
        if token.text == ";" and token.depth == 0 and not inside:
            statements.append([])
            continue
        if _may_have_a_body(statement):
            opens = token.text == "atomic" and statement[-1].text == "begin"
            inside += opens or (token.text == "case" and inside > 0)
            inside -= token.text == "end" and inside > 0
        statement.append(token)
    return [sql[statement[0].start : statement[-1].end] for statement in statements if statement]


def shape(sql: str) -> Shape:
    """Return what kind of statement this is."""
    words = [token for token in tokens(sql) if token.text != ";"]
    while words and (words[0].text == "(" or words[0].text == "explain"):
        words = words[1:] if words[0].text == "(" else _explained(words)
    keyword = words[0].text if words else ""
    changes = [index for index in range(len(words)) if _begins_a_change(words, index)]
    everywhere = next((words[i].text for i in changes if words[i].text != "merge" and not _has_where(words, i)), "")
    return Shape(
        keyword=keyword,
        controls_transaction=keyword in _TRANSACTION_CONTROL
        or [token.text for token in words[:2]] in (["prepare", "transaction"], ["set", "transaction"]),
        everywhere=everywhere,
        defines=keyword not in _READS | _CHANGES_ROWS | _SETTINGS | {"with", ""} or _selects_into(words),
    )


def explained(sql: str) -> str:
    """Return the statement that an EXPLAIN ANALYZE runs, or the one given."""
    words = list(tokens(sql))
    if not words or words[0].text != "explain":
        return sql
    inner = _explained(words)
    return sql[inner[0].start :] if inner and inner[0].text != "explain" else sql


def limited(sql: str, rows: int) -> str:
    """Return a query that sorts its result and has no LIMIT with one; empty for anything else.

    The server then keeps the first rows while it sorts, which is several times faster than to sort all.
    """
    if "order" not in sql.lower():  # tokens take longer
        return ""
    words = [token for token in tokens(sql) if token.text != ";"]
    outer = [token.text for token in words if token.depth == 0]
    if outer[:1] not in (["select"], ["with"], ["values"], ["table"], ["("]) or not _ENDS_OTHERWISE.isdisjoint(outer):
        return ""
    is_sorted = any(pair == ("order", "by") for pair in pairwise(outer))
    return f"{sql[: words[-1].end]}\nLIMIT {rows}" if is_sorted else ""


def called(sql: str) -> set[str]:
    """Return the names that stand before an opening parenthesis: functions, and some words that are none."""
    words = list(tokens(sql))
    names = [sql[word.start : word.end].strip('"') for word, then in pairwise(words) if then.text == "("]
    return {*names, *(name.lower() for name in names)}


def has_parameters(sql: str) -> bool:
    """Whether there is a $1, $2… outside of quotes and comments."""
    return any(re.match(r"\$\d", sql[token.start : token.start + 2]) for token in tokens(sql) if token.text == "$")


def _explained(words: Sequence[Token]) -> Sequence[Token]:
    """Return what follows EXPLAIN and its options when it runs it (ANALYZE), else a query in its place."""
    rest = words[1:]
    options: list[str] = []
    if rest and rest[0].text == "(" and len(rest) > 1 and rest[1].text not in _READS | {"with", "("}:
        end = next((i for i, token in enumerate(rest) if token.text == ")" and token.depth == rest[0].depth), len(rest))
        options, rest = [token.text for token in rest[:end]], rest[end + 1 :]
    while rest and rest[0].text in {"analyze", "analyse", "verbose"}:
        options.append(rest[0].text)
        rest = rest[1:]
    runs = any(option in {"analyze", "analyse"} for option in options)
    return rest if runs else [Token("show", 0, 0, 0)]


def _end_of_comment(sql: str, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


def _may_have_a_body(statement: Sequence[Token]) -> bool:
    beginning = [token.text for token in statement[:4]]
    return beginning[:1] == ["create"] and not {"function", "procedure"}.isdisjoint(beginning)


def _begins_a_change(words: Sequence[Token], index: int) -> bool:
    """Whether UPDATE or DELETE here is a statement's beginning, not ON CONFLICT DO UPDATE or FOR UPDATE."""
    text, before = words[index].text, words[index - 1].text if index else ""
    if text not in {"update", "delete", "merge"}:
        return False
    follows = words[index + 1].text if index + 1 < len(words) else ""
    return index == 0 or (before in {"(", ")"} and (text == "update" or follows in {"from", "into"}))


def _has_where(words: Sequence[Token], index: int) -> bool:
    depth = words[index].depth
    for token in words[index + 1 :]:
        if token.depth < depth:
            return False
        if token.depth == depth and token.text == "where":
            return True
    return False


def _selects_into(words: Sequence[Token]) -> bool:
    """Whether this is SELECT … INTO, which creates a table."""
    if not words or words[0].text not in {"select", "with"}:
        return False
    inserts = any(token.text == "insert" and token.depth == words[0].depth for token in words)
    return not inserts and any(token.text == "into" and token.depth == words[0].depth for token in words)
