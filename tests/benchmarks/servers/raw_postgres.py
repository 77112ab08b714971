"""Raw asyncpg at the end of two pipes: a line with a tool call in, a line with its rows out, and nothing besides."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import asyncio
import json
import sys
from typing import Any

import asyncpg


async def main() -> None:
    """Answer until stdin ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    pool = await asyncpg.create_pool(sys.argv[1], min_size=1, max_size=10)

    async def answer(request: dict[str, Any]) -> None:
        arguments = request.get("params", {}).get("arguments")
        rows = [tuple(map(str, row)) for row in await pool.fetch(arguments["sql"])] if arguments else []
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": {"content": rows}}) + "\n")
        sys.stdout.flush()

    async with asyncio.TaskGroup() as answers:
        while line := await lines.readline():
            request = json.loads(line)
            if "id" in request:
                answers.create_task(answer(request))


asyncio.run(main())
