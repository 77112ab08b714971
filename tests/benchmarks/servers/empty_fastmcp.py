"""The same server as `empty_sdk.py`, on fastmcp; runs in an environment that has it."""

from fastmcp import FastMCP  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

server = FastMCP("empty")  # pyright: ignore[reportUnknownVariableType]


@server.tool  # pyright: ignore[reportUnknownMemberType, reportUntypedFunctionDecorator]
async def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    server.run(show_banner=False)  # pyright: ignore[reportUnknownMemberType]
