"""`cerebro actions`, `cerebro playbooks`, `cerebro autonomy`: what is done about cases, how, and how freely."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cerebro.cli.ask import Json, Key, Url, client, moment
from cerebro.cli.out import as_json, clean, complain, duration, failures, say, table
from cerebro.spine.errors import Invalid, NotFound, Unauthenticated, Unavailable

actions = typer.Typer(help="What is done about cases: shown first, then approved, done, verified, undone.")
playbooks = typer.Typer(help="What may be done about which cause.", no_args_is_help=True)
autonomy = typer.Typer(help="What Cerebro may do by itself.")
LEVELS = ("suggest", "ask", "act", "silent")
DAYS, DAYS_MAX = 30, 366  # of past cases
Reason = Annotated[str, typer.Option(help="Why; kept in the audit log.")]
Name = Annotated[str, typer.Argument(help="As `cerebro playbooks list` prints it.")]
Id = Annotated[str, typer.Argument(help="The action's id, as `cerebro actions` prints it.")]


@actions.callback(invoke_without_command=True)
def list_actions(  # noqa: PLR0917  typer names them
    context: typer.Context,
    case: Annotated[str, typer.Option("--case", help="Of this case only.")] = "",
    state: Annotated[str, typer.Option("--state", help="One state, or several with commas.")] = "",
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """Without a command: the newest actions."""
    if context.invoked_subcommand:
        return
    with failures():
        answer = client(url, key).get("/api/v1/actions", case=case, state=state, limit=50)
        if json:
            as_json(answer)
            return
        rows = [[each["id"], each["state"], f"{each['title']}, {_entity(each['target'])}"] for each in answer["items"]]
        table(["action", "state", "what"], rows, "Nothing has been proposed yet.")


@actions.command()
def show(action_id: Id, url: Url = "", key: Key = "", json: Json = False) -> None:
    """One action: what would change, what it can cost, how it is checked and taken back, its story."""
    with failures():
        found = client(url, key).get(f"/api/v1/actions/{action_id}")
        if json:
            as_json(found)
        else:
            _say_action(found)


@actions.command()
def approve(
    action_id: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = "",
    key: Key = "",
) -> None:
    """Look at it once more, and say yes to exactly that."""
    with failures():
        way = client(url, key)
        found = way.get(f"/api/v1/actions/{action_id}")
        _say_action(found)
        if not yes and not typer.confirm("Shall this be done?"):
            raise SystemExit(1)
        way.post(f"/api/v1/actions/{action_id}/approve", {"digest": found["digest"]})
        say("Approved.")


@actions.command()
def refuse(action_id: Id, reason: Reason = "", url: Url = "", key: Key = "") -> None:
    """Say no."""
    with failures():
        client(url, key).post(f"/api/v1/actions/{action_id}/refuse", {"reason": reason})
        say("Refused.")


@actions.command()
def undo(action_id: Id, url: Url = "", key: Key = "") -> None:
    """Have it taken back."""
    with failures():
        client(url, key).post(f"/api/v1/actions/{action_id}/undo", {})
        say("It is being taken back.")


@actions.command()
def why(action_id: Id, url: Url = "", key: Key = "") -> None:
    """Why it was done, from its record."""
    with failures():
        for line in client(url, key).get(f"/api/v1/actions/{action_id}/why"):
            say(f"- {clean(line)}")


@actions.command()
def propose(  # noqa: PLR0917  typer names them
    case: Annotated[str, typer.Argument(help="The case's id.")],
    playbook: Name,
    target: Annotated[str, typer.Argument(help="kind/name")],
    parameters: Annotated[list[str] | None, typer.Argument(help="name=value …")] = None,
    url: Url = "",
    key: Key = "",
) -> None:
    """Be shown what a playbook would do to a target; approve it to have it done."""
    with failures():
        named = dict(_pair(words) for words in parameters or ())
        wish = {"case": case, "playbook": playbook, "target": target, "parameters": named}
        found = client(url, key).post("/api/v1/actions", wish)
        _say_action(found)
        say(clean(f"Approve it: cerebro actions approve {found['id']}"))


@playbooks.command("list")
def list_playbooks(url: Url = "", key: Key = "", json: Json = False) -> None:
    """Every playbook with its level and its record here."""
    with failures():
        answer = client(url, key).get("/api/v1/playbooks")
        if json:
            as_json(answer)
            return
        rows = [
            [p["name"], p["title"], p["risk"], p["level"], p["record"]["helped"], p["record"]["not_helped"]]
            for p in answer["items"]
        ]
        table(["playbook", "what", "risk", "level", "helped", "did not"], rows, "")


@playbooks.command()
def read(name: Name, url: Url = "", key: Key = "") -> None:
    """A playbook's text as it counts here, to start one of your own from; without a Cerebro, the shipped one's."""
    from cerebro.casework.playbooks.read import shipped, shipped_text

    with failures():
        try:
            text = client(url, key).get(_address(name, "text"))["text"]
        except (Unavailable, Unauthenticated) as error:
            is_refused = isinstance(error, Unauthenticated) and key != ""
            if is_refused or name not in shipped():
                raise
            complain(clean(f"{error.detail} This is the text that comes with Cerebro; yours may be another."))
            text = shipped_text(name)
        say(text.removesuffix("\n"))


@playbooks.command()
def validate(
    file: Annotated[list[Path], typer.Argument(help="YAML files.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Read playbooks, and name the line of every fault; needs no running Cerebro."""
    from cerebro.casework.playbooks.read import BadPlaybook, outside
    from cerebro.casework.playbooks.read import read as read_text

    with failures():
        faults, left = [], set()
        for each in file:
            try:
                text = _text(each)
                left |= {f"{one.operation} ({one.executor})" for one in outside(read_text(text), text)}
            except BadPlaybook as error:
                faults += [(str(each), fault) for fault in error.faults]
        if json:
            as_json({"faults": [{"file": f, "line": e.line, "text": e.what, "mend": e.mend} for f, e in faults]})
        for name, fault in [] if json else faults:
            say(clean(f"{name}:{fault.line}: {fault.what} {fault.mend}"))
        if faults:
            raise SystemExit(1)
        if not json:
            say(f"{len(file)} playbook{'s' if len(file) > 1 else ''} can be used as written.")
        if left and not json and not faults:
            say(f"Not checked, for only a running Cerebro knows what its doors can do: {', '.join(sorted(left))}.")


