"""The console in a real Chromium against a whole Cerebro.

Every visit fails on a console error, a violation of the content policy, a dialog or a request
to another host; see `conftest.py`.
"""

import json
import re
import time

import pytest

pytestmark = pytest.mark.browser

PAGES = (
    "/", "/cases", "/cases?state=all", "/cases/{case}", "/findings", "/entities", "/entities/host/{host}",
    "/entities/service/checkout", "/topology", "/series?q=queue_depth", "/engines", "/budget", "/silences",
    "/connect", "/users", "/keys", "/audit", "/sql", "/nowhere", "/cases/{case}/post-mortem", "/actions",
    "/playbooks", "/playbooks/restart-service", "/autonomy", "/patterns", "/changes", "/correlation", "/forecast",
    "/drills",
)  # fmt: skip
KEY = re.compile(
    r"(?<![\w./])(?:nav|case|cases|do|entity|intake|engine|budget|problem|sql|story|action|actions|playbooks|autonomy|patterns|topology|level|changes|correlation|post_mortem|finding|drill|fault|clash)\.[a-z_]+(?![\w/])"
)
RESTART = "tr:has(select[aria-label='restart-service'])"  # its row in the matrix of levels
OTHER_COLOUR = """() => {
  const canvas = document.querySelector('.chart canvas');
  const colour = getComputedStyle(document.documentElement).getPropertyValue('--critical').trim();
  const probe = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
  probe.fillStyle = colour;
  probe.fillRect(0, 0, 1, 1);
  const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const far = Math.abs(data[i] - red) + Math.abs(data[i + 1] - green) + Math.abs(data[i + 2] - blue);
    count += far < 12 && data[i + 3] > 200;
  }
  return count;
}"""

PRESS = """(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {
  ...key, bubbles: true, cancelable: true,
}))"""


def addresses(console):
    return [path.format(case=console.case, host=console.host) for path in PAGES]


def test_a_wrong_password_is_told_and_the_right_one_lets_in(room, stranger):
    """The problem's own words; the form stays."""
    stranger.expected = ("401",)
    stranger.login("wrong")
    stranger.page.wait_for_selector("[role=alert]")

    assert len(stranger.page.inner_text("[role=alert]")) > 10
    stranger.login()
    stranger.settle()
    assert stranger.page.inner_text("main h1") == "Overview"


def test_the_overview_shows_this_host_and_what_hurts(room, visit, console):
    """The host watches itself; the case stands on top."""
    page = visit.go("/")

    assert page.locator(f'a.tile[href="/entities/host/{console.host}"]').count() == 1
    assert page.locator(f'main a[href="/cases/{console.case}"]').count() == 1
    page.wait_for_selector(".link-state .dot.live")


@pytest.mark.parametrize(("theme", "width"), [("dark", 1280), ("light", 390)])
def test_every_page_stands(room, visit, console, theme, width):
    """No failure, no key without a text, nothing scrolled sideways; the fixture hears console and policy."""
    visit.page.set_viewport_size({"width": width, "height": 844})
    visit.page.emulate_media(color_scheme=theme)
    visit.go("/")
    for address in addresses(console):
        page = visit.go(address) if theme == "dark" else visit.turn(address)

        assert page.locator("main [role=alert]").count() == 0, address
        assert KEY.findall(page.inner_text("#app")) == [], address
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        assert page.locator(".tabs").is_visible() == (width < 400)
        assert page.title().endswith("Cerebro")


def test_a_case_shows_its_evidence(room, visit, console):
    """The band, the point that left it, and the query, which runs as it stands."""
    page = visit.go(f"/cases/{console.case}")

    assert "expected" in page.inner_text(".chart .read")
    assert page.evaluate(OTHER_COLOUR) > 10
    page.click("details.query summary")
    assert "SELECT at, value FROM samples" in page.inner_text("details.query pre")
    page.click("text=Run it")
    page.wait_for_selector("textarea")
    page.click("button.primary")
    page.wait_for_selector("table.grid tbody tr")
    page.go_back()
    page.click("text=and since")
    page.wait_for_selector(".chart canvas")
    assert page.locator("main [role=alert]").count() == 0


