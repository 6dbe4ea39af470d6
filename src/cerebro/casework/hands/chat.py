"""An action told in a chat, in Slack's own words: with buttons where it waits for someone.

What is shown is text and never markup: whatever a log line or a control door says, it calls nobody and links nowhere.
A press counts when Slack has signed it, and with the rights of the login that the settings name.

Sources: Slack, “Block Kit”, “Handling user interaction” and “Verifying requests from Slack” (docs.slack.dev).
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cerebro.spine.actions import Action, ActionState, Call, Reason
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unauthenticated

OLD_S = 300  # a press that was signed longer ago is nobody's
TITLE_CHARS_MAX, TEXT_CHARS_MAX, LINES_MAX = 150, 2900, 12
CUT = " … (cut: look at the whole in the console)"
MARK = "chat:"  # before the login, in a link that counts only with Slack's signature
APPROVE, REFUSE = "approve", "refuse"
ENDS = {
    ActionState.HELPED: "It helped", ActionState.UNDONE: "Undone", ActionState.FAILED: "Not done",
    ActionState.ESCALATED: "A person must look", ActionState.REFUSED: "Refused", ActionState.EXPIRED: "Not done",
    ActionState.UNVERIFIED: "Not verified",
}  # fmt: skip


class Member(msgspec.Struct, frozen=True):
    """Who pressed."""

    id: str = ""
    username: str = ""
    name: str = ""


class Pressed(msgspec.Struct, frozen=True):
    """One button."""

    action_id: str
    value: str = ""


class Press(msgspec.Struct, frozen=True):
    """What Slack posts when a button was pressed, as far as it is read."""

    actions: list[Pressed]
    user: Member = Member()
    response_url: str = ""

    @property
    def by(self) -> str:
        """The member's name in the chat, as text."""
        said = self.user.username or self.user.name or self.user.id or "someone"
        return "".join(each for each in said if each.isprintable())[:80]


def read_press(payload: str) -> Press:
    """The press that a form's `payload` holds.

    Raises:
        Invalid: It holds none.
    """
    try:
        press = msgspec.json.decode(payload, type=Press)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid("The answer cannot be read.", "Send `token` and `verdict`: approve or refuse.") from error
    if not press.actions:
        raise Invalid("No button was pressed.", "Send `token` and `verdict`: approve or refuse.")
    return press


def check_signature(secret: str, headers: Mapping[str, str], body: bytes, now_s: int) -> None:
    """Go on only with what Slack has signed a short time ago.

    Raises:
        Unauthenticated: It has not.
    """
    at_s, seal = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    wanted = hmac.new(secret.encode(), b"v0:" + at_s.encode() + b":" + body, hashlib.sha256).hexdigest()
    is_fresh = at_s.isascii() and at_s.isdigit() and abs(now_s - int(at_s[:12])) <= OLD_S
    if not secret or not is_fresh or not hmac.compare_digest(f"v0={wanted}".encode(), seal.encode()):
        raise Unauthenticated("This press was not signed by the chat.", "Look at hands.chat_secret, and at the clock.")


def asked(action: Action, token: str, address: str) -> dict[str, Any]:
    """The message that asks for a word on an action: its diff, what is predicted, its risk, its undo, and why.

    Args:
        action: That waits.
        token: Of both buttons. Without one there are none, nor where a message has no room for all that is approved:
            it says then how else to approve.
        address: Of the case in the console; empty where nobody has said.
    """
    title = f"{action.title}: {action.target.said}"
    if not _fits(title, action):
        how = _plain(f"This is not all of it. Look at it and approve it in the console, or: {_command(action)}")
    elif token:
        buttons = [_button("Approve", APPROVE, token, "primary"), _button("Refuse", REFUSE, token, "danger")]
        how = {"type": "actions", "elements": buttons}
    else:
        how = _plain(f"Approve it: {_command(action)}")
    return {"text": escaped(f"Approve? {title}"), "blocks": [_head(title), *_shown(action, address), how]}


