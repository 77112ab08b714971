"""A WebSocket by hand, for what no client would do."""

import socket
import struct
from collections.abc import Generator
from contextlib import contextmanager

from notes.network import TIMEOUT_S, Served

OPENING = {
    "host": "localhost",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "mcp",
}


@contextmanager
def raw_websocket(server: Served, query: str = "", **headers: str) -> Generator[tuple[socket.socket, int]]:
    """Connect with a small window, so that little fits on the way; yield the connection and the answer's status."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(TIMEOUT_S)
        connection.connect(("127.0.0.1", server.port))
        path = server.url.removeprefix(server.origin)
        fields = "".join(f"{name}: {value}\r\n" for name, value in (OPENING | headers).items())
        connection.sendall(f"GET {path}{query} HTTP/1.1\r\n{fields}\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        yield connection, int(answer.split()[1])


def frame(text: str) -> bytes:
    """Return a text as a masked frame; at most 65,535 bytes."""
    data = text.encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return b"\x81" + length + bytes(4) + data  # a mask of zeros changes nothing
