"""The promises that every server makes, for this one."""

import pytest
from mcp_server_filesystem.__main__ import program
from mcp_server_shared.contract import Example, Subject, checks

globals().update(checks())


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    root = tmp_path_factory.mktemp("root")
    for number in range(40):
        (root / f"directory-{number}").mkdir()
        (root / "directory-0" / f"file-{number}.txt").write_text("a line\n")
    (root / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\4\0\0\0\5")
    text = root / "long.txt"
    text.write_bytes("".join(f"{n}\tzeilé \u202e{n}\r\n" for n in range(300)).encode())
    directory = str(root)
    return Subject(
        program=program,
        arguments=[directory],
        examples=[
            Example("list_directory", {"path": directory}, paged=True),
            Example("list_directory", {"path": str(root / "directory-0"), "limit": 30}, paged=True),
            Example("read_text_file", {"path": str(text)}, paged=True),
            Example("read_text_file", {"path": str(text), "start_line": 100}, paged=True),
            Example("list_directory", {"path": directory, "sort": "modified", "descending": True}, paged=True),
            Example("read_multiple_files", {"paths": [str(text), str(root / "directory-0" / "file-0.txt")]}),
            Example("read_media_file", {"path": str(root / "image.png")}),
            Example("directory_tree", {"path": directory}),
            Example("search_files", {"path": directory, "glob": "file-*"}, paged=True),
            Example("search_files", {"path": directory, "glob": "directory-*", "limit": 20}, paged=True),
            Example("search_files", {"path": directory, "glob": "*", "type": "file", "min_bytes": 7}, paged=True),
            Example("search_content", {"path": directory, "pattern": "l.ne"}, paged=True),
            Example("search_content", {"path": directory, "pattern": "9$", "context": 1}, paged=True),
            Example("get_file_info", {"path": str(text)}),
            Example("get_file_info", {"path": directory, "total": True}),
            Example("list_allowed_directories", needs_upstream=False),
        ],
        resources=[text.as_uri()],
        prompts=[Example("explore_directory", {"path": directory}), Example("review_file", {"path": str(text)})],
        upstream_hint="mcp-server-filesystem DIRECTORY",
    )