def test_every_sentence_of_a_case_has_its_proof(room, visit, console):
    """A number opens the proof with its query; asked again, each proof says what came back."""
    page = visit.go(f"/cases/{console.case}")
    page.wait_for_selector(".story .said")
    assert page.locator(".story .said").count() == page.locator(".story .said:has(.proof-mark)").count() > 2
    page.keyboard.press("1")
    page.wait_for_selector("dialog[open].proof details pre", state="attached")
    query = page.text_content("dialog[open].proof details pre")
    assert "SELECT" in query or "findings/" in query
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("v")
    page.wait_for_selector(".story + .rows-more", timeout=20_000)

    marks = page.locator(".proof-mark i").all_inner_texts()
    assert len(marks) > 2 and "?" not in marks, marks


def action(console, **otherwise):
    """One that waits for a yes, as the API tells of it."""
    pay = {"kind": "service", "name": "pay"}
    call = {"executor": "process", "operation": "restart", "target": pay, "arguments": {"replica": "pay-2\u202e"}}
    back = {**call, "operation": "start", "arguments": {"mode": "as it was"}}
    changes = [{"what": "replica", "before": "running", "after": "restarted"}]
    return {
        "id": "a1", "case": console.case, "playbook": "restart-service", "title": "Restart pay", "target": pay,
        "risk": "safe", "state": "awaiting_approval", "predicted": "It heals.", "digest": "d" * 64, "updated_ms": 1,
        "steps": [{"call": call, "changes": changes, "undo": [back], "state": "planned"}, {"call": call, "undo": []}],
        "expect": {"of": "users", "within_s": 60, "hold_s": 10}, "reasons": [], "story": [], **otherwise,
    }  # fmt: skip


def told_of(visit, *actions, cursor=""):
    """Have the API tell of these actions, whichever is asked for."""
    page = {"items": list(actions), "cursor": cursor}
    visit.page.route("**/api/v1/actions?*", lambda route: route.fulfill(json=page))


def test_an_action_is_approved_as_it_was_shown(room, visit, console):
    """With a key and a second look at every call in full; what is sent names the digest of what stands there."""
    asked = []

    def answer(route):
        asked.append(route.request.post_data)
        if len(asked) == 1:
            route.fulfill(status=503, json={"detail": "The store does not answer."})
        else:
            route.fulfill(json=action(console, state="approved"))

    visit.expected = ("503",)
    told_of(visit, action(console))
    visit.page.route("**/api/v1/actions/a1/approve", answer)
    page = visit.go(f"/cases/{console.case}")
    page.wait_for_selector(".action .diff")
    page.keyboard.press("Shift+A")
    page.wait_for_selector("dialog[open] .diff")
    first, second = page.locator("dialog .step").all_inner_texts()
    assert "process.restart service/pay replica=pay-2\n" in first  # and nothing that turns it round
    assert 'process.start service/pay mode="as it was"' in first
    assert "cannot be taken back" in second
    page.keyboard.press("Enter")
    page.wait_for_selector(".toast.bad")
    assert page.locator("dialog[open]").count() == 1
    page.click("dialog button.primary")
    page.wait_for_selector("dialog", state="detached")

    assert [json.loads(body) for body in asked] == [{"digest": "d" * 64}] * 2


def test_what_changes_before_the_yes_is_looked_at_again(room, visit, console):
    """The dialog does not become another under the finger: it says so, and shows the new one when asked to."""
    shown = action(console)
    told_of(visit, shown)
    page = visit.go("/actions")
    page.wait_for_selector(".action")
    page.keyboard.press("Shift+A")
    page.wait_for_selector("dialog[open] .step")
    told_of(visit, action(console, digest="e" * 64, steps=shown["steps"][:1]))
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_selector("dialog .clash")
    assert page.locator("dialog .step").count() == 2
    assert page.locator("dialog button.primary").is_disabled()
    page.click("dialog .clash button")

    page.wait_for_selector("dialog button.primary:not([disabled])")
    assert page.locator("dialog .step").count() == 1


