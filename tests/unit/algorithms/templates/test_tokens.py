"""Typed tokens: what is a variable by its form, for any system."""

import pyarrow as pa
import pytest

from cerebro.algorithms.templates.mine import Miner, mine


def text_of(*lines: str) -> list[str]:
    miner = Miner()
    mine(miner, pa.array(lines, pa.string()))
    return [miner.templates[miner.template[row]].text for row in range(len(miner.skeletons))]


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("took 12 ms", "took <*> ms"),
        ("took 12.5ms, again -3 and +1s0ms", "took <*>, again <*> and <*>"),
        ("at 0x0b85eee0 and 9f4ef63", "at <*> and <*>"),
        ("from 10.1.2.3:8080 to /10.1.2.4", "from <*> to <*>"),
        ("via fe80:0000:0000:0000:d8a5:90ff:fef5:7fff", "via <*>"),
        ("open /var/log/syslog failed: No such file", "open <*> failed: No such file"),
        ("load/store alignment......0", "load/store alignment......<*>"),
        ("GET https://shop.example/cart?x=1 HTTP/1.1", "GET <*> HTTP/<*>"),
        ("id 123e4567-e89b-12d3-a456-426614174000 gone", "id <*> gone"),
        ("mail to anna@shop.example.com bounced", "mail to <*> bounced"),
        ("at Fri Jul 01 08:16:53 PDT 2005 it began", "at <*> it began"),
        ("on 2024-05-01T10:00:00Z it began", "on <*> it began"),
        ("size 5.2 KB, free 1.5 MiB", "size <*>, free <*>"),
        ("sent 5210 bytes (5.08 KB) to peer", "sent <*> bytes to peer"),
        ("user=anna role=\"shop admin\" ok", "user=<*> role=\"<*>\" ok"),
        ("isOpen:false value null", "isOpen:<*> value <*>"),
        ("worker-7 took block blk_-16089996", "<*> took block <*>"),
        ("SOCKS5 proxy over ssh2", "SOCKS5 proxy over ssh2"),
        ("не удалось открыть файл /tmp/а.txt, код 5", "не удалось открыть файл <*>, код <*>"),
        ("can't open it", "can't open it"),
        ('{"level":"warn","msg":"retry 3 of 5"}', '{"level":"<*>","msg":"retry <*> of <*>"}'),
        ("\x1b[31mfailed\x1b[0m 3 times", "failed <*> times"),
        ("a\x00b 7", "a b <*>"),
        ("", ""),
        ("   ", ""),
    ],
)  # fmt: skip
def test_a_variable_is_known_by_its_form(line, template):
    assert text_of(line) == [template]


def test_a_stack_trace_is_its_first_line_and_what_failed():
    java = "Request 7 failed\n\tat a.b.C.d(C.java:12)\n\tat a.b.E.f(E.java:99)\nCaused by: java.io.IOException: 5 left"
    longer = java.replace("\tat a.b.E.f(E.java:99)\n", "\tat a.b.E.f(E.java:99)\n\tat x.y.Z(Z.java:1)\n")
    assert len(set(text_of(java, longer))) == 1
    assert text_of(java)[0].startswith("Request <*> failed Caused by: java.io.IOException")


def test_a_line_of_a_megabyte_costs_no_more_than_its_beginning():
    assert len(text_of("start " + "x" * 1_000_000)[0]) <= 4200
    assert len(text_of("many " + "word " * 200_000)[0]) <= 4200
