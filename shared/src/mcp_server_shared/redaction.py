r"""Secrets taken out of what is logged and out of error texts, by field name and by pattern.

Redaction comes before truncation: a secret that was cut no longer looks like one. It errs on the side of the
secret, yet ordinary prose, identifiers, hashes, paths and encoded files stay as they are. Both functions take time
linear in the length of the text, whatever it contains.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

MAX_DEPTH = 32


def redact(value: JsonValue) -> JsonValue:
    """Return a copy in which secrets, by the name of their field or by their form, read `[redacted:<kind>]`.

    Under the name of a secret everything but null, booleans and empty values is replaced. Lists and objects nested
    deeper than `MAX_DEPTH` become "[too deep]".
    """
    return _redact(value, MAX_DEPTH)


def _redact(value: JsonValue, depth: int) -> JsonValue:
    if isinstance(value, str):
        return redact_text(value)
    if not isinstance(value, list | dict):
        return value
    if depth == 0:
        return "[too deep]"
    if isinstance(value, list):
        return [_redact(item, depth - 1) for item in value]
    redacted: dict[str, JsonValue] = {}
    for name, item in value.items():
        shown = redact_text(name)
        while shown in redacted:  # two names that redaction made equal: neither may hide the other
            shown += f"#{len(redacted)}"
        hidden = bool(item) and not isinstance(item, bool) and is_secret_name(name)
        redacted[shown] = "[redacted:field]" if hidden else _redact(item, depth - 1)
    return redacted


def redact_text(text: str) -> str:
    """Replace what looks like a secret by `[redacted:<kind>]`; a text without secrets is returned as it is."""
    if _has_hints(text):
        for hint, rule in _HINTED:
            if hint in text:
                text = _compiled(rule.pattern).sub(rule.replacement, text)
    return _redact_assignments(text)


def _has_hints(text: str) -> bool:
    """Whether a rule may apply. This runs for each call, nearly always on innocent text: a letter is found fastest."""
    return any(letter in text and any(map(text.__contains__, hints)) for letter, hints in _HINTS_BY_LETTER.items())


# Compared with the end of a name in lower case without separators: `x-api-key`, `githubToken` and `PGPASSWORD` are
# names of secrets; `tokens_used`, `max_tokens`, `password_file` and `tokenizer` are not.
_SECRET_ENDINGS = (
    *("password", "passwords", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets", "token"),
    *("apikey", "apikeys", "accesskey", "accountkey", "authkey", "encryptionkey", "masterkey", "privatekey"),
    *("secretkey", "sharedkey", "signingkey", "storagekey"),
    *("authorization", "cookie", "cookies", "credential", "credentials", "conninfo", "connectionstring"),
    *("databaseurl", "dsn"),
)
_SECRET_NAMES = frozenset({"jwt", "otp", "pass", "pat"})
_POSITION_ENDINGS = (
    *("changetoken", "continuationtoken", "continuetoken", "cursortoken", "deltatoken", "nexttoken", "pagetoken"),
    *("progresstoken", "resumetoken", "skiptoken", "synctoken"),
    *("starttoken", "stoptoken", "bostoken", "eostoken", "masktoken", "padtoken", "unktoken"),
)
_NEUTRAL_ENDING = re.compile(r"(?:value|hash|header|[0-9]{1,3})$")
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name holds a secret; snake, kebab and camel case, any letter case."""
    plain = _NEUTRAL_ENDING.sub("", _NOT_ALPHANUMERIC.sub("", name[-64:].lower()))
    return plain in _SECRET_NAMES or (plain.endswith(_SECRET_ENDINGS) and not plain.endswith(_POSITION_ENDINGS))


class _Rule(NamedTuple):
    hints: tuple[str, ...]  # the pattern is tried on texts that contain one of these
    pattern: str
    replacement: str