def test_what_can_be_stopped_or_undone_is_offered(room, visit, console):
    """By its state and by what was done; nothing to take back, no button; over only once someone has judged it."""
    first, _ = action(console)["steps"]
    done = [{**first, "state": "done"}]
    rows = (
        ("approved", {"held": "As many actions as may be are under way."}, ["Refuse"]),
        ("executing", {"steps": done}, ["Undo"]),
        ("verifying", {}, []),
        ("helped", {"steps": done}, ["Undo"]),
        ("unverified", {"steps": [{**first, "state": "done", "undo": []}]}, []),
        ("escalated", {"steps": done}, ["Undo"]),
        ("escalated", {"verdict": "bad"}, []),
    )
    told_of(visit, *(action(console, id=f"a{n}", title=f"No {n}", state=state, **more)
                     for n, (state, more, _) in enumerate(rows)))  # fmt: skip
    page = visit.go(f"/cases/{console.case}")
    page.wait_for_selector(".action")
    assert page.locator(".action").first.get_attribute("aria-label") == "No 5"
    for title in page.locator(".action.over button").all_inner_texts():
        page.click(f".action.over button:text-is('{title}')")
    offered = [page.locator(f".action[aria-label='No {n}'] .action-deeds button").all_inner_texts() for n in range(7)]

    assert offered == [buttons for _, _, buttons in rows]
    assert "Waits: As many" in page.inner_text(".action[aria-label='No 0']")
    assert "4 open, 7 in all" in page.inner_text(".case-todo")


def test_who_may_not_decide_is_told_who_may(room, visit, console):
    """No button and no key; an action without a word on it is anyone's who responds."""
    me = {"name": "anna", "kind": "user", "tenant": "main", "permissions": ["read", "respond"]}
    visit.page.route("**/api/v1/me", lambda route: route.fulfill(json=me))
    in_time = time.time_ns() // 1_000_000 + 720_000
    told_of(visit, action(console, needs="operate", expires_ms=in_time), cursor="more")
    page = visit.go("/actions")
    assert "An operator approves this" in page.inner_text(".action")
    assert "in 12 min" in page.inner_text(".action")
    assert "Open (1+)" in page.inner_text(".chips")
    page.keyboard.press("Shift+A")
    assert page.locator("dialog, .action button.primary").count() == 0
    told_of(visit, action(console, needs=""))
    page.evaluate("dispatchEvent(new Event('online'))")

    page.wait_for_selector(".action button.primary")


def test_a_case_says_what_it_does_not_know(room, visit, console):
    """No actions, and the story as it was: both are told as failures, never as nothing to do."""
    visit.expected = ("503",)

    def fail(route):
        route.fulfill(status=503, json={"detail": "The store does not answer."})

    visit.page.route("**/api/v1/actions?*", fail)
    page = visit.go(f"/cases/{console.case}")
    page.wait_for_selector(".case-todo [role=alert]")
    page.wait_for_selector(".story .said")
    assert "Nothing is proposed" not in page.inner_text("main")
    page.route("**/story?*", fail)
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_selector(".case-story [role=alert]")

    assert page.locator(".story .said").count() > 2


def test_what_keeps_it_from_acting_is_told_everywhere(room, visit, console):
    """Who stopped it and why, on every page at once; a lifted stop is no thaw; reasons are asked for and kept."""
    page = visit.go("/")
    try:
        console.api.post("/autonomy", json={"stopped": True, "frozen": True, "reason": "cables"}).raise_for_status()
        page.wait_for_selector(".halted >> text=Everything is stopped", timeout=6_000)
        assert "cables" in page.inner_text(".halted")
        told_of(visit)
        page = visit.turn(f"/cases/{console.case}")
        page.wait_for_selector(".case-todo >> text=Everything is stopped")
        page.click(".halted a")
        page.wait_for_url("**/autonomy")
        page.click("main >> text=Resume")
        page.fill("dialog input", "moved")
        page.keyboard.press("Enter")
        page.wait_for_selector(".toast >> text=still frozen")
        page.wait_for_selector(".halted >> text=Everything is stopped", state="detached")

        assert "moved" in page.inner_text("main .card >> nth=0")
        policy = console.api.get("/autonomy").json()["policy"]
        assert (policy["stopped"], policy["stopped_by"], policy["stopped_reason"]) == (False, "anna", "moved")
        assert (policy["frozen"], policy["frozen_reason"]) == (True, "cables")
    finally:
        console.api.post("/autonomy", json={"stopped": False, "frozen": False}).raise_for_status()


