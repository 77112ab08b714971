"""What the operator grants singly: scripts, routes, storage, recordings, emulation, secrets, uploads.

Names, docstrings, descriptions and error texts are prompts.
"""

import json
from contextlib import suppress
from typing import Annotated, Any, Literal, cast

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, Unsupported
from mcp_server_shared.output import Document, Records
from pydantic import Field

from mcp_server_web_browser.artifacts import redact_recording
from mcp_server_web_browser.contexts import Contexts
from mcp_server_web_browser.pages import ACTION_MS, DialogOpened, Page, explained
from mcp_server_web_browser.settings import Settings
from mcp_server_web_browser.tools.answers import PageName, Target, changed, opened, shown
from mcp_server_web_browser.uploads import copy_upload

_RESULT_CHARACTERS = 100_000
_MOST_ROUTES = 50


async def evaluate(
    call: Call[Contexts],
    page: PageName,
    function: Annotated[
        str, Field(description="() => …, or element => … with target; may be async.", min_length=1, max_length=50_000)
    ],
    target: Annotated[str | None, Field(description="Element to hand over.", max_length=1_000)] = None,
) -> Document:
    """Run JavaScript in a page and get its result as JSON. Prefer the other tools: they cannot break a page."""
    async with opened(call, page, target) as there:
        from playwright.async_api import Error

        element = await there.find(target) if target is not None else None
        there.require_no_dialog()
        await _learn_secrets(there)
        mark = there.mark()
        try:
            work = element.locator.evaluate(function) if element else there.driven.evaluate(function)
            result = await there.guarded(work)
            await _learn_secrets(there)
        except DialogOpened:
            return changed(there, there.change(mark, []))
        except Error as error:
            said = (
                error.message.removeprefix("Page.evaluate: ")
                .removeprefix("Locator.evaluate: ")
                .partition("\n    at ")[0]
            )
            raise InvalidArgument(
                "The script failed.", untrusted=shown(there, [said[:400]]), hint="Mend it and try again."
            ) from error
        try:
            text = json.dumps(result, ensure_ascii=False, indent=1, default=str)
        except (ValueError, RecursionError) as error:
            raise InvalidArgument("The result contains itself.", hint="Return a part of it.") from error
        return Document(text=shown(there, [text[:_RESULT_CHARACTERS]]), facts={"characters": len(text)})


async def _learn_secrets(page: Page) -> None:
    await page.guarded(page.documents.learn_secrets())
    page.context.redact.add(page.documents.secrets)


async def route_requests(
    call: Call[Contexts],
    page: PageName,
    url: Annotated[str, Field(description="Glob, as **/api/*.", min_length=1, max_length=1_000)],
    action: Annotated[Literal["block", "mock", "clear"], Field(description="clear ends what was set for it.")],
    status: Annotated[int, Field(ge=100, le=599, description="Of the mock.")] = 200,
    body: Annotated[str, Field(description="Of the mock.", max_length=1_000_000)] = "",
    content_type: Annotated[str, Field(description="Of the mock.", max_length=200)] = "application/json",
) -> Records:
    """Block requests of a page's context, or answer them yourself."""
    async with opened(call, page) as there:
        context = there.context
        await context.driven.unroute(url)
        context.routes.pop(url, None)
        if action != "clear":
            if len(context.routes) >= _MOST_ROUTES:
                raise Conflict(f"There are {_MOST_ROUTES} routes.", hint="Clear some.")

            async def handle(route: Any) -> None:
                if action == "block":
                    await route.abort("blockedbyclient")
                else:
                    await route.fulfill(status=status, body=body, content_type=content_type)

            await context.driven.route(url, handle)
            context.routes[url] = action
        rows = [[pattern, kind] for pattern, kind in context.routes.items()]
    return Records(columns=["url", "action"], rows=rows)


Kind = Annotated[Literal["cookies", "local", "session"], Field(description="Which storage.")]


