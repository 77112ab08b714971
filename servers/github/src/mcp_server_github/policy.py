"""Which repositories the operator named and what may be done there: checked before requests, and on what comes back."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from mcp_server_shared.errors import InvalidArgument, PermissionDenied

from mcp_server_github.names import RepoName, owner

Level = Literal["none", "read", "comment", "write", "merge"]
LEVELS: tuple[str, ...] = get_args(Level)

# What decides in a search which repositories are searched; any of them in a model's query is checked.
_SCOPES = re.compile(r"(?i)(?<![\w-])(repo|user|org|owner|enterprise|saved)\W*?:\s*(\"[^\"]*\"|\S*)")
_MOST_SCOPES = 20


@dataclass(frozen=True)
class Policy:
    """What the entries of `--repos` say; without any, everything is allowed that the credential and the grants allow.

    Attributes:
        repositories: the level by "owner/name", in lower case.
        owners: the level by owner, in lower case.
    """

    repositories: dict[str, str] = field(default_factory=dict[str, str])
    owners: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Policy":
        """Read entries as "octocat/hello=comment", "acme/*", "acme/secret=none".

        Raises:
            InvalidArgument: one is not of that form.
        """
        policy = cls()
        for entry in entries:
            pattern, equals, level = entry.strip().partition("=")
            if equals and level not in LEVELS:
                raise InvalidArgument(f"'{entry}': the level must be one of {', '.join(LEVELS)}")
            held = level or LEVELS[-1]
            if pattern.endswith("/*"):
                policy.owners[owner(pattern[:-2]).lower()] = held
            else:
                policy.repositories[RepoName.of(pattern).key] = held
        return policy

    @property
    def limited(self) -> bool:
        """Whether the operator named any repositories."""
        return bool(self.repositories or self.owners)

    def level(self, repo: RepoName) -> str:
        """Return the most that is allowed in a repository: the nearest entry decides."""
        if not self.limited:
            return LEVELS[-1]
        return self.repositories.get(repo.key) or self.owners.get(repo.owner.lower()) or "none"

    def allows(self, repo: RepoName, level: Level = "read") -> bool:
        """Whether something may be done in a repository."""
        return LEVELS.index(self.level(repo)) >= LEVELS.index(level)

    def require(self, repo: RepoName, level: Level = "read") -> None:
        """Return if something may be done in a repository.

        Raises:
            PermissionDenied: the operator did not allow it; what there is behind it is not said.
        """
        if not self.allows(repo, level):
            raise PermissionDenied(
                f"The operator allows '{self.level(repo)}' in {repo}, and this needs '{level}'.",
                hint=f"Only the operator can change that, by --repos {repo}={level}. {self.described()}",
            )

    def require_owner(self, name: str) -> None:
        """Return if repositories may be made under an owner: all of its repositories are allowed to be written.

        Raises:
            PermissionDenied: they are not.
        """
        if self.limited and LEVELS.index(self.owners.get(name.lower(), "none")) < LEVELS.index("write"):
            raise PermissionDenied(
                f"The operator allows no new repositories of {name}.", hint=f"That takes --repos {name}/*=write."
            )

    def described(self) -> str:
        """Return what is allowed, in one sentence."""
        if not self.limited:
            return "Every repository that the credential reaches is allowed."
        entries = [f"{name}={level}" for name, level in self.repositories.items()]
        entries += [f"{name}/*={level}" for name, level in self.owners.items()]
        return f"Allowed: {', '.join(entries[:_MOST_SCOPES])}{'…' if len(entries) > _MOST_SCOPES else ''}."

    def scoped(self, query: str, repo: RepoName | None) -> str:
        """Return a search that stays inside the policy: its own scopes are checked, or else those allowed are added.

        Raises:
            PermissionDenied: it names a repository or owner that is not allowed.
        """
        named = [(kind.lower(), value.strip('"')) for kind, value in _SCOPES.findall(query)]
        if repo is not None:
            self.require(repo)
            if named:
                raise InvalidArgument("The search names its repositories twice.", hint="Give 'repo' or a qualifier.")
            return f"{query} repo:{repo}"
        if not self.limited:
            return query
        for kind, value in named:
            self._require_scope(kind, value)
        return query if named else " ".join([query, *self._scopes()])

    def _require_scope(self, kind: str, value: str) -> None:
        if kind == "repo":
            self.require(RepoName.of(value))
        elif kind not in {"user", "org", "owner"} or self.owners.get(value.lower(), "none") == "none":
            raise PermissionDenied(f"The operator does not allow a search by '{kind}:'.", hint=self.described())

    def _scopes(self) -> list[str]:
        owners = [f"user:{name}" for name, level in self.owners.items() if level != "none"]
        scopes = owners + [f"repo:{name}" for name, level in self.repositories.items() if level != "none"]
        if len(scopes) > _MOST_SCOPES:
            raise InvalidArgument("The operator named too many repositories to search at once.", hint="Give 'repo'.")
        if not scopes:
            raise PermissionDenied("The operator allows no repository to be read.")
        return scopes