def test_a_level_that_was_not_set_is_not_shown(room, visit):
    """On a phone the list goes back to what holds when the server refuses, and moves when it does not."""
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.expected = ("503",)
    refused = {"detail": "The store does not answer."}
    page = visit.go("/autonomy")
    chosen = page.locator("select[aria-label='restart-service']")
    before = chosen.input_value()
    page.route("**/api/v1/autonomy", lambda route: route.fulfill(status=503, json=refused))
    chosen.select_option("suggest")
    page.click(f"{RESTART} >> text=Apply")
    page.wait_for_selector(".toast.bad")
    assert chosen.input_value() == before != "suggest"
    page.unroute("**/api/v1/autonomy")
    chosen.select_option("suggest")
    page.click(f"{RESTART} >> text=Apply")
    page.wait_for_function("() => document.querySelector('select[aria-label=restart-service]').value === 'suggest'")
    page.wait_for_selector(f"{RESTART} >> text=set by anna on")
    chosen.select_option(before)
    page.click(f"{RESTART} >> text=Apply")

    page.wait_for_selector(".toast >> text=ask")


def test_an_arrow_key_chooses_a_level_and_sets_none(room, visit, console):
    """It is set by a button of its own; the focus stays where it was."""

    def levels():
        return console.api.get("/autonomy").json()["policy"]["levels"].get("restart-service")

    console.api.post("/autonomy", json={"levels": {"restart-service": "ask"}}).raise_for_status()
    page = visit.go("/autonomy")
    posts = []
    page.on("request", lambda asked: posts.append(asked.url) if asked.method == "POST" else None)
    page.focus(f"{RESTART} >> input:checked")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(f"{RESTART} >> text=not set yet: act")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f"{RESTART} >> text=Apply", state="detached")
    assert (levels(), posts) == ("ask", [])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".toast >> text=restart-service may now: suggest")
    page.wait_for_selector(f"{RESTART} >> text=Apply", state="detached")

    assert levels() == "suggest"
    assert page.evaluate("document.activeElement.ariaLabel") == "restart-service: suggest"


def test_a_playbook_is_written_with_its_faults_named(room, visit):
    """Each fault has its line; a text that fits is tried on past cases, and can be signed off."""
    page = visit.go("/playbooks/restart-service")
    page.wait_for_selector("main .s-good")
    area = page.locator("textarea.code")
    text = area.input_value()
    area.fill(text.replace("risk: guarded", "risk: harmless"))
    page.wait_for_selector(".faults li")
    assert "Line 5" in page.inner_text(".faults")
    assert page.locator(".gutter li.bad").inner_text() == "5"
    assert page.locator("button.primary").is_disabled()
    area.fill(text.replace("name: restart-service", "name: my-restart"))
    page.wait_for_selector("main .backtest")
    page.keyboard.press("Control+s")

    page.wait_for_url("**/playbooks/my-restart")


def test_a_post_mortem_is_read_and_written(room, visit, console):
    """As a page, with no markup of it left; what someone writes is kept."""
    page = visit.go(f"/cases/{console.case}/post-mortem")
    page.wait_for_selector(".prose h3")
    assert "##" not in page.inner_text(".prose")
    page.keyboard.press("e")
    area = page.locator("textarea.document")
    area.fill(area.input_value() + "\n## Learned\n\n- **All** of it, \\<b>really\\</b>\n")
    with page.expect_response(lambda answer: "/post-mortem?" in answer.url):
        page.evaluate("dispatchEvent(new Event('online'))")  # the line came back: everything is asked for again
    assert "## Learned" in area.input_value()
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".prose h3:has-text('Learned')")

    assert "All of it, <b>really</b>" in page.inner_text(".prose")