async def read_storage(call: Call[Contexts], page: PageName, kind: Kind) -> Records:
    """List cookies of a page's context, or the local or session storage of its origin."""
    async with opened(call, page) as there:
        there.require_no_dialog()
        if kind == "cookies":
            rows = [
                [c.get("name"), c.get("value"), c.get("domain"), c.get("path"), c.get("httpOnly"), c.get("secure")]
                for c in await there.context.driven.cookies()
            ]
            columns = ["name", "value", "domain", "path", "http_only", "secure"]
        else:
            items = await there.guarded(there.driven.evaluate(f"() => Object.entries({kind}Storage)"))
            rows, columns = [list(item) for item in items], ["name", "value"]
        rows = [[shown(there, [cell]) if isinstance(cell, str) else cell for cell in row] for row in rows]
    return Records(columns=columns, rows=rows)


async def write_storage(
    call: Call[Contexts],
    page: PageName,
    kind: Kind,
    name: Annotated[str, Field(description="Of the entry.", min_length=1, max_length=1_000)],
    value: Annotated[str | None, Field(description="Default: remove it.", max_length=100_000)] = None,
) -> Records:
    """Set or remove one cookie or storage entry for a page's own origin."""
    async with opened(call, page) as there:
        there.require_no_dialog()
        if kind == "cookies" and value is None:
            await there.context.driven.clear_cookies(name=name)
        elif kind == "cookies":
            await there.context.driven.add_cookies([{"name": name, "value": value or "", "url": there.driven.url}])
        else:
            change = "s.removeItem(name)" if value is None else "s.setItem(name, value)"
            script = f"([name, value]) => {{ const s = {kind}Storage; {change} }}"
            await there.guarded(there.driven.evaluate(script, [name, value]))
    return Records(columns=["name", "set"], rows=[[name, value is not None]])


async def save_state(call: Call[Contexts], page: PageName) -> Records:
    """Save the cookies and storage of a page's context as a resource, for load_state."""
    async with opened(call, page) as there:
        state = await there.context.driven.storage_state(indexed_db=True)
        redact = there.context.redact
    artifact = call.state.artifacts.write(call.caller, json.dumps(state).encode(), "state.json", redact)
    return Records(columns=["uri"], rows=[[artifact.uri]], untrusted=False)


async def load_state(
    call: Call[Contexts],
    uri: Annotated[str, Field(description="From save_state.", min_length=1, max_length=300)],
) -> Records:
    """Make a context with a saved state; give its handle to open_page as context."""
    artifact = call.state.artifacts.get(call.caller, uri.removeprefix("browser://artifacts/"))
    try:
        state = json.loads(await call.in_thread(artifact.path.read_bytes))
    except ValueError as error:
        raise InvalidArgument("'uri' is no saved state.", hint="Give one from save_state.") from error
    context = await call.state.open(call.caller, state=state)
    return Records(columns=["context"], rows=[[context.handle]], untrusted=False)


async def record(
    call: Call[Contexts],
    page: PageName,
    action: Annotated[Literal["start", "stop"], Field(description="stop keeps it as a resource.")],
    kind: Annotated[Literal["trace", "har"], Field(description="har: the requests alone.")] = "trace",
) -> Records:
    """Record what happens in a page's context: a Playwright trace, or a HAR file. It holds what was typed and sent."""
    async with opened(call, page) as there:
        context, tracing = there.context, there.context.driven.tracing
        if action == "start":
            if context.recording is not None:
                raise Conflict(f"A {context.recording} is being recorded.", hint="Stop it first.")
            if kind == "trace":
                await tracing.start(screenshots=True, snapshots=True)
            else:
                context.recording_path = call.state.artifacts.new_path().with_suffix(".har")
                await tracing.start_har(context.recording_path)
            context.recording = kind
            return Records(columns=["recording"], rows=[[kind]], untrusted=False)
        if context.recording != kind:
            raise NotFound(f"No {kind} is being recorded.", hint="Start it first.")
        context.recording = None
        if kind == "trace":
            path = call.state.artifacts.new_path()
            await tracing.stop(path=path)
        else:
            path = context.recording_path
            await tracing.stop_har()
        with suppress(DialogOpened):
            await _learn_secrets(there)
        await call.in_thread(redact_recording, path, context.redact)
        name = "trace.zip" if kind == "trace" else "requests.har"
        artifact = call.state.artifacts.add(call.caller, path, name, context.redact)
    return Records(columns=["uri", "bytes"], rows=[[artifact.uri, artifact.size]], untrusted=False)