# Each pattern is linear in the text: either it cannot begin inside its own run of characters, or it gives up within
# a fixed number of them. Where ordinary text contains the hint now and then, the lookbehind follows the literal that
# it guards, since `re` searches fast for a literal that comes first.
_RULES = (
    # Without its END the rest of the text may be the key.
    _Rule(
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*)",
        "[redacted:private-key]",
    ),
    _Rule(
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"(?<![A-Za-z0-9])(?:gh[opsur]_|github_pat_)[\w-]{20,}+(?:\.[\w-]{20,}+){0,2}",
        "[redacted:github-token]",
    ),
    _Rule(
        ("xox", "xapp-"),
        r"(?<![A-Za-z0-9])(?:xox(?:e\.xox)?[a-z]-|xapp-)[A-Za-z0-9%-]{10,}",
        "[redacted:slack-token]",
    ),
    _Rule(
        ("hooks.slack.com/",),
        r"(hooks\.slack\.com/[a-z]{1,20}/)[\w/-]{8,}",
        r"\1[redacted:slack-webhook]",
    ),
    _Rule(
        ("AIza", "ya29.", "GOCSPX-", "1//"),
        r"(?<![\w+-])(?:AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}|(?<!/)1//[\w-]{40,})",
        "[redacted:google-credential]",
    ),
    _Rule(
        ("AKIA", "ASIA"),
        r"(?<![A-Za-z0-9+])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9/+])",
        "[redacted:aws-key-id]",
    ),
    # Signed (three parts), encrypted (five, the second may be empty), or cut after the header.
    _Rule(
        ("eyJ",),
        r"eyJ(?<![\w-]eyJ)[\w-]{8,}+(?:\.eyJ[\w-]*+(?:\.[\w-]*+)?|(?:\.{1,2}[\w-]{8,}+){2,4})",
        "[redacted:jwt]",
    ),
    _Rule(
        ("sk-",),
        r"sk-(?<![\w-]sk-)(?:(?:admin|ant|or|proj|svcacct)-[\w-]{20,}|[A-Za-z0-9]{32,})",
        "[redacted:api-key]",
    ),
    _Rule(("npm_",), r"npm_(?<!\wnpm_)[A-Za-z0-9]{36,}", "[redacted:npm-token]"),
    _Rule(("glpat-",), r"glpat-(?<![\w-]glpat-)[\w.-]{20,}", "[redacted:gitlab-token]"),
    _Rule(
        ("k_live_", "k_test_"),
        r"(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",
        "[redacted:stripe-key]",
    ),
    # scheme://user:password@host. The password may contain "@" or, not quoted as it should be, one of "/?#";
    # then a number before it is taken for a port.
    _Rule(
        ("://",),
        r"""(://[^\s/?#:@"'<>\[]*+:)(?!…@)(?:[^\s/?#"'<>]+|(?!\d{1,5}[/?#])[^\s:"'<>@]+)(?=@)""",
        r"\1[redacted:password]",
    ),
    # After a scheme with parameters (Digest, AWS4-HMAC-SHA256) the whole line, otherwise one word.
    _Rule(
        ("uthorization",),
        r"""([Aa]uthorization["'\\]{0,4}[ \t]{0,4}[:=][ \t]{0,4}["'\\]{0,4}"""
        r"""(?:[\w-]{2,20}[ ]{1,4}(?=\w{1,20}=[^\s,=])"""
        r"""|(?:[Bb]earer|[Bb]asic|[Tt]oken|[Bb]ot|[A-Za-z]{2,20}[Kk]ey)[ ]{1,4}"""
        r"""|(?=[^\s"'\\\d]{0,64}\d)))(?!\[redacted:)(?:\w{1,20}=[^\s,=][^\r\n]*|[^\s"'\\<>]{4,})""",
        r"\1[redacted:authorization]",
    ),
    _Rule(
        ("earer ",),
        r"([Bb]earer[ ]{1,4})(?=[A-Za-z._~+/-]{0,64}\d)[\w.~+/-]{16,}=*",
        r"\1[redacted:authorization]",
    ),
    _Rule(
        ("ookie",),
        r"""([Cc]ookie["'\\]{0,4}[ \t]{0,4}:[ \t]{0,4}["'\\]{0,4})[^\s=;:"'\\]{1,128}=[^\r\n"'\\]+""",
        r"\1[redacted:cookie]",
    ),
    _Rule(
        ("sig=", "ignature="),
        r"""([?&][\w.-]{0,20}(?:[Ss]ig|[Ss]ignature)=)[^&#\s"'<>]+""",
        r"\1[redacted:signature]",
    ),
)

_HINTED = tuple((hint, rule) for rule in _RULES for hint in rule.hints)
_RARE_LETTERS = "_/-=XJKIz9xk"


