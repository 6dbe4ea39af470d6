"""Language models through their own protocols on loopback: slow, wrong, gone; masked, bounded, remembered, counted."""

import asyncio
import doctest
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from importlib import import_module

import pytest

from cerebro.kernel.clock import SystemClock, VirtualClock
from cerebro.kernel.llm.breaker import Breaker
from cerebro.kernel.llm.mask import mask
from cerebro.kernel.llm.port import Prompt
from cerebro.kernel.llm.providers import open_models
from cerebro.kernel.llm.sigv4 import Credential, signed
from cerebro.kernel.settings import LlmSettings
from cerebro.spine.errors import Invalid, LimitReached, Unavailable

PROMPT = Prompt("Say it.", "ann@shop.ru called from 10.0.0.7", 100)


class Double:
    """The chat API and Converse as their servers speak them, on a loopback port; what it was asked is kept."""

    def __init__(self):
        self.asked, self.answer, self.status, self.delay_s, self.raw = [], "done", 200, 0.0, None

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(
            next(line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length"))
        )
        body = json.loads(await reader.readexactly(length))
        self.asked.append((head, body))
        await asyncio.sleep(self.delay_s)
        if "/converse" in head:
            said = {
                "output": {"message": {"content": [{"text": self.answer}]}},
                "usage": {"inputTokens": 7, "outputTokens": 3},
            }
        else:
            said = {
                "choices": [{"message": {"content": self.answer}}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 3},
            }
        sent = self.raw if self.raw is not None else json.dumps(said).encode()
        writer.write(
            f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(sent)}\r\nconnection: close\r\n\r\n".encode() + sent
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def double():
    made = Double()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


@asynccontextmanager
async def two(**settings):
    """A chain whose first provider speaks the chat API and whose second is Bedrock's."""
    async with double() as first, double() as second:
        both = {
            "provider": "openai", "url": f"{first.url}/v1", "model": "small", "key": "sk-secret",
            "second_provider": "bedrock", "second_url": second.url, "second_model": "anthropic.x-v1:0",
            "aws_access_key": "AKID", "aws_secret_key": "hush", "timeout_s": 0.3,
        }  # fmt: skip
        chain = open_models(LlmSettings(**(both | settings)), SystemClock())
        yield chain, first, second
        await chain.close()


@pytest.mark.parametrize("name", ["mask", "sigv4"])
def test_examples_hold(name):
    assert doctest.testmod(import_module(f"cerebro.kernel.llm.{name}")).failed == 0


async def test_the_first_answers_and_nothing_private_leaves():
    async with two() as (chain, first, second):
        first.answer = '{"said": "[email-1] was here, not [email-9]"}'
        reply = await chain.ask(PROMPT, purpose="case/1")

    assert reply.text == '{"said": "ann@shop.ru was here, not [email-9]"}' and reply.tokens_out == 3
    head, body = first.asked[0]
    assert body["messages"][1]["content"] == "[email-1] called from [address-1]"
    assert "authorization: bearer sk-secret" in head.lower() and not second.asked


@pytest.mark.parametrize("trouble", ["gone", "slow", "error", "no json", "strange", "endless", "empty"])
async def test_whatever_is_wrong_with_the_first_the_second_is_asked(trouble):
    async with two() as (chain, first, second):
        first.status = 503 if trouble == "error" else 200
        first.delay_s = 2.0 if trouble == "slow" else 0.0
        first.raw = {"no json": b"<html>", "strange": b'{"choices": 7}', "endless": b"x" * 300_000, "empty": b""}.get(
            trouble
        )
        if trouble == "gone":
            chain._providers[0][0]._url = "http://127.0.0.1:9/v1/chat/completions"
        reply = await chain.ask(PROMPT, purpose="case/1")

    assert reply.text == "done" and reply.model == "anthropic.x-v1:0"
    head, body = second.asked[0]
    assert "POST /model/anthropic.x-v1%3A0/converse" in head and "AWS4-HMAC-SHA256 Credential=AKID/" in head
    assert body["messages"][0]["content"][0]["text"] == "[email-1] called from [address-1]"


async def test_both_gone_is_told_and_after_some_failures_nobody_is_asked():
    async with two(failures_max=2) as (chain, first, second):
        first.status = second.status = 500
        for number in range(4):
            with pytest.raises(Unavailable):
                await chain.ask(Prompt("s", f"u{number}"), purpose=f"case/{number}")

    assert len(first.asked) == len(second.asked) == 2


async def test_the_same_question_is_asked_once_and_a_case_has_a_budget():
    async with two(calls_per_case_max=2) as (chain, first, _):
        for _ in range(5):
            await chain.ask(PROMPT, purpose="case/1")
        assert len(first.asked) == 1
        await chain.ask(Prompt("s", "other"), purpose="case/1")
        with pytest.raises(LimitReached):
            await chain.ask(Prompt("s", "third"), purpose="case/1")
        await chain.ask(Prompt("s", "third"), purpose="case/2")
        with pytest.raises(LimitReached):
            await chain.ask(Prompt("s", "x" * 200_000), purpose="case/3")

    assert len(first.asked) == 3


async def test_an_open_breaker_lets_one_try_after_its_pause():
    clock = VirtualClock()
    breaker = Breaker(clock, failures_max=2, pause_s=10)
    breaker.failed()
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    await clock.advance(11)
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.succeeded()
    assert breaker.admits()


def test_a_signature_is_that_of_awss_own_example():
    """`GET ?Action=ListUsers` of the AWS documentation of version 4."""
    credential = Credential("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    found = signed(
        credential, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", b"", region="us-east-1",
        service="iam", at_ms=1_440_938_160_000, method="GET", headers=headers,
    )  # fmt: skip

    assert found["authorization"].endswith("5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
    assert "secret" not in repr(credential) and "wJalr" not in repr(credential)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("card 4111111111111111 and order 1234567890123", "card [card-1] and order 1234567890123"),
        ("key sk-abcdefghijklmnop1234 and AKIAIOSFODNN7EXAMPLE", "key [token-1] and [token-2]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [token-1]"),
        ("password=hunter2; user=x", "[token-1]; user=x"),
        ("from 2001:db8::1 and 10.0.0.300, 10.0.0.3", "from [address-1] and 10.0.0.300, [address-2]"),
        ("Anna met ANNA and Annabel", "[name-1] met [name-2] and Annabel"),
        ("at 12:03:44 version 1.2.3", "at 12:03:44 version 1.2.3"),
        ("[email-1] is not ours: b@c.de", "(email-1) is not ours: [email-1]"),
    ],
)
def test_what_is_private_is_masked_and_what_is_not_stays(text, masked):
    assert mask(text, ["anna"]).text == masked


@pytest.mark.parametrize("url", ["http://example.org/v1", "ftp://127.0.0.1/", "", "https://"])
def test_no_key_goes_over_an_open_wire(url):
    with pytest.raises(Invalid):
        open_models(LlmSettings(provider="openai", model="m", url=url), SystemClock())


def test_without_a_model_none_of_it_is_loaded():
    """The API of stories knows the port and the metrics, and no more."""
    program = (
        "import sys, cerebro.casework.api_story; print([m for m in sys.modules if m.startswith('cerebro.kernel.llm.')])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert set(json.loads(said.replace("'", '"'))) == {"cerebro.kernel.llm.port", "cerebro.kernel.llm.metrics"}
