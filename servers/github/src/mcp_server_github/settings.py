"""What the operator decides."""

from typing import Annotated
from urllib.parse import urlsplit

from mcp_server_shared.catalog import Grant
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, SecretStr, field_validator, model_validator

from mcp_server_github.names import workflow_file
from mcp_server_github.policy import Policy

PUBLIC_API = "https://api.github.com"

COMMENT = Grant(
    setting="allow_comment",
    allows="open and edit issues, comment and review",
    needs="Issues: write and Pull requests: write; of a classic token, the scope repo (public_repo for public ones).",
)
WRITE = Grant(
    setting="allow_write",
    allows="create branches, commit files, and open and edit pull requests",
    needs="Contents: write, Issues: write and Pull requests: write; of a classic token, the scope repo.",
)
MERGE = Grant(
    setting="allow_merge",
    allows="merge pull requests",
    needs="As --allow-write; for pull requests that change workflows also Workflows: write, the scope workflow.",
)
RUN = Grant(
    setting="allow_run",
    allows="start workflows, and run them again or cancel them",
    needs="Actions: write; of a classic token, the scope repo.",
)
CREATE = Grant(
    setting="allow_create",
    allows="create and fork repositories",
    needs="Administration: write and Contents: read; of a classic token, the scope repo.",
)
GRANTS = (COMMENT, WRITE, MERGE, RUN, CREATE)
_IMPLIED_BY = {"allow_comment": ("allow_write", "allow_merge"), "allow_write": ("allow_merge",)}


class Settings(ServerSettings):
    """Whose GitHub, as whom, and which repositories of it."""

    env_prefix = "GITHUB"
    confirmations = ("approve", "default-branch", "merge", "merge-workflow", "publish", "run", "create")

    token: Annotated[
        SecretStr | None,
        Source(env=("GITHUB_TOKEN", "GITHUB_PERSONAL_ACCESS_TOKEN")),
        Field(description="A fine-grained or classic token; without any, public repositories can be read, slowly."),
    ] = None
    app_id: Annotated[
        str | None, Source(placeholder="ID"), Field(description="A GitHub App to act as, by its id or client id.")
    ] = None
    app_installation_id: Annotated[
        int | None, Field(ge=1, description="The installation of that app; its only one if it has one.")
    ] = None
    app_private_key: Annotated[SecretStr | None, Field(description="The private key of that app, as PEM.")] = None
    api_url: Annotated[
        str | None,
        Source(placeholder="URL"),
        Field(description="The API of a GitHub Enterprise: https://HOST/api/v3 or https://api.NAME.ghe.com."),
    ] = None
    host: Annotated[
        str | None, Field(description="Or its host, as GitHub's own command line has it; the API follows from it.")
    ] = None
    repos: Annotated[
        tuple[str, ...],
        Source(placeholder="OWNER/NAME[=none|read|comment|write|merge]"),
        Field(
            description="Repositories to work with, OWNER/* for all of an owner, and the most that is allowed there; "
            "the nearest entry decides. Without any: all that the credential reaches."
        ),
    ] = ()
    lockdown: Annotated[
        bool,
        Field(description="Withhold what people without push access wrote in public repositories."),
    ] = False
    match_credential: Annotated[
        bool,
        Field(description="Ask once, at start, what the credential may do, and hide the tools that it cannot use."),
    ] = False
    allow_comment: Annotated[bool, Field(description="Also open and edit issues, comment, review.")] = False
    allow_write: Annotated[
        bool, Field(description="Also create branches, commit, open pull requests, and what --allow-comment allows.")
    ] = False
    allow_merge: Annotated[bool, Field(description="Also merge, and what --allow-write allows.")] = False
    allow_run: Annotated[bool, Field(description="Also start workflows, run them again, cancel them.")] = False
    allow_create: Annotated[bool, Field(description="Also create and fork repositories.")] = False
    workflow_files: Annotated[
        tuple[str, ...],
        Source(placeholder="NAME.yml"),
        Field(description="Workflow files that --allow-write may change too; none otherwise."),
    ] = ()

    @field_validator("repos")
    @classmethod
    def _entries(cls, repos: tuple[str, ...]) -> tuple[str, ...]:
        try:
            Policy.of(repos)
        except InvalidArgument as error:
            raise ValueError(error.message.removeprefix("'repo' ")) from None  # the flag's name stands before it
        return repos

    @field_validator("workflow_files")
    @classmethod
    def _file_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(workflow_file(name) for name in names)
        except InvalidArgument as error:
            raise ValueError(error.message) from None

    @field_validator("api_url")
    @classmethod
    def _safe_address(cls, api_url: str | None) -> str | None:
        if api_url is not None:
            parts = urlsplit(api_url)
            local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
            if parts.scheme != "https" and not (parts.scheme == "http" and local):
                raise ValueError("must begin with https://, since the credential is sent there")
            if not parts.hostname or parts.username or parts.query or parts.fragment:
                raise ValueError("must be https://HOST/PATH and nothing else")
        return api_url

    @field_validator("host")
    @classmethod
    def _plain_host(cls, host: str | None) -> str | None:
        plain = None if host is None else host.removeprefix("https://").rstrip("/")
        if plain is not None and (urlsplit(f"//{plain}").netloc != plain or "@" in plain):
            raise ValueError("must be a host name, as github.example.com")
        return plain

    @model_validator(mode="after")
    def _one_credential(self) -> "Settings":
        if bool(self.app_id) != bool(self.app_private_key):
            raise ValueError("--app-id (GITHUB_APP_ID) and --app-private-key (GITHUB_APP_PRIVATE_KEY) go together")
        if self.token and self.app_id:
            raise ValueError("a token and an app are two credentials; keep one")
        return self

    def gives(self, grant: Grant) -> bool:
        """Whether the operator gave a grant, or one that includes it."""
        return any(getattr(self, setting) for setting in (grant.setting, *_IMPLIED_BY.get(grant.setting, ())))

    def base_url(self) -> str:
        """Return the address of the API."""
        if self.api_url is not None:
            return self.api_url.rstrip("/")
        if self.host in {None, "github.com", "api.github.com"}:
            return PUBLIC_API
        of_a_tenant = self.host and self.host.endswith(".ghe.com") and not self.host.startswith("api.")
        return f"https://api.{self.host}" if of_a_tenant else f"https://{self.host}/api/v3"