@playbooks.command()
def add(
    file: Annotated[Path, typer.Argument(help="A YAML file.")],
    replace: Annotated[bool, typer.Option("--replace", help="Have it take the place of the one of its name.")] = False,
    url: Url = "",
    key: Key = "",
) -> None:
    """Sign off a playbook of your own."""
    with failures():
        way, text = client(url, key), _text(file)
        checked = way.post("/api/v1/playbooks/check", {"text": text, "backtest": False})
        if checked["faults"]:
            first = checked["faults"][0]
            raise Invalid(f"Line {first['line']}: {first['text']}", first["mend"])
        there, whose = _there(way, checked["name"])
        is_other = there not in ("", text)
        if is_other and not replace:
            mend = f"Write another `name` to keep both, or say so: cerebro playbooks add {file} --replace"
            raise Invalid(f"It would take the place of {whose}.", mend)
        kept = way.post("/api/v1/playbooks", {"text": text, "replaces": there})
        said = f"; it takes the place of {whose}" if is_other else ""
        say(clean(f"{kept['name']} version {kept['version']} is signed off; its level is {kept['level']}{said}."))


@playbooks.command()
def backtest(
    name: Annotated[str, typer.Argument(help="A playbook's name, or a YAML file.")],
    *,
    days: Annotated[int, typer.Option(help="Of past cases, at most.", min=1, max=DAYS_MAX)] = DAYS,
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """What it would have done on past cases, and what became of its like there; a file works too."""
    with failures():
        way, file = client(url, key), Path(name)
        if file.suffix in (".yaml", ".yml"):
            checked = way.post("/api/v1/playbooks/check", {"text": _text(file), "days": days})
            found = checked["backtest"] or {}
            if checked["faults"]:
                raise Invalid(f"{name} is no playbook.", f"cerebro playbooks validate {name}")
        else:
            found = way.get(f"/api/v1/playbooks/{name}/backtest", days=days)
        if json:
            as_json(found)
        else:
            _say_backtest(found)


@autonomy.callback(invoke_without_command=True)
def show_autonomy(context: typer.Context, url: Url = "", key: Key = "", json: Json = False) -> None:
    """Without a command: what Cerebro may do by itself, playbook by playbook."""
    if context.invoked_subcommand:
        return
    with failures():
        answer = client(url, key).get("/api/v1/autonomy")
        if json:
            as_json(answer)
            return
        policy = answer["policy"]
        for switch, what in (("stopped", "Everything is stopped"), ("frozen", "Frozen: nothing is done unasked")):
            if policy[switch]:
                since = f"by {policy[f'{switch}_by']}, since {moment(policy[f'{switch}_ms'])}"
                say(clean(f"{what}, {since}. {policy[f'{switch}_reason']}".rstrip()))
        rows = [[row["playbook"], row["risk"], row["level"], _because(row)] for row in answer["items"]]
        table(["playbook", "risk", "level", "because of"], rows, "")


@autonomy.command("set")
def set_level(
    playbook: Name,
    level: Annotated[str, typer.Argument(help="suggest, ask, act or silent.")],
    url: Url = "",
    key: Key = "",
) -> None:
    """Set a playbook's level: suggest, ask, act or silent."""
    with failures():
        if level not in LEVELS:
            raise Invalid(f"There is no level {level!r}.", f"Write one of: {', '.join(LEVELS)}.")
        client(url, key).post("/api/v1/autonomy", {"levels": {playbook: level}})
        say(f"{playbook}: {level}.")


@autonomy.command()
def freeze(reason: Reason = "", url: Url = "", key: Key = "") -> None:
    """Nothing is done unasked from now on; approvals still work."""
    _turn(url, key, {"frozen": True, "reason": reason}, "Frozen. Go on with: cerebro autonomy thaw")


@autonomy.command()
def thaw(url: Url = "", key: Key = "") -> None:
    """End the freeze and the stop."""
    _turn(url, key, {"frozen": False, "stopped": False}, "Cerebro acts again as its levels allow.")


@autonomy.command()
def stop(reason: Reason = "", url: Url = "", key: Key = "") -> None:
    """The global stop: nothing is done any more, approved or not; what is half done waits, its undo too."""
    _turn(url, key, {"stopped": True, "reason": reason}, "Stopped. Go on with: cerebro autonomy thaw")


def _there(way: Any, name: str) -> tuple[str, str]:
    """The text of the playbook that has this name now, and whose it is in words; both empty where there is none."""
    try:
        text = way.get(_address(name, "text"))["text"]
        found = way.get(_address(name))
    except NotFound:
        return "", ""
    if found["own"]:
        return text, f"your {name}, version {found['version']}"
    return text, f"{name}, version {found['version']}, that comes with Cerebro"


def _address(name: str, *parts: str) -> str:
    return "/".join(["/api/v1/playbooks", quote(name, safe=""), *parts])


def _turn(url: str, key: str, body: dict[str, object], said: str) -> None:
    with failures():
        client(url, key).post("/api/v1/autonomy", body)
        say(said)


def _because(row: Any) -> str:
    """Why a playbook has its level, and what a rule keeps it from now."""
    return f"{row['why']}; lowered now: {row['bound']}" if row["bound"] else str(row["why"])


def _say_backtest(found: Any) -> None:
    if not found["case_count"]:
        say("No past case of that time has a cause: there is nothing to try it on.")
        return
    say(
        f"Of {found['case_count']} cases, opened from {moment(found['from_ms'])} to {moment(found['to_ms'])},"
        f" it would have been thought of for {found['ran']};"
        f" the like of it helped {found['helped']} times, did not {found['not_helped']} times,"
        f" and was not tried {found['untried']} times."
    )
    if found["out_of_reach"]:
        say(f"It fits {found['out_of_reach']} more, but nothing here can make its calls there now.")


def _say_action(found: Any) -> None:
    for line in _told(found):
        say(clean(line))  # telemetry and a control door's words are in it: they must not redraw what is approved


def _told(found: Any) -> Iterator[str]:
    yield f"{found['id']}: {found['title']}, {_entity(found['target'])}: {found['state']}; risk {found['risk']}"
    yield f"By the playbook {found['playbook']}, version {found['playbook_version']}."
    yield f"Predicted: {found['predicted']}"
    yield f"Checked: {_checked(found['expect'])}"
    if found["held"]:
        yield f"It waits: {found['held']}"
    if found["expires_ms"] and not found["started_ms"] and not found["ended_ms"]:
        yield f"It expires {moment(found['expires_ms'])}; a word on it takes the permission {found['needs']}."
    for step in found["steps"]:
        back = ", ".join(_call(call, found["target"]) for call in step["undo"]) or "nothing"
        yield f"  {_call(step['call'], found['target'])}  ({step['state']}; undone by {back})"
        if not step["changes"]:
            yield "    changes nothing as it is now"
        for change in step["changes"]:
            yield f"    - {change['what']}: {change['before']}"
            yield f"    + {change['what']}: {change['after']}"
    for turn in found["story"]:
        yield f"{moment(turn['at_ms'])}  {turn['actor']}: {turn['text']}"


def _checked(expect: Any) -> str:
    """What must be so afterwards for it to have helped."""
    what = "users must be served as before" if expect["of"] == "users" else "the case's own signals must be over"
    hold = f", and for {duration(expect['hold_s'])}" if expect["hold_s"] else ""
    return f"{what} within {duration(expect['within_s'])}{hold}."


def _call(call: Any, target: Any) -> str:
    """The call in words; its own target is named where that is not the action's."""
    by = "@".join(name for name in (call["executor"], call.get("door")) if name)
    there = [f"of {_entity(call['target'])}"] if call["target"] != target else []
    values = (f"{name}={value}" for name, value in call["arguments"].items())
    return " ".join([f"{by}.{call['operation']}", *there, *values])


def _entity(key: Any) -> str:
    return f"{key['kind']}/{key['name']}"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.", "Name a YAML file.") from error


def _pair(words: str) -> tuple[str, str]:
    name, sign, value = words.partition("=")
    if not sign:
        raise Invalid(f"{words!r} is no parameter.", "Write name=value.")
    return name, value
