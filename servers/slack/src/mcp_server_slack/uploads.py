"""The one folder whose files may leave this machine."""

from pathlib import Path

from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge, did_you_mean, sentence

_LARGEST = 50_000_000


def read_file(folder: Path, name: str) -> tuple[str, bytes]:
    """Return the name and the bytes of a file below a folder.

    Raises:
        PermissionDenied: the name leads out of the folder.
        NotFound: there is no such file; the hint has some that there are.
        InvalidArgument: it is no file.
        TooLarge: it is larger than what is uploaded.
    """
    home = folder.resolve()
    try:
        path = (home / name).resolve(strict=True)
    except (OSError, ValueError):
        known = sorted(entry.name for entry in home.glob("*") if entry.is_file())
        hint = sentence(did_you_mean(name, known)) or f"There is: {', '.join(known[:20]) or 'nothing'}."
        raise NotFound("There is no such file in the folder for uploads.", hint=hint) from None
    if not path.is_relative_to(home):
        raise PermissionDenied("This is outside the folder for uploads.", hint="Give a path relative to that folder.")
    if not path.is_file():
        raise InvalidArgument("This is no file.", hint="Give the path of one file.")
    if path.stat().st_size > _LARGEST:
        raise TooLarge(f"The file has more than {_LARGEST:,} bytes.")
    return path.name, path.read_bytes()