def test_what_is_written_outlives_the_page(room, visit, console):
    """Links, keys and the way back: a draft is there again, as long as it is neither kept nor discarded."""
    page = visit.go("/playbooks/restart-service")
    area = page.locator("textarea.code")
    text = area.input_value()
    area.fill(text + "\n# mine\n")
    page.click("nav.side a[href='/cases']")
    page.wait_for_url("**/cases")
    visit.turn(f"/cases/{console.case}/post-mortem")
    page.wait_for_selector(".prose h3")
    page.keyboard.press("e")
    page.locator("textarea.document").fill("## Half a thought")
    page.click("main >> text=Its case")
    page.wait_for_selector(".case-line")
    page.go_back()
    page.wait_for_selector("textarea.document")
    assert page.locator("textarea.document").input_value() == "## Half a thought"
    page.click("text=Discard changes")
    page.wait_for_function("() => document.querySelector('textarea.document').value.length > 100")
    visit.turn("/playbooks/restart-service")
    page.wait_for_selector("main .s-good")
    assert area.input_value().endswith("# mine\n")
    page.click("text=Discard changes")

    assert area.input_value() == text


def test_two_who_write_one_post_mortem(room, visit, console):
    """Who comes second is shown the first one's, and chooses; what is typed while it is kept stays."""
    visit.expected = ("409", "ERR_FAILED")
    path = f"/cases/{console.case}/post-mortem"
    page = visit.go(path)
    page.wait_for_selector(".prose h3")
    page.keyboard.press("e")
    area = page.locator("textarea.document")
    begun = console.api.get(path).json()
    mine = begun["markdown"] + "\nMine.\n"
    area.fill(mine)
    theirs = {"markdown": begun["markdown"] + "\nTheirs.\n", "version": begun["version"]}
    console.api.put(path, json=theirs).raise_for_status()
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".clash")
    assert area.input_value() == mine
    page.click(".clash summary")
    assert "Theirs." in page.inner_text(".clash .prose")
    held = []

    def hold(route):
        held.append(route)

    page.route(f"**/api/v1{path}", hold)
    page.click("text=Keep mine on top of theirs")
    while not held:
        page.wait_for_timeout(50)
    area.fill(mine + "And more.\n")
    held[0].continue_()
    page.wait_for_selector(".clash", state="detached")
    assert area.input_value().endswith("And more.\n")
    assert console.api.get(path).json()["markdown"] == mine
    page.unroute(f"**/api/v1{path}")
    page.route("**/post-mortem.pdf?*", lambda route: route.abort())
    page.click("text=PDF")
    page.wait_for_selector(".toast.bad >> text=Cerebro does not answer.")
    page.keyboard.press("Escape")
    page.click("button:has-text('Save')")
    page.wait_for_selector("textarea.document", state="detached")

    assert console.api.get(path).json()["markdown"] == mine + "And more.\n"
    assert "And more." in page.inner_text("main .prose")


def test_rules_are_tried_before_they_are_kept(room, visit):
    """A rule that cannot be read is told with its line; one that can is tried on last week's findings."""
    visit.expected = ("400",)
    page = visit.go("/correlation")
    page.wait_for_selector("text=findings they would have made")
    page.fill("textarea.code", "map: {hops: 9}")
    page.wait_for_selector("main [role=alert]")
    assert page.locator("button.primary").is_disabled()
    page.fill("textarea.code", "map: {hops: 1, within: 2m}")

    page.wait_for_selector("button.primary:not([disabled])")
    page.click("nav a[href='/forecast']")
    page.go_back()
    page.wait_for_selector("main .state.warm")
    assert page.input_value("textarea.code") == "map: {hops: 1, within: 2m}"
    page.click("main .dialog-foot button:not(.primary)")
    page.wait_for_selector("main .state.warm", state="detached")


def test_a_map_of_500_can_be_read(room, visit):
    """Many alike are one until opened; what hurts stands alone; a search leads to a neighbourhood with an address."""

    def key(name):
        return {"kind": "service", "name": name}

    names = ["gateway", *(f"shop-{n}" for n in range(249)), *(f"stock-{n}" for n in range(250))]
    sick = {"shop-7": "critical", "stock-9": "major"}
    entities = [{"key": key(name), "health": sick.get(name, "good"), "severity": 0} for name in names]
    shops, stocks = names[1:250], names[250:]
    calls = [("gateway", shop) for shop in shops] + list(zip(shops, stocks, strict=False))
    relations = [{"source": key(one), "target": key(other), "kind": "calls", "weight": 1} for one, other in calls]
    body = {"at_ms": 1, "entities": entities, "relations": relations, "total_count": 500}
    visit.page.route("**/api/v1/topology?*", lambda route: route.fulfill(json=body))
    page = visit.go("/topology")
    page.wait_for_selector(".map .node")

    assert page.locator(".map .node").count() < 60
    assert page.locator(".map .n-critical:has-text('shop-7')").count() == 1
    page.fill("main .search", "stock-77")
    page.keyboard.press("Enter")
    page.wait_for_url("**/topology?focus=service%2Fstock-77")
    page.wait_for_selector(".map .node.chosen:has-text('stock-77')")
    page.click(".chips >> text=1")
    page.wait_for_url("**hops=1")
    assert page.locator(".map .node").count() == 2
    page.locator(".time-slider input").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**at=*")


