"""The promises that every server makes, for this one."""

import pytest
from mcp_server_shared.contract import Example, Subject, checks
from mcp_server_slack.__main__ import program
from slack_gaps import BOT, NEVER_ANSWERED, USER
from slack_workspace import Workspace

globals().update(checks())

DOT = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")


@pytest.fixture(scope="module")
def subject(workspace: Workspace) -> Subject:
    general, alice = workspace.channels["general"], workspace.people["alice"]
    for number in range(20):
        thread = workspace.post("general", f"Message {number}: how is <@{alice}>? ⟦U+202E⟧ \u202e", BOT)
        for reply in range(number % 3):
            workspace.post("general", f"Reply {reply} to {number}", thread_ts=thread)
    long_thread = workspace.post("general", "A thread")
    for number in range(30):
        workspace.post("general", f"A longer reply, number {number}", thread_ts=long_thread)
    text = workspace.upload("general", "notes.txt", "Straße und Weg ⟦U+202E⟧\n".encode() * 100)
    image = workspace.upload("general", "dot.png", DOT)
    document = '{"type": "markdown", "markdown": "# Plan"}'.replace("# Plan", "# Plan\\n" * 300)
    canvas = workspace.ask("canvases.create", document_content=document)["canvas_id"]
    return Subject(
        program=program,
        arguments=["--api-url", f"{workspace.proxy.url}/api/"],
        environment={"SLACK_USER_TOKEN": USER},
        examples=[
            Example("list_channels"),
            Example("list_channels", {"scope": "all", "query": "e"}),
            Example("read_channel", {"channel": "#general"}, paged=True),
            Example("read_channel", {"channel": general, "limit": 7, "replies": 0, "since": "3d"}, paged=True),
            Example("read_thread", {"channel": general, "thread": long_thread}, paged=True),
            Example("search_messages", {"query": "message"}, paged=True),
            Example("search_messages", {"query": "longer in:#general", "sort": "newest", "limit": 5}, paged=True),
            Example("catch_up", paged=True),
            Example("catch_up", {"since": "2h", "max_channels": 2}, paged=True),
            Example("find_slack_users", {"query": "a"}),
            Example("find_slack_users", {"query": "admin@emulate.dev"}),
            Example("read_slack_file", {"file": text}, paged=True),
            Example("read_slack_file", {"file": image}),
            Example("read_canvas", {"canvas": canvas}, paged=True),
        ],
        resources=["slack:///general", f"slack:///{general}/{long_thread}"],
        prompts=[
            Example("summarise_channel", {"channel": "general", "since": "1d"}),
            Example("draft_reply", {"message": workspace.permalink("general", long_thread), "points": "yes"}),
        ],
        slow=[Example("read_canvas", {"canvas": NEVER_ANSWERED})],
        upstream_hint="SLACK_BOT_TOKEN",
    )
