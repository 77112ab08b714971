"""Names that become part of a request, judged before one is made: what is no name could lead to another repository."""

import re
from dataclasses import dataclass
from datetime import datetime

from mcp_server_shared.errors import InvalidArgument

MOST_QUERY_CHARACTERS = 1_000

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}")
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98})(?:\[bot\])?")
_SHA = re.compile(r"[0-9a-f]{7,64}")
_LIKE_A_SHA = re.compile(r"(?:.*-g)?[0-9a-fA-F]{4,64}")  # the second as git describes a commit
_WHOLE_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WORKFLOW = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,98}\.ya?ml")
_NOT_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\dZ)?")
_NOT_IN_A_QUERY = re.compile(r"[\x00-\x1f\ud800-\udfff]")
_MOST_PATH_CHARACTERS = 1_024
_MOST_LABEL_CHARACTERS = 100
_MOST_REF_CHARACTERS = 250


@dataclass(frozen=True, order=True)
class RepoName:
    """The name of a repository; two that differ in case alone are the same, as on GitHub.

    Attributes:
        owner: a user or an organisation.
        name: of the repository.
    """

    owner: str
    name: str

    @classmethod
    def of(cls, text: str) -> "RepoName":
        """Read "owner/name".

        Raises:
            InvalidArgument: it is not of that form.
        """
        owner, _, name = text.partition("/")
        if not (_OWNER.fullmatch(owner) and _REPOSITORY.fullmatch(name)) or name in {".", ".."}:
            raise InvalidArgument(f"'repo' must be owner/name, not '{text[:100]}'.", hint="As in octocat/hello-world.")
        return cls(owner, name)

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def key(self) -> str:
        """What equal names have in common."""
        return str(self).lower()


def owner(text: str) -> str:
    """Return the name of a user or organisation."""
    return _judged(text, _OWNER.fullmatch(text), "The owner", "a name as octocat")


def login(text: str, argument: str) -> str:
    """Return the name of a user or bot."""
    return _judged(text, _LOGIN.fullmatch(text), f"'{argument}'", "the login of a user, without @")


def path(text: str) -> str:
    """Return a path inside a repository, "" for its root; no part of it leads up or out."""
    plain = text.strip("/")
    parts = plain.split("/") if plain else []
    leads_out = {"", ".", ".."} & set(parts) or _NOT_IN_A_PATH.search(plain) or len(plain) > _MOST_PATH_CHARACTERS
    return _judged(plain, not leads_out, "'path'", "a path inside the repository, as docs/index.md")


def ref(text: str, argument: str = "ref") -> str:
    """Return a branch, tag or commit, as git allows them."""
    edges = text[:1] in {"", "-", "/", "."} or text[-1:] in {"/", "."}
    bad = edges or text == "@" or len(text) > _MOST_REF_CHARACTERS or _NOT_IN_A_REF.search(text)
    return _judged(text, not bad, f"'{argument}'", "a branch, tag or commit")


def sha(text: str, argument: str) -> str:
    """Return a commit's hash of 7 digits or more."""
    return _judged(text, _SHA.fullmatch(text), f"'{argument}'", "a commit's hash, 7 hex digits or more")


def whole_sha(text: str, argument: str) -> str:
    """Return a whole hash, which alone says what exactly is meant."""
    return _judged(text, _WHOLE_SHA.fullmatch(text), f"'{argument}'", "a whole hash of 40 hex digits")


def may_be_sha(text: str) -> bool:
    """Whether git may take a ref for a commit's hash, or for the beginning of one."""
    return _LIKE_A_SHA.fullmatch(text) is not None


def is_whole_sha(text: str) -> bool:
    """Whether git takes a ref for a commit's hash, even where a branch is called so."""
    return _WHOLE_SHA.fullmatch(text.lower()) is not None


def workflow_file(text: str) -> str:
    """Return the file name of a workflow."""
    return _judged(text, _WORKFLOW.fullmatch(text), "The workflow", "a file name as ci.yml")


def query(text: str) -> str:
    """Return what to search for, if it is no longer than anybody types."""
    fine = 0 < len(text.strip()) <= len(text) <= MOST_QUERY_CHARACTERS and not _NOT_IN_A_QUERY.search(text)
    return _judged(text, fine, "'query'", f"one line of at most {MOST_QUERY_CHARACTERS} characters")


def head(text: str) -> str:
    """Return a branch with its owner."""
    who, colon, branch = text.partition(":")
    fine = colon and _OWNER.fullmatch(who) and branch and not _NOT_IN_A_REF.search(branch)
    return _judged(text, fine, "'head'", "owner:branch")


def number(text: str) -> int:
    """Return the number of an issue, a pull request or a run."""
    return int(_judged(text, _NUMBER.fullmatch(text), "The number", "digits alone"))


def moment(text: str, argument: str) -> str:
    """Return a date or time as GitHub takes it; "" stays."""
    fine = not text or (_MOMENT.fullmatch(text) and _is_a_moment(text))
    return _judged(text, fine, f"'{argument}'", "as 2026-11-20 or 2026-11-20T16:00:00Z")


def _is_a_moment(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def label(text: str) -> str:
    """Return the name of a label; a comma would make two of it."""
    fine = 0 < len(text) <= _MOST_LABEL_CHARACTERS and not _NOT_IN_A_QUERY.search(text) and "," not in text
    return _judged(text, fine, "'labels'", "names of labels")


def _judged(text: str, fine: object, what: str, wanted: str) -> str:
    if not fine:
        raise InvalidArgument(f"{what} must be {wanted}, not '{text[:100]}'.")
    return text