def test_a_drill_is_followed_as_it_is_told(room, visit, console):
    """Nothing at first but how to begin one; then each step as it comes, with its clock, also beside the case."""
    page = visit.go("/drills")
    page.wait_for_selector("text=No drill was played yet")
    began_ms = time.time_ns() // 1_000_000 - 60_000
    told = {"phase": "quiet", "began_ms": began_ms, "until_ms": began_ms + 90_000}
    console.api.put("/drills/d1", json=told).raise_for_status()
    page.wait_for_selector("text=Something breaks in")
    assert page.locator(".stations .awaited").count() == 8
    steps = [
        {"at_ms": began_ms + 43_000, "what": "finding", "text": "<img src=x onerror=alert(3)>", "finding": "f1"},
        {"at_ms": began_ms + 47_000, "what": "case", "text": "Cart fails", "case": console.case},
    ]
    fault = {
        "kind": "bad_flag",
        "title": "A flag",
        "entity": "service/cart",
        "phase": "fault",
        "fault_ms": began_ms + 40_000,
    }
    felt = [{"at_ms": began_ms + 41_000 + n, "error_share": 0.01 * n, "p95_ms": 100.0} for n in range(5)]
    console.api.put("/drills/d1", json={**told, **fault, "steps": steps, "felt": felt}).raise_for_status()
    page.wait_for_selector(".stations .met:has-text('Case opened'):has-text('+7 s')")

    assert page.locator(".stations .met").count() == 3
    assert page.locator("#app img").count() == 0
    visit.turn("/").click(".drill-strip")
    page.wait_for_url("**/drills")
    visit.turn(f"/cases/{console.case}").wait_for_selector(".drill-strip:has-text('A feature flag')")
    over = {**told, **fault, "phase": "over", "steps": steps, "summary": ["It named no cause."]}
    console.api.put("/drills/d1", json=over).raise_for_status()
    page.wait_for_selector(".drill-strip", state="detached")
    visit.turn("/drills").wait_for_selector("text=It named no cause.")
    assert page.locator(".stations .missed").count() == 5


def test_people_work_on_a_case(room, visit, console):
    """Acknowledge with a key, take it, comment; everything is in the timeline and in the API."""
    page = visit.go(f"/cases/{console.case}")
    page.keyboard.press("a")
    page.wait_for_selector(".timeline >> text=acknowledged")
    page.keyboard.press("m")
    page.wait_for_selector(".timeline >> text=assigned")
    page.keyboard.press("c")
    page.keyboard.type("Looking at <b>it</b>.")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".timeline >> text=Looking at <b>it</b>.")
    found = console.api.get(f"/cases/{console.case}").json()

    assert (found["acknowledged_by"], found["assignee"], found["state"]) == ("anna", "anna", "investigating")
    assert [line["text"] for line in found["timeline"] if line["kind"] == "commented"] == ["Looking at <b>it</b>."]
    assert page.locator(".deeds >> text=Acknowledge").count() == 0


def test_what_others_do_arrives_by_itself(room, visit, console):
    """A comment made elsewhere comes over the WebSocket, long before the page would ask again."""
    page = visit.go(f"/cases/{console.case}")
    page.wait_for_selector(".link-state .dot.live")
    console.api.post(f"/cases/{console.case}/comment", json={"text": "from the other side"}).raise_for_status()

    page.wait_for_selector(".timeline >> text=from the other side", timeout=6_000)


