"""What the operator decides."""

from pathlib import Path
from typing import Annotated, Literal

from mcp_server_shared.catalog import Grant
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, SecretStr

ACT = Grant(
    setting="allow_actions",
    allows="click and type",
    needs="Nothing, and it is on by default: contexts are logged out and fenced off. --allow-actions=false ends it.",
)
SCRIPT = Grant(setting="allow_scripts", allows="run JavaScript in pages", needs="nothing")
ROUTE = Grant(setting="allow_routing", allows="answer or block the requests of pages", needs="nothing")
STORE = Grant(
    setting="allow_storage",
    allows="read and set cookies and storage, and so log in with a saved state",
    needs="A saved state holds logins: keep it like a password.",
)
RECORD = Grant(setting="allow_recording", allows="record traces and HAR files", needs="nothing")
EMULATE = Grant(setting="allow_emulation", allows="pretend another place, device, language or network", needs="nothing")
SECRET = Grant(
    setting="allow_secrets",
    allows="fill in secrets that the model never sees",
    needs="--secrets-file, which names the origins that each secret is for.",
)
UPLOAD = Grant(
    setting="allow_uploads", allows="upload files", needs="--upload-dir, the one folder that files may come from."
)
GRANTS = (ACT, SCRIPT, ROUTE, STORE, RECORD, EMULATE, SECRET, UPLOAD)


class Settings(ServerSettings):
    """The browser, what it may reach, and what may be done with it."""

    env_prefix = "BROWSER"
    confirmations = ("submit", "upload")

    browser: Annotated[
        Literal["chromium", "firefox", "webkit"], Field(description="Which browser; tested with chromium alone.")
    ] = "chromium"
    executable: Annotated[
        Path | None,
        Field(
            description="The browser's program. Default: Playwright's own build, else an installed Chrome or Chromium."
        ),
    ] = None
    headed: Annotated[bool, Field(description="Show the browser's windows.")] = False
    cdp_endpoint: Annotated[
        SecretStr | None,
        Source(placeholder="URL"),
        Field(description="A Chromium that runs already, here or elsewhere: http://host:9222 or ws://…"),
    ] = None
    playwright_server: Annotated[
        SecretStr | None, Source(placeholder="URL"), Field(description="A Playwright server: ws://host:port/…")
    ] = None
    grid: Annotated[
        SecretStr | None,
        Source(placeholder="URL"),
        Field(description="A Selenium grid, or one WebDriver server, that starts a Chromium: http://host:4444"),
    ] = None
    proxy_host: Annotated[
        str,
        Source(placeholder="ADDRESS"),
        Field(description="The address of this machine at which the browser, if it runs elsewhere, finds our proxy."),
    ] = "127.0.0.1"
    allow_host: Annotated[
        tuple[str, ...],
        Source(placeholder="HOST[:PORT]"),
        Field(description="A host or network that may be reached although it is private, such as localhost:3000."),
    ] = ()
    only_host: Annotated[
        tuple[str, ...],
        Source(placeholder="HOST[:PORT]"),
        Field(description="Reach only these hosts; *.example.com stands for its subdomains."),
    ] = ()
    block_host: Annotated[
        tuple[str, ...], Source(placeholder="HOST[:PORT]"), Field(description="Never reach these hosts.")
    ] = ()
    max_pages: Annotated[
        int, Field(ge=1, le=500, description="Most open pages; the least recently used makes room for another.")
    ] = 20
    max_memory_mb: Annotated[
        int,
        Field(
            ge=64,
            le=1_048_576,
            description="Most memory of the browser in MB, on Linux; past it the least recently used context closes.",
        ),
    ] = 4_096
    idle_s: Annotated[float, Field(ge=1, le=86_400, description="Seconds after which an unused context closes.")] = 900
    lifetime_s: Annotated[
        float, Field(ge=1, le=604_800, description="Seconds after which a context closes, used or not.")
    ] = 14_400
    artifacts_dir: Annotated[
        Path | None,
        Field(description="Where downloads, PDFs and traces are kept. Default: a folder that is deleted at the end."),
    ] = None
    max_download_bytes: Annotated[
        int, Field(ge=1, le=10_737_418_240, description="Largest download or upload, in bytes.")
    ] = 104_857_600
    upload_dir: Annotated[Path | None, Field(description="The folder that uploads come from.")] = None
    secrets_file: Annotated[
        Path | None,
        Field(description='A TOML file of secrets: [name], then origins = ["https://…"] and value = "…".'),
    ] = None
    allow_actions: Annotated[bool, Field(description="Click and type.")] = True
    allow_scripts: Annotated[bool, Field(description="Also run JavaScript in pages.")] = False
    allow_routing: Annotated[bool, Field(description="Also answer or block requests of pages.")] = False
    allow_storage: Annotated[bool, Field(description="Also read and set cookies and storage.")] = False
    allow_recording: Annotated[bool, Field(description="Also record traces and HAR files.")] = False
    allow_emulation: Annotated[bool, Field(description="Also emulate places, devices, networks.")] = False
    allow_secrets: Annotated[bool, Field(description="Also fill in the secrets of --secrets-file.")] = False
    allow_uploads: Annotated[bool, Field(description="Also upload files of --upload-dir.")] = False

    def address(self, name: Literal["cdp_endpoint", "playwright_server", "grid"]) -> str | None:
        """Return where a browser runs already, if one does."""
        address: SecretStr | None = getattr(self, name)
        return address.get_secret_value() if address else None