async def emulate(
    call: Call[Contexts],
    page: PageName,
    device: Annotated[str | None, Field(description="As iPhone 15. Reload then.", max_length=100)] = None,
    viewport: Annotated[list[int] | None, Field(description="[width, height].", min_length=2, max_length=2)] = None,
    location: Annotated[
        list[float] | None, Field(description="[latitude, longitude].", min_length=2, max_length=2)
    ] = None,
    colours: Annotated[Literal["light", "dark"] | None, Field(description="Preferred scheme.")] = None,
    media: Annotated[Literal["screen", "print"] | None, Field(description="CSS medium.")] = None,
    offline: Annotated[bool | None, Field(description="Cut the network off.")] = None,
) -> Document:
    """Pretend another device, window size, place, colour scheme or network."""
    async with opened(call, page) as there:
        from playwright.async_api import Error

        known = call.state.process.device(device) if device is not None else None

        async def work() -> None:
            if known is not None:
                await there.pretend_to_be(known)
            if viewport is not None:
                await there.driven.set_viewport_size({"width": viewport[0], "height": viewport[1]})
            if location is not None:
                await there.context.driven.grant_permissions(["geolocation"])
                await there.context.driven.set_geolocation({"latitude": location[0], "longitude": location[1]})
            if colours is not None or media is not None:
                await there.driven.emulate_media(color_scheme=colours, media=media)
            if offline is not None:
                await there.context.driven.set_offline(offline)

        try:
            return changed(there, await there.act(work))
        except Error as error:
            raise InvalidArgument("The browser does not take these values.", untrusted=error.message[:200]) from error


async def fill_secret(
    call: Call[Contexts],
    page: PageName,
    target: Target,
    name: Annotated[str, Field(description="Its name.", min_length=1, max_length=200)],
) -> Document:
    """Fill a secret that the operator named into a field, unseen. Only on pages of its own origins."""
    async with opened(call, page, target) as there:
        from playwright.async_api import Error

        element = await there.find(target)
        value = call.state.secrets.value_for(name, element.frame.url)
        if to := element.facts["submitsTo"]:
            call.state.secrets.value_for(name, to)
        if there.context.recording == "trace" and element.facts["type"] != "password":
            raise Conflict("A trace is being recorded, whose pictures would show it.", hint="Stop the recording first.")
        if element.facts["tag"] not in {"INPUT", "TEXTAREA"}:
            raise PermissionDenied(f"{element.reference} is no input field.", hint="Secrets go into fields alone.")

        async def work() -> None:
            await there.documents.ask(element.frame, do="hide", number=int(element.reference.partition("e")[2]))
            try:
                await element.locator.fill(value, timeout=ACTION_MS)
            except Error as error:
                raise explained(error, element.reference) from None  # whose text holds the value

        return changed(there, await there.act(work))


async def upload_files(
    call: Call[Contexts],
    page: PageName,
    target: Target,
    names: Annotated[list[str], Field(description="In the upload folder.", min_length=1, max_length=20)],
) -> Document:
    """Upload files: the target is a file field, or what opens the chooser."""
    settings = cast("Settings", call.settings)
    if settings.upload_dir is None:
        raise Unsupported("No folder for uploads is configured.", hint="The operator can name one by --upload-dir.")
    folder, most = settings.upload_dir, settings.max_download_bytes
    async with opened(call, page, target) as there:
        element = await there.find(target)
        copies = [await call.in_thread(copy_upload, folder, name, most, there.context.new_folder()) for name in names]
        await call.confirm("upload", f"Upload {', '.join(names)[:500]} to {element.frame.url[:200]}?")
        from playwright.async_api import Error

        async def work() -> None:
            try:
                if element.facts["tag"] == "INPUT" and element.facts["type"] == "file":
                    await element.locator.set_input_files(copies, timeout=ACTION_MS)
                else:
                    async with there.driven.expect_file_chooser(timeout=ACTION_MS) as chooser:
                        await element.locator.click(timeout=ACTION_MS)
                    await (await chooser.value).set_files(copies)
            except Error as error:
                raise explained(error, element.reference) from error

        return changed(there, await there.act(work))