def test_the_keyboard_goes_everywhere(room, visit, console):
    """Chords, rows, help, palette, search."""
    page = visit.go("/")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/cases")
    visit.settle()
    page.keyboard.press("j")
    page.wait_for_selector("tr.chosen")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/*")
    visit.settle()
    page.wait_for_selector("text=Acknowledge")  # the page's own keys are there with its buttons
    page.keyboard.press("?")
    assert "Acknowledge" in page.inner_text("dialog") or "Copy link" in page.inner_text("dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("Control+k")
    page.wait_for_selector("dialog.palette input")
    page.keyboard.type("budget")
    page.keyboard.press("Enter")
    page.wait_for_url("**/budget")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/entities")
    visit.settle()
    page.keyboard.press("/")
    page.keyboard.type("checkout")
    page.wait_for_url("**/entities?q=checkout")


def test_keys_work_in_the_russian_layout(room, visit, console):
    """A key is the letter that a Latin layout has on it, in chords and with Shift and Ctrl, too; signs stay signs."""
    told_of(visit, action(console))
    page = visit.go("/")

    def pressed(key, code, **held):
        """Press it; whether that did anything."""
        return not page.evaluate(PRESS, {"key": key, "code": code, **held})

    pressed("п", "KeyG")
    assert pressed("с", "KeyC")
    page.wait_for_url("**/cases")
    visit.settle()
    page.wait_for_selector("main tbody tr")
    assert pressed("о", "KeyJ")
    page.wait_for_selector("tr.chosen")
    assert pressed("л", "KeyK", ctrlKey=True)
    page.wait_for_selector("dialog.palette")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert not pressed(".", "Slash")  # a full stop there
    assert pressed("?", "Digit7", shiftKey=True)
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page = visit.turn("/playbooks/restart-service")
    page.wait_for_selector("textarea")
    assert pressed("ы", "KeyS", ctrlKey=True)
    page = visit.turn("/actions")
    page.wait_for_selector(".action kbd")
    assert not pressed("ф", "KeyA")
    assert pressed("Ф", "KeyA", shiftKey=True)

    page.wait_for_selector("dialog[open] >> text=Restart pay")


def test_theme_and_session_survive_a_reload(room, stranger):
    """The refresh cookie brings the session back; the chosen theme is kept."""
    visit = stranger
    visit.login()
    visit.settle()
    page = visit.go("/cases")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("\\")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.reload()
    visit.settle()

    assert page.inner_text("main h1") == "Cases"
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("document.cookie") == ""  # no script can read what brings it back
    assert "token" not in page.evaluate("JSON.stringify(Object.entries(localStorage))").lower()


def test_the_console_speaks_russian(room, stranger, console):
    """Switched before the login, and kept on every page; longer words still fit a phone."""
    visit, page = stranger, stranger.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("text=Русский")
    page.wait_for_selector("text=Пароль")
    visit.login()
    page.wait_for_selector("h1:has-text('Обзор')")
    for address in addresses(console):
        page = visit.turn(address)

        assert KEY.findall(page.inner_text("#app")) == [], address
        assert re.search("[а-яё]{4}", page.inner_text("main")), address
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        assert page.evaluate("document.querySelector('.bar').scrollWidth") <= 390
    assert page.evaluate("document.documentElement.lang") == "ru"
    title = visit.turn(f"/cases/{console.case}").inner_text("main h1")
    assert "сервис checkout" in title.lower()  # it jumped, and on a busy machine it fell silent since


def test_hostile_names_are_shown_as_text(room, visit):
    """Tags in labels stay letters, on every page that shows them; a dialog would be a fault."""
    page = visit.go("/cases")
    page.click("a.strong:has-text('<img src=x')")
    page.wait_for_selector(".chart canvas")
    assert "<img src=x onerror=alert(1)>" in page.inner_text("h1")
    page.click(".entities-line a")
    page.wait_for_selector(".spark-row")

    assert "<script>alert(2)</script>" in page.inner_text("main")
    for address in ("/", "/topology", "/entities", "/series?q=onerror", "/findings"):
        visit.go(address)
        assert page.locator("#app img, #app script").count() == 0


def test_leaving_ends_the_session(room, stranger):
    """After logging out the login stands there, and stays after a reload."""
    stranger.login()
    page = stranger.settle()
    page.click(".menu-wrap > button")
    page.click("text=Log out")
    page.wait_for_selector("input[name=password]")
    page.reload()

    page.wait_for_selector("input[name=password]")


