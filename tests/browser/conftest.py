"""One whole Cerebro with a real case in it, and a real Chromium in front of it."""

import itertools
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cramjam
import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from cerebro.cli.bench.instance import Instance, instance
from cerebro.intake.decode.proto.remote_pb2 import WriteRequest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
LOGIN, PASSWORD = "anna", "correct horse battery staple"
HOSTILE = "<img src=x onerror=alert(1)>"
OPTIONAL = ("/api/v1/templates", "/api/v1/actions", "/api/v1/playbooks", "/api/v1/autonomy")
STEP_MS, HISTORY, WAIT_S = 5_000, 400, 120.0
SETUP_S = 300  # the first test starts a whole Cerebro, on a machine that may have much else to do
TURN = "(path) => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }"
VIOLATIONS = (
    "addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective, e.blockedURI))"
)


@dataclass(frozen=True)
class Console:
    """A running Cerebro: where it is, its API as an admin, and the case that it opened."""

    url: str
    api: httpx.Client
    case: str
    host: str


@dataclass
class Visit:
    """One page of a browser, and everything that went wrong in it."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of what a test causes on purpose

    def go(self, path: str) -> Page:
        """Open a page and wait until nothing of it is loading any more."""
        self.page.goto(self.url + path)
        return self.settle()

    def turn(self, path: str) -> Page:
        """Go on to a page as a link does, without loading the console anew."""
        self.page.evaluate(TURN, path)
        return self.settle()

    def settle(self) -> Page:
        """Wait until the page stands."""
        self.page.wait_for_selector(".frame main h1")
        self.page.wait_for_function("() => !document.querySelector('main .bone')")
        return self.page

    def login(self, password: str = PASSWORD) -> None:
        """Through the form, as people do."""
        self.page.fill("input[name=name]", LOGIN)
        self.page.fill("input[name=password]", password)
        self.page.click("form button")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test is the first one also waits for Cerebro."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(SETUP_S))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that uses the browser in the browser's own thread: its loop must not be that of other tests."""
    room = pyfuncitem.funcargs.get("room")
    if room is None:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    room.submit(pyfuncitem.obj, **arguments).result()
    return True


@pytest.fixture(scope="package")
def room() -> Iterator[ThreadPoolExecutor]:
    """The one thread in which everything of the browser happens."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="package")
def browser(room: ThreadPoolExecutor) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: apt-get install chromium")
    played = room.submit(lambda: sync_playwright().start()).result()
    chromium = room.submit(played.chromium.launch, executable_path=str(CHROMIUM), args=list(FLAGS)).result()
    yield chromium
    room.submit(chromium.close).result()
    room.submit(played.stop).result()


@pytest.fixture(scope="package")
def console(browser: Browser) -> Iterator[Console]:
    """A Cerebro that watches this host, and that has seen a queue and a hostile series leap."""
    home = Path(tempfile.mkdtemp(prefix="cbr-", dir=_quick_place()))
    settings = {"SUPPORT__NOISE_BUDGET": "1000", "ACCESS__REQUESTS_PER_S": "100000"}
    with instance(home=home, **settings) as running, _api(running) as api:
        api.post("/users", json={"login": LOGIN, "role": "admin", "password": PASSWORD}).raise_for_status()
        now_ms = time.time_ns() // 1_000_000
        _tell_history(api, now_ms)
        cases = _leap(api, now_ms)
        hosts = _wait(lambda: api.get("/entities", params={"kind": "host"}).json()["items"])
        yield Console(running.url, api, cases["checkout"], hosts[0]["key"]["name"])
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="package")
def known(console: Console, browser: Browser, room: ThreadPoolExecutor) -> BrowserContext:
    """A browser in which someone has logged in."""

    def enter() -> BrowserContext:
        context = _context(browser)
        visit = Visit(context.new_page(), console.url)
        visit.page.goto(console.url)
        visit.login()
        visit.settle()
        visit.page.close()
        return context

    return room.submit(enter).result()


@pytest.fixture
def visit(console: Console, known: BrowserContext, room: ThreadPoolExecutor) -> Iterator[Visit]:
    """A page of someone who is logged in, at 1280 pixels."""
    with _visiting(console, known, room) as visit:
        yield visit


@pytest.fixture
def stranger(console: Console, browser: Browser, room: ThreadPoolExecutor) -> Iterator[Visit]:
    """The first page in a browser of its own, where nobody has logged in."""
    context = room.submit(_context, browser).result()
    with _visiting(console, context, room) as visit:
        room.submit(visit.page.goto, console.url).result()
        yield visit
    room.submit(context.close).result()


def _context(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark", locale="en-GB")
    context.set_default_timeout(30_000)
    return context


@contextmanager
def _visiting(console: Console, context: BrowserContext, room: ThreadPoolExecutor) -> Iterator[Visit]:
    """A new page; afterwards nothing may have gone wrong in it that was not expected."""

    def enter() -> Visit:
        visit = Visit(context.new_page(), console.url)
        _watch(visit)
        return visit

    visit = room.submit(enter).result()
    yield visit
    room.submit(visit.page.close).result()
    surprising = [fault for fault in visit.faults if not any(part in fault for part in visit.expected)]
    assert surprising == []


def _watch(visit: Visit) -> None:
    page, faults = visit.page, visit.faults
    page.add_init_script(VIOLATIONS)
    page.on("console", lambda said: faults.append(said.text) if _is_fault(said) else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
    page.on("request", lambda asked: None if asked.url.startswith(visit.url) else faults.append(f"to {asked.url}"))


def _is_fault(said: ConsoleMessage) -> bool:
    """A page asks for doors that not every installation has; only there a 404 is an answer."""
    optional = "404" in said.text and any(door in said.location.get("url", "") for door in OPTIONAL)
    return said.type in ("error", "warning") and not optional


def _quick_place() -> str | None:
    """Memory, where there is plenty: these tests look at the console, not at how fast a disk is."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30 else None


