"""What the server holds while it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mcp_server_drive.accounts import Account, pick
from mcp_server_drive.contents import Contents
from mcp_server_drive.files import Files
from mcp_server_drive.google_api import Connections, GoogleApi, Pace, Patience, Requests
from mcp_server_drive.local_folder import LocalFolder
from mcp_server_drive.watching import Watch

_LOOK_S = 30.0


@dataclass
class Drive:
    """The accounts, and what was learned of them.

    Attributes:
        accounts: by name.
        contents: reads files.
        local_folder: for uploads and downloads.
        poll_s: seconds between looks at the changes feed.
        share_domains: the only ones that files are shared with; any without them.
        folders: the only ones that may be seen.
    """

    accounts: Mapping[str, Account]
    contents: Contents
    requests: Requests
    connections: Connections
    local_folder: LocalFolder
    folders: Sequence[str] = ()
    share_domains: Sequence[str] = ()
    poll_s: float = 20.0
    _addresses: dict[str, str] = field(default_factory=dict[str, str])

    def files(self, pace: Pace, account: str | None = None) -> Files:
        """Return a call's view of the files of an account, the only one if none is named."""
        api = GoogleApi(self.requests, self.connections, pick(self.accounts, account))
        return Files(api, pace, self.folders)

    @cached_property
    def watch(self) -> Watch:
        """What tells of changes."""
        return Watch(lambda: [self.files(Patience(_LOOK_S), name) for name in self.accounts], self.poll_s)

    def own_address(self, files: Files) -> str:
        """Return the address of the account, asked for once."""
        name = files.api.authorizer.name
        if name not in self._addresses:
            self._addresses[name] = files.own_address()
        return self._addresses[name]
