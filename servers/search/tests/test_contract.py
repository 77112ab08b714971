"""The promises that every server makes, for this one."""

from pathlib import Path

import pytest
from fake_web.documents import markdown
from fake_web.providers import FakeWikipedia
from fake_web.server import Web
from mcp_server_search.__main__ import program
from mcp_server_shared.contract import Example, Subject, checks

globals().update(checks())


@pytest.fixture(scope="module")
def subject(lasting_web: Web, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    data: Path = tmp_path_factory.mktemp("data")
    wikipedia = FakeWikipedia(lasting_web)
    # As Markdown already: some checks allow a call two seconds, and a busy machine takes that long to start the process
    # that takes other pages apart. Those have tests of their own.
    story = lasting_web.page("/story", markdown(60), "text/markdown")
    report = lasting_web.page("/report", markdown(50), "text/plain")
    folder: Path = tmp_path_factory.mktemp("documents")
    for number in range(30):
        (folder / f"note {number}.md").write_text(f"# Note {number}\n\nOn cats and other animals, part {number}.\n")
    return Subject(
        program=program,
        arguments=[
            *("--wikipedia-url", wikipedia.setting, "--data-directory", str(data)),
            *("--allow-host", lasting_web.host, str(folder)),
        ],
        examples=[
            Example("search_wikipedia", {"query": "history of the cat"}, paged=True),
            Example("search_wikipedia", {"query": "cats", "limit": 25, "language": "de"}, paged=True),
            Example("search_wikipedia", {"query": "nothing"}),
            Example("read_page", {"url": story}, paged=True),
            Example("read_page", {"url": report, "max_characters": 700}, paged=True),
            Example("read_page", {"url": story, "view": "headings"}),
            Example("read_page", {"url": story, "section": "Chapter 3", "max_characters": 500}),
            Example("read_page", {"url": story, "find": "day 17"}),
            Example("read_page", {"url": (folder / "note 7.md").as_uri()}),
            Example("search_local", {"query": "cats", "limit": 20}, paged=True),
            Example("search_local", {"query": '"other animals" part', "limit": 9}, paged=True),
            Example("get_usage", needs_upstream=False),
        ],
        resources=["search:///results/cats", f"search:///page/{story}"],
        prompts=[
            Example("research_question", {"question": "Why do cats purr?"}),
            Example("check_claim", {"claim": "Cats have nine lives."}),
        ],
        slow=[Example("search_wikipedia", {"query": "slow to come"})],
    )
