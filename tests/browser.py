"""A browser for tests, as `BROWSER` names one: opens an address, follows redirects and keeps cookies."""

import sys
from http.cookiejar import CookieJar
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

opener = build_opener(HTTPCookieProcessor(CookieJar()), ProxyHandler({}))
with opener.open(sys.argv[1], timeout=60) as page:
    page.read()
