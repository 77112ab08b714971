"""Google Drive, Docs, Sheets and Slides for tests: the wire is real HTTP, and what goes over it is checked.

Every request is held against the description of the API that Google's own library ships (path, method, parameters,
body, fields), and so is every answer. What neither says (how a query is understood, what a conflict is) is written
down here from Google's documentation, and has not been held against Google itself.
"""

from fake_google import native
from fake_google.oauth import keep_token
from fake_google.server import FakeGoogle, Fault, fake_google
from fake_google.storage import Stored

__all__ = ["FakeGoogle", "Fault", "Stored", "fake_google", "keep_token", "native"]