def begun(action: Action, address: str) -> dict[str, Any]:
    """The message that tells of an action that Cerebro does by itself, in the words of one that is asked for."""
    how = "Being taken back" if action.state is ActionState.UNDOING else "Begun"
    title = f"{how}: {action.title}, {action.target.said}"
    return {"text": escaped(title), "blocks": [_head(title), *_shown(action, address)]}


def over(action: Action) -> dict[str, Any]:
    """The message that tells how an action ended."""
    line = f"{ENDS.get(action.state, action.state.value)}: {action.title}, {action.target.said}. {action.outcome}"
    return {"text": escaped(line), "blocks": [_plain(_line(line))]}


def answered(action: Action, by: str) -> dict[str, Any]:
    """What takes the place of the message whose button was pressed."""
    word = "approved" if action.state is not ActionState.REFUSED else "refused"
    line = f"{by} {word}: {action.title}, {action.target.said}."
    return {"replace_original": True, "text": escaped(line), "blocks": [_plain(_line(line))]}


def refusal(text: str) -> dict[str, Any]:
    """What the one who pressed is told, and nobody else, where the press did not count."""
    return {"response_type": "ephemeral", "replace_original": False, "text": escaped(text)}


def escaped(text: str) -> str:
    """A text that Slack shows as it is.

    >>> escaped("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    return _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:TEXT_CHARS_MAX]


def _line(text: str) -> str:
    """What is said in one line, so that nobody else begins one."""
    return " ".join(text.split())


def _head(title: str) -> dict[str, Any]:
    return {"type": "header", "text": _text(_line(title), TITLE_CHARS_MAX)}


def _shown(action: Action, address: str) -> list[dict[str, Any]]:
    """What the action changes, what that is to come to, what takes it back, and why it is the one."""
    said = [_plain(_told(action, action.reasons))]
    if address:
        said.append(_ours(f"<{address}|Open the case>"))
    return said


def _fits(title: str, action: Action) -> bool:
    """Whether a message has room for all that is approved; why it is the one is no part of that."""
    is_short = len(_line(title)) <= TITLE_CHARS_MAX and len(_told(action, ())) <= TEXT_CHARS_MAX
    return is_short and len(_calls(action)) <= LINES_MAX


def _told(action: Action, reasons: Iterable[Reason]) -> str:
    back = ", ".join(_words(call, action.target) for step in action.steps for call in step.undo)
    calls = _calls(action)
    left = len(calls) - LINES_MAX
    lines = [
        f"Risk {action.risk}. {action.predicted}",
        f"Undo: {back or 'nothing takes it back'}",
        *calls[:LINES_MAX],
        *([f"… and {left} more lines: look at them in the console."] if left > 0 else []),
        *(f"Why: {reason.text}" for reason in reasons if reason.what in ("share", "fit", "policy", "person")),
    ]
    return "\n".join(map(_line, lines))


def _calls(action: Action) -> list[str]:
    """Each call with each line that it changes; one that changes nothing now is made all the same."""
    lines = []
    for step in action.steps:
        words = _words(step.call, action.target)
        lines += [f"{words}: {each.what} {each.before} → {each.after}" for each in step.changes]
        lines += [] if step.changes else [f"{words}: changes nothing as it is now"]
    return lines


def _words(call: Call, target: EntityKey) -> str:
    """The call in words; its own target is named where that is not the action's."""
    there = [f"of {call.target.said}"] if call.target != target else []
    values = (f"{name}={value}" for name, value in sorted(call.arguments.items()))
    return " ".join([call.operation, *there, *values, *([f"@{call.door}"] if call.door else [])])


def _command(action: Action) -> str:
    return f"cerebro actions approve {action.id}"


def _plain(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text, TEXT_CHARS_MAX)}


def _ours(text: str) -> dict[str, Any]:
    """Markup of our own words alone."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _text(text: str, chars_max: int) -> dict[str, Any]:
    shown = "".join(each for each in text if each.isprintable() or each == "\n")
    if len(shown) > chars_max:
        shown = shown[: chars_max - len(CUT)] + CUT
    return {"type": "plain_text", "emoji": False, "text": shown}


def _button(text: str, action_id: str, token: str, style: str) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "style": style, "value": token, "text": _text(text, 75)}
