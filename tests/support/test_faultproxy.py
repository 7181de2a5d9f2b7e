"""Every mode of the fault proxy, in front of a scripted server."""

from __future__ import annotations

import errno
import socket
import time
from dataclasses import dataclass

import pytest

from tests.support.faultproxy import Fault, FaultProxy, Record, parse_plan
from tests.support.loopback import Reply, Script
from tests.support.refused import refused_port

BODY = bytes(range(32, 127)) * 20
ASK = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


@dataclass(frozen=True)
class Answer:
    raw: bytes
    end: str  # "fin", "rst" or "silent"
    seconds: float

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


def ask(proxy: FaultProxy, limit: float = 3.0) -> Answer:
    began, got = time.monotonic(), b""
    with socket.create_connection((proxy.host, proxy.port), timeout=limit) as sock:
        sock.sendall(ASK)
        try:
            while data := sock.recv(65536):
                got += data
            end = "fin"
        except ConnectionResetError:
            end = "rst"
        except TimeoutError:
            end = "silent"
    return Answer(got, end, time.monotonic() - began)


def run(plan: str, limit: float = 3.0) -> tuple[Answer, Record]:
    [answer], [record] = run_all(plan, 1, limit)
    return answer, record


def run_all(plan: str, times: int, limit: float = 3.0) -> tuple[list[Answer], list[Record]]:
    reply = Reply(BODY, framing="length", split=100)
    with Script(reply) as server, FaultProxy((server.host, server.port), plan) as proxy:
        answers = [ask(proxy, limit) for _ in range(times)]
        assert proxy.wait_log(times)
    return answers, proxy.log


def test_clean_passes_everything_on() -> None:
    answer, record = run("clean")
    assert (answer.body, answer.end) == (BODY, "fin")
    assert (record.request, record.up, record.down) == (
        "POST /x HTTP/1.1",
        len(ASK),
        len(answer.raw),
    )
    assert record.ended_by == "server"


def test_a_cut_is_exact_and_the_last_fault_stays() -> None:
    (cut, *clean), records = run_all("cut:after=300,clean", 3)
    assert (len(cut.raw), cut.end) == (300, "fin")
    assert [(it.body, it.end) for it in clean] == [(BODY, "fin")] * 2
    assert [it.mode for it in records] == ["cut", "clean", "clean"]
    assert records[0].ended_by == "fault"


def test_a_cut_counts_bytes_of_the_body() -> None:
    assert run("cut:after=7:body=1")[0].body == BODY[:7]


def test_a_cut_at_zero_is_an_empty_answer() -> None:
    answer, _ = run("cut")
    assert (answer.raw, answer.end) == (b"", "fin")


def test_rst() -> None:
    answer, _ = run("rst:after=300")
    assert answer.end == "rst"
    assert len(answer.raw) <= 300


def test_a_stall_ends_when_the_client_leaves() -> None:
    answer, record = run("stall:after=300", limit=0.3)
    assert (len(answer.raw), answer.end, record.ended_by) == (300, "silent", "client")
    assert record.seconds < 1


def test_a_stall_ends_after_hold() -> None:
    answer, _ = run("stall:after=300:hold=0.3")
    assert (len(answer.raw), answer.end) == (300, "fin")
    assert 0.25 < answer.seconds < 1


def test_half_close() -> None:
    answer, _ = run("half-close:after=300:hold=1")
    assert (len(answer.raw), answer.end) == (300, "fin")
    assert answer.seconds < 0.5


def test_a_pause_is_followed_by_the_rest() -> None:
    answer, _ = run("pause:after=300:hold=0.3")
    assert (answer.body, answer.end) == (BODY, "fin")
    assert answer.seconds > 0.3


def test_corrupt_changes_one_byte() -> None:
    assert run("corrupt:after=5:body=1")[0].body == BODY[:5] + b"\xff" + BODY[6:]


def test_drip_and_chop_keep_the_bytes() -> None:
    (drip, chop), _ = run_all("drip:size=20:delay=1,chop:size=9:delay=0:seed=3", 2)
    assert drip.body == chop.body == BODY
    assert drip.seconds > len(BODY) / 20 / 1000


def test_buffer_keeps_the_bytes() -> None:
    assert run("buffer:delay=50")[0].body == BODY


def test_status() -> None:
    answer, record = run("status:code=503")
    assert answer.raw.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in answer.raw
    assert answer.end == "fin"
    assert record.up == len(ASK)


def test_a_dead_server_hangs_up() -> None:
    with FaultProxy(("127.0.0.1", refused_port()), "clean") as proxy:
        answer = ask(proxy)
        assert proxy.wait_log()
    assert answer.raw == b""
    assert proxy.log[0].error.startswith(f"[Errno {errno.ECONNREFUSED}]")


def test_plans() -> None:
    expected = [Fault("cut", 16), Fault("clean", 3)]
    assert parse_plan("cut:after=0x10,clean", Fault(after=3)) == expected


@pytest.mark.parametrize("plan", ["cutt", "cut:afterr=1", "cut:after=x"])
def test_a_bad_plan_is_named(plan: str) -> None:
    with pytest.raises(ValueError, match=plan.partition(":")[0]):
        parse_plan(plan)


def test_only_loopback() -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        FaultProxy(("192.0.2.1", 80), "clean")
