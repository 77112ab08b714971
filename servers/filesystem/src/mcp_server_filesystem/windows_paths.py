r"""Paths as Windows reads them: which text names an entry plainly, and which means something else than it says.

Windows takes both slashes, drops dots and blanks at the end of a name, opens devices by name in any directory, data
streams by a colon, and files by short names that nobody gave them. What is not plain is refused, never rewritten.
"""

import re

from mcp_server_shared.errors import InvalidArgument

_DEVICE_PATH = r"//[?.](?:/|$)|/\?\?(?:/|$)"
_DRIVE = r"(?s)/?([A-Za-z]:)(.*)"
_IMPOSSIBLE = r'[<>:"|?*\x00-\x1f]'
_DEVICE = r"(?i)(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])\s*(?:\..*)?"
_SHORT = r"(?=[^.]{3,8}(?:\.|$))[^.]+~\d+(?:\.[^.]{0,3})?"


def names_between_slashes(path: str) -> str:
    r"""Return a path with `/` between its names; an absolute one also begins with it: `/C:/Users`, `/server/share`.

    Raises:
        InvalidArgument: it is relative to a drive or to the current drive, the path of a device, or has a name that
            `refused` tells a reason of.
    """
    slashed = path.replace("\\", "/")
    if re.match(_DEVICE_PATH, slashed):
        raise InvalidArgument(f"{path!r} is the path of a device.", hint="Name the drive and the directories, C:/….")
    drive = re.fullmatch(_DRIVE, slashed)
    rest = drive[2] if drive else slashed
    is_share = not drive and rest.startswith("//")
    if (drive and rest and not rest.startswith("/")) or (not drive and rest.startswith("/") and not is_share):
        raise InvalidArgument(f"{path!r} depends on the current drive.", hint="Name the drive and all directories.")
    for name in rest.split("/"):
        if reason := refused(name):
            raise InvalidArgument(f"{path!r} has the name {name!r}, which {reason}.")
    if drive:
        return f"/{drive[1]}{rest}"
    return rest[1:] if is_share else rest


def refused(name: str) -> str | None:
    """Return why a name is not plain, as the end of a sentence; None if it is."""
    if name in ("", ".", ".."):
        return None
    if re.search(_IMPOSSIBLE, name):
        return "has a character that no name has on Windows, or asks for a data stream"
    if name.endswith((".", " ")):
        return "ends with a dot or a blank, which Windows would drop"
    if re.fullmatch(_DEVICE, name):
        return "is a device to Windows"
    if re.fullmatch(_SHORT, name):
        return "may be the short form of another name; take the long one, as list_directory shows it"
    return None


def without_prefix(path: str) -> str:
    r"""Return a path as the system answers it, without the mark `\\?\` that it is to be taken literally."""
    if path.startswith("\\\\?\\UNC\\"):
        return "\\" + path[len("\\\\?\\UNC") :]
    return path.removeprefix("\\\\?\\")
