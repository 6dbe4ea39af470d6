"""`cerebro shop`: a small real shop of many processes, to be broken and watched."""

import asyncio
from contextlib import suppress
from typing import Annotated

import typer

from cerebro.cli.out import as_json, failures, say, table
from cerebro.kernel.settings import Settings, load_settings
from cerebro.proving import report
from cerebro.spine.errors import CerebroError, Invalid, Unauthenticated, Unavailable

shop = typer.Typer(help="A small real shop to break and to watch.", no_args_is_help=True)
MIB = 1 << 20


@shop.command()
def up(
    rate: Annotated[float, typer.Option(min=0.1, max=500, help="Users that come each second, the day's mean.")] = 50.0,
    day: Annotated[float, typer.Option(min=60, help="Seconds that a day of the load's curve takes.")] = 86_400.0,
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two exports of telemetry.")] = 5.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Send no telemetry; no Cerebro is needed.")] = False,
) -> None:
    """Start the shop beside Cerebro, with users in it."""
    from cerebro.proving.shop.control import Wanted
    from cerebro.proving.shop.ground import Shop

    with failures():
        settings = load_settings()
        url, key = ("", "") if quiet else way_in(settings)
        wanted = Wanted(rate, day, url, key, interval)
        one = Shop(settings)
        asyncio.run(one.up(wanted))
        asyncio.run(_say_standing(settings))
        say(f"The shop is up{f' and tells {url}' if url else ''}.")
        say("How it is: cerebro shop status. Break it: cerebro shop break KIND. End it: cerebro shop down.")


@shop.command()
def down() -> None:
    """End the shop and every process of it."""
    from cerebro.proving.shop.ground import Shop

    with failures():
        ended = asyncio.run(Shop(load_settings()).down())
        say("The shop is closed." if ended else "The shop was not up.")


@shop.command()
def status(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Its processes, what they cost, what users feel, which faults run."""
    with failures():
        asyncio.run(_say_standing(load_settings(), json=json))


@shop.command()
def faults() -> None:
    """Every kind of fault that the shop can have, with what helps."""
    from cerebro.proving.shop.ground import Shop

    with failures():
        rows = [[f.kind, f.title, ", ".join(f.remedies)] for f in Shop(load_settings()).faults()]
        table(["kind", "what", "what helps"], rows, "")


@shop.command("break")
def break_it(
    kind: str,
    target: Annotated[str, typer.Option(help="kind/name; drawn from the seed when left out.")] = "",
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="It ends by itself after so long.")] = 60.0,
    seed: int = 1,
) -> None:
    """Inject a fault; it ends by itself."""
    from cerebro.proving.shop.ground import Shop
    from cerebro.spine.entities import EntityKey

    with failures():
        one = Shop(load_settings(), lease_s=seconds)
        at = EntityKey.parse(target) if target else None
        injection = asyncio.run(one.inject(kind, seed=seed, target=at))
        fault = injection.fault
        say(f"{fault.title}: {injection.target.text}, for {seconds:.0f} s. Users notice: {fault.symptom}.")


@shop.command("do")
def do(
    operation: str,
    target: Annotated[str, typer.Argument(help="kind/name, such as service/cart.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="name=value …")] = None,
) -> None:
    """Do something to the shop: restart, scale, rollback, flag_off, failover, …"""
    from cerebro.proving.model import Operation
    from cerebro.proving.shop.ground import Shop
    from cerebro.spine.entities import EntityKey

    with failures():
        named = dict(_pair(words) for words in parameters or ())
        asyncio.run(Shop(load_settings()).operate(Operation(operation, EntityKey.parse(target), named)))
        say(f"{operation} {target}: done.")


@shop.command()
def verify(
    kinds: Annotated[list[str] | None, typer.Argument(help="Which kinds; every one when none is named.")] = None,
    seconds: Annotated[float, typer.Option(min=4, max=120, help="How long each is injected.")] = 15.0,
    again: Annotated[int, typer.Option(min=0, max=5, help="How often a kind that did not hold is tried again.")] = 1,
    write: Annotated[bool, typer.Option("--write", help=f"Renew the table of {report.PAGE}.")] = False,
) -> None:
    """Inject each kind: do users notice, does what helps help, does it pass? Opens a shop when none is up."""
    from cerebro.cli import shop_verify

    with failures():
        raise SystemExit(asyncio.run(shop_verify.run(load_settings(), kinds or [], seconds, again, write=write)))


def way_in(settings: Settings) -> tuple[str, str]:
    """The address of the Cerebro that runs here, and a fresh key to send telemetry with.

    Raises:
        Unavailable: None runs here.
    """
    from cerebro.cli.client import Client
    from cerebro.kernel.clock import SystemClock

    try:
        client = Client(settings)
        made = client.post("/api/v1/keys", {"name": f"shop-{SystemClock().new_id()[-8:]}", "scopes": ["ingest"]})
    except (Unavailable, Unauthenticated) as error:
        raise Unavailable(
            f"{error.detail} The shop has nobody to tell.", "Start Cerebro: make up; or: cerebro shop up --quiet"
        ) from error
    return client.url, str(made["key"])


def shut(settings: Settings, key: str) -> None:
    """End a key of `way_in`, where Cerebro still answers: nobody sends with it any more."""
    from cerebro.cli.client import Client
    from cerebro.kernel.access.keys import split_key

    prefix = (split_key(key) or ("", ""))[0]
    with suppress(CerebroError):
        Client(settings).delete(f"/api/v1/keys/{prefix}")


async def _say_standing(settings: Settings, *, json: bool = False) -> None:
    from cerebro.kernel.clock import SystemClock
    from cerebro.proving.shop.ground import Shop

    one, now_ms = Shop(settings), SystemClock().now_ms()
    standing = await one.standing()
    felt = await one.health(now_ms - 30_000, now_ms)
    if json:
        import msgspec

        as_json({"standing": msgspec.to_builtins(standing), "felt": msgspec.to_builtins(felt)})
        return
    rows = [
        [row.name, row.state, row.pid, row.version, f"{row.cpu_s:.1f} s", f"{row.memory_bytes / MIB:.0f} MiB"]
        for row in standing.rows
    ]
    total = sum(row.memory_bytes for row in standing.rows) / MIB
    table(["process", "state", "pid", "version", "CPU", "memory"], rows, "")
    say(f"Memory in all: {total:.0f} MiB. Faults that run: {', '.join(b.kind for b in standing.running) or 'none'}.")
    say(
        f"Users of the last 30 s: {felt.request_count} requests, {felt.error_share:.1%} failed,"
        f" half within {felt.p50_ms:.0f} ms, 95 % within {felt.p95_ms:.0f} ms."
    )


def _pair(words: str) -> tuple[str, str]:
    name, sign, value = words.partition("=")
    if not sign:
        raise Invalid(f"{words!r} is no parameter.", "Write name=value.")
    return name, value