def _api(running: Instance) -> httpx.Client:
    return httpx.Client(
        base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {running.key}"}, timeout=100
    )


def _tell_history(api: httpx.Client, now_ms: int) -> None:
    """Quiet samples up to now, long enough to be learned from."""
    for first in range(0, HISTORY, 50):
        request = WriteRequest()
        for step in range(first, first + 50):
            _add(request, now_ms - (HISTORY - step) * STEP_MS, 10 + math.sin(step * 1.7))
        _post(api, request)


def _leap(api: httpx.Client, now_ms: int) -> dict[str, str]:
    """Samples that leap, until each series has its case; the cases by job."""
    deadline_s = time.monotonic() + WAIT_S
    for step in itertools.count():
        request = WriteRequest()
        _add(request, now_ms + step * STEP_MS, 500.0)
        _post(api, request)
        items = api.get("/cases").json()["items"]
        found = {item["entities"][0]["name"]: item["id"] for item in items}
        if {"checkout", HOSTILE} <= set(found):
            return found
        assert time.monotonic() < deadline_s, f"no case after {WAIT_S:.0f} s: {items}, {_standing(api)}"
        time.sleep(1.0)
    raise AssertionError


def _standing(api: httpx.Client) -> str:
    """What to look at first when nothing was found."""
    titles = [item["title"] for item in api.get("/findings").json()["items"]]
    return f"findings {titles}; streams {api.get('/engines').json()['streams']}"


def _add(request: WriteRequest, at_ms: int, value: float) -> None:
    for job, path in (("checkout", "/pay"), (HOSTILE, "<script>alert(2)</script>\"'&")):
        series = request.timeseries.add()
        for name, text in (("__name__", "queue_depth"), ("job", job), ("path", path)):
            series.labels.add(name=name.encode(), value=text.encode())
        series.samples.add(value=value, timestamp=at_ms)


def _post(api: httpx.Client, request: WriteRequest) -> None:
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    api.post("/write", content=body, headers=headers).raise_for_status()


def _wait(ask: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + WAIT_S
    while not (found := ask()):
        assert time.monotonic() < deadline_s, "it never came"
        time.sleep(0.5)
    return found