def test_a_lost_connection_is_seen(room, visit):
    """Said in words at the top of the page, and taken back when it returns."""
    visit.expected = ("ERR_INTERNET_DISCONNECTED",)
    page = visit.go("/")
    page.wait_for_selector(".link-state .dot.live")
    page.context.set_offline(True)
    page.wait_for_selector("main .lost")
    page.context.set_offline(False)

    page.wait_for_selector("main .lost", state="detached", timeout=15_000)


def test_a_key_is_made_where_it_is_needed(room, visit, console):
    """On the page that tells how to send, filled into the lines; listed, and revoked."""
    page = visit.go("/connect")
    page.click("text=Make a key")
    page.wait_for_function("() => /credentials: cbr_/.test(document.querySelector('.snippet pre').innerText)")
    page = visit.go("/keys")
    row = page.locator("tr:has-text('prometheus-')")
    row.locator("button").click()
    page.click("dialog button.danger")

    row.wait_for(state="detached")


def test_a_silence_is_made_and_ended(room, visit):
    """One that names nothing is refused in the server's words; one that does is listed and can be ended."""
    visit.expected = ("400",)
    page = visit.go("/silences")
    page.click("text=New silence")
    page.click("dialog button.primary")
    page.wait_for_selector(".toast.bad")
    page.fill("dialog input[name=entity]", "host/web-7")
    page.click("dialog button.primary")
    page.wait_for_selector("td:has-text('host/web-7')")
    page.click("text=End now")

    page.wait_for_selector("td:has-text('host/web-7')", state="detached")


def test_people_are_let_in_and_out(room, visit):
    """Added, changed, removed."""
    page = visit.go("/users")
    page.click("text=Add a person")
    page.fill("dialog input[name=login]", "boris")
    page.fill("dialog input[name=password]", "another long sentence")
    page.click("dialog button.primary")
    row = page.locator("tr:has-text('boris')")
    row.wait_for()
    row.locator("text=Change").click()
    page.select_option("dialog select", "viewer")
    page.click("dialog button.primary")
    row.locator("text=Viewer").wait_for()
    row.locator("text=Remove").click()
    page.click("dialog button.danger")

    row.wait_for(state="detached")


def test_the_examples_of_sql_run(room, visit):
    """Each as it stands; a wrong query is told in the store's words."""
    visit.expected = ("400",)
    page = visit.go("/sql")
    examples = page.locator("button.bare.small")
    assert examples.count() >= 3
    for index in range(examples.count()):
        examples.nth(index).click()
        with page.expect_response("**/api/v1/sql") as answered:
            page.click("button.primary")
        assert answered.value.ok, examples.nth(index).inner_text()
    page.fill("textarea", "SELECT nothing FROM nowhere")
    page.click("button.primary")
    page.wait_for_selector("main [role=alert]")
    assert "nowhere" in page.inner_text("main [role=alert]")


def test_an_agents_page_is_drawn_from_its_manifest(room, visit, console):
    """Panels are data: a question to the API and a way to show the answer. Addresses elsewhere are not asked."""
    answer = console.api.get("/agents").json()
    panels = [
        {"kind": "figure", "title": "Watched", "source": "/api/v1/budget", "field": "watching", "label": "series"},
        {"kind": "table", "title": "Cases", "source": "/api/v1/cases", "columns": [{"field": "title", "title": "T"}]},
        {"kind": "text", "title": "Note", "text": "<b>plain</b>"},
        {"kind": "figure", "title": "Elsewhere", "source": "https://example.org/x", "field": "x"},
        {"kind": "hologram", "title": "Later"},
    ]
    answer["items"][0]["pages"] = [{"path": "support/series", "title": "Watched series", "panels": panels}]
    body = json.dumps(answer)
    visit.page.route("**/api/v1/agents", lambda route: route.fulfill(body=body, content_type="application/json"))
    visit.page.goto(f"{visit.url}/agents/support/series")
    page = visit.page
    page.wait_for_selector("td:has-text('checkout')")

    assert page.inner_text("main h1") == "Watched series"
    assert "<b>plain</b>" in page.inner_text("main")
    assert "hologram" in page.inner_text("main")
    assert page.locator("nav a[href='/agents/support/series']").count() == 1