def _by_letter(hints: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the hints by one letter of each, the first of the rare ones where it has any."""
    by_letter: dict[str, tuple[str, ...]] = {}
    for hint in hints:
        letter = next((letter for letter in _RARE_LETTERS if letter in hint), hint[0])
        by_letter[letter] = (*by_letter.get(letter, ()), hint)
    return by_letter


_HINTS_BY_LETTER = _by_letter(hint for hint, _ in _HINTED)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


# How the name of a secret ends, in lower case; the words before it decide whether it is one.
_ENDING_HINTS = ("pass", "pwd", "secret", "token", "key")
_ENDING = (
    r"(?:password|passwd|passphrase|passcode|secret|token|key|pwd(?![\"': =]{1,4}(?:[/~]|[a-z]:[\\/])))"  # PWD: a path
    r"(?:[_-]?(?:value|hash|\d{1,3}))?(?![a-z0-9_-])"
)
# What may follow the name; the group that took part is the value. Quoted or straight after "=" it may be anything;
# otherwise only what prose would not say: a word with a digit, or a long one alone on the line of its name.
_VALUE = r"""(?x)
    (?: \\{0,3} ["'] \]? )? [ \t]{0,4}
    (?:
        (?: => | := | ==? | : ) [ \t]{0,4} [A-Za-z]{0,2}
        (?:
            "( [^"\\\n]* (?: \\. [^"\\\n]* )* )
          | '( [^'\\\n]* (?: (?: \\. | '' ) [^'\\\n]* )* )
          | \\+["']( (?: [^"'\\\n] | \\+ (?!["'\\]) )* )
        )
      | [ \t]{1,4} '( [^'\n]* (?: '' [^'\n]* )* )
      | = (?!=) ( [^\s"'`<>]* [^\s"'`<>,;)\]}] )
      | (?: => | := | = | : ) [ \t]{0,4}
        (?:
            (?= [^\s\d=:]{0,64} \d ) ( [^\s"'`<>]{3,} [^\s"'`<>,;)\]}] )
          | (?P<lone> [^\s"'`<>,;{}\[\]().=:]{8,}+ ) (?= [ \t]{0,4} (?: [\r\n] | \Z ) )
        )
    )
"""
_QUERY_VALUE = r"""=([^&#\s"'<>\\]+)"""
_PLACEHOLDER = (  # the empty value included
    r"|\$\d{1,3}|\$\{?[A-Z_][A-Z0-9_]*\}?|\$\{\{.*|%s|%\(\w+\)s|:\w+|\?|\{\w*\}|<[^<>]*>|\*+|\.{3}|…|\[redacted:[a-z-]+\]?"
    r"|(?i:null|none|nil|undefined|true|false|string|str|bytes|boolean|bool|integer|int|number|any|object"
    r"|required|optional)"
)
_NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"


def _redact_assignments(text: str) -> str:
    """Redact values given to names of secrets: `name=value`, `"name": "value"`, `name: value` and their like."""
    # The one letter that becomes two in lower case would shift every position behind it.
    lowered = text.replace("İ", "I").lower()
    if not any(map(lowered.__contains__, _ENDING_HINTS)):
        return text
    pieces: list[str] = []
    done = 0
    for found in _compiled(_ENDING).finditer(lowered):
        if found.start() < done:
            continue
        start, end = _assigned_secret(text, *found.span())
        if start < end:
            pieces += text[done:start], "[redacted:secret]"
            done = end
    return "".join(pieces) + text[done:]


def _assigned_secret(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where the value is that is given to the name ending in `text[start:end]`; an empty span when none is."""
    preceding = text[max(0, start - 64) : start]
    before_name = preceding.rstrip(_NAME_CHARACTERS)
    value = _compiled(_QUERY_VALUE if before_name.endswith(("?", "&")) else _VALUE).match(text, end)
    if value is None:
        return end, end
    name = preceding[len(preceding.rstrip(_NAME_CHARACTERS + " ")) :] + text[start:end]  # "API key" is a name too
    group = value.lastindex or 0
    in_prose = value.lastgroup == "lone" and before_name.rpartition("\n")[2].strip(" \t\"'") != ""
    if in_prose or not is_secret_name(name) or _compiled(_PLACEHOLDER).fullmatch(value[group]):
        return end, end
    return value.span(group)
