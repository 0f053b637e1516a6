"""Both clients keep the protocol's promises over real sockets, as real processes."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.socket_server import Connection, Plan, SocketServer
from tests.integration.client.programs import Runner

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture(params=["python", "javascript"])
def start(request: pytest.FixtureRequest) -> Runner:
    return Runner(request.param)


@pytest.fixture
async def server() -> AsyncIterator[SocketServer]:
    async with SocketServer() as running:
        yield running

        assert [] == running.violations


async def test_handles_in_order_and_acks(start: Runner, server: SocketServer) -> None:
    """
    Events published before and after the connection are handled once, in order.
    """
    await server.publish(3)
    async with start(url=server.url) as program:
        connection = await server.accepted()
        await program.until_said(state="live")
        await server.publish(40)
        await server.until_confirmed(43)
        await connection.send({"t": "eph", "type": "token_delta", "data": "x"})
        await program.until_said(ephemeral="token_delta")
        code = await program.finish()

    assert 0 == code
    assert list(range(1, 44)) == program.said("handled")
    assert {"t": "bye"} == connection.frames[-1]
    assert 1000 == await connection.until_closed()
    assert "events.v1.json" == connection.socket.subprotocol


async def test_state_is_visible(start: Runner, server: SocketServer) -> None:
    """
    A program sees connecting, replaying, live, waiting with its reason, stopped.
    """
    async with start(url=server.url) as program:
        connection = await server.accepted()
        await program.until_said(state="live")
        connection.cut()
        await program.until_said(state="waiting", reason="closed with 1006")
        await server.accepted()
        await program.until_said(state="replaying", resume="ok")
        await program.finish()

    states = program.said("state")
    assert ["connecting", "replaying", "live", "waiting"] == states[:4]
    assert "stopped" == states[-1]


async def test_resumes_after_a_cut(start: Runner, server: SocketServer) -> None:
    """
    After a cut the client continues at its cursor and names what it replaces.
    """
    await server.publish(2)
    async with start(url=server.url) as program:
        first = await server.accepted()
        await server.until_confirmed(2)
        first.cut()
        await server.publish(2)
        second = await server.accepted()
        await server.until_confirmed(4)
        await program.finish()

    assert {"epoch": "E1", "seq": 2} == second.hello["cursor"]
    assert "c1" == second.hello["replaces"]
    assert [1, 2, 3, 4] == program.said("handled")


async def test_a_handler_across_a_cut_runs_once(
    start: Runner, server: SocketServer
) -> None:
    """
    An event replayed while its handler still runs is answered by wip, then acked.
    """
    await server.publish(1)
    async with start(url=server.url, slow=[1]) as program:
        first = await server.accepted()
        await program.until_said(started=1)
        first.cut()
        second = await server.accepted()
        await second.until_type("wip", seq=1)
        await program.tell("release")
        await second.until_type("ack", upto=1)
        await program.finish()

    assert [1] == program.said("started")


async def test_kill_between_handling_and_acking(
    start: Runner, server: SocketServer, tmp_path: Path
) -> None:
    """
    A program killed after saving its cursor and before its ack handles nothing twice,
    and its next hello is the ack.
    """
    storage = str(tmp_path / "cursor.json")
    await server.publish(3)
    async with start(url=server.url, storage=storage, kill_after_saving=2) as killed:
        first = await server.accepted()
        status = await killed.ended()
    async with start(url=server.url, storage=storage) as program:
        second = await server.accepted()
        await server.until_confirmed(3)
        await program.finish()

    assert -signal.SIGKILL == status
    assert [] == [frame for frame in first.frames if frame["t"] == "ack"]
    assert {"epoch": "E1", "seq": 2} == second.hello["cursor"]
    assert [1, 2] == killed.said("handled")
    assert [3] == program.said("handled")


async def test_a_slow_handler_sends_wip(start: Runner, server: SocketServer) -> None:
    """
    While a handler runs, wip comes every third of the ack wait by itself.
    """
    server.welcome["ack_wait_s"] = 0.3
    await server.publish(2)
    async with start(url=server.url, slow=[1]) as program:
        connection = await server.accepted()
        await connection.until(lambda _: len(wips(connection)) >= 3)
        await program.tell("release")
        await server.until_confirmed(2)

    assert {1} == set(wips(connection))


def wips(connection: Connection) -> list[int]:
    return [frame["seq"] for frame in connection.frames if frame["t"] == "wip"]


async def test_refusal_and_redelivery(start: Runner, server: SocketServer) -> None:
    """
    A handler that raises is a nack with the reason; the redelivery is handled.
    """
    await server.publish(2)
    async with start(url=server.url, refuse=[1]) as program:
        connection = await server.accepted()
        nack = await connection.until_type("nack", seq=1)
        await connection.until_type("ack", seqs=[[2, 2]])
        await connection.send(server.event(1, attempt=2))
        await server.until_confirmed(2)
        await program.finish()

    assert "not now" in nack["reason"]
    assert "final" not in nack
    assert [2, 1] == program.said("handled")


async def test_final_refusal(start: Runner, server: SocketServer) -> None:
    """
    A handler can refuse for good; the dead letter lets the cursor go on.
    """
    await server.publish(2)
    async with start(url=server.url, refuse_for_good=[1]) as program:
        connection = await server.accepted()
        nack = await connection.until_type("nack", seq=1)
        await connection.until_type("ack", seqs=[[2, 2]])
        await connection.send({"t": "settled", "seqs": [[1, 1]], "outcome": "dead"})
        connection.cut()
        second = await server.accepted()
        await program.until_said(state="live")

    assert nack["final"] is True
    assert {"epoch": "E1", "seq": 2} == second.hello["cursor"]


async def test_goaway_moves_without_a_gap(start: Runner, server: SocketServer) -> None:
    """
    On goaway the client connects first, with `replaces` and in the room kept for
    moves, and says bye only then.
    """
    await server.publish(1)
    async with start(url=server.url, slow=[2]) as program:
        first = await server.accepted()
        await server.until_confirmed(1)
        await server.publish(1)
        await program.until_said(started=2)
        await first.send({"t": "goaway", "within_ms": 5000, "reason": "drain"})
        second = await server.accepted()
        await first.until_type("bye")
        code = await first.until_closed()
        await program.tell("release")
        await second.until_type("ack", upto=2)
        await server.publish(1)
        await server.until_confirmed(3)
        await program.finish()

    assert "c1" == second.hello["replaces"]
    assert (False, True) == (first.asks_to_move, second.asks_to_move)
    assert 1000 == code
    assert [1, 2, 3] == program.said("handled")
    assert "waiting" not in program.said("state")


async def test_first_socket_serves_until_the_second_is_welcome(
    start: Runner, server: SocketServer
) -> None:
    """
    While the second socket is not answered, events still come over the first.
    """
    async with start(url=server.url):
        first = await server.accepted()
        server.plans.append(Plan(welcome=False))
        await first.send({"t": "goaway", "within_ms": 5000, "reason": "drain"})
        second = await server.accepted()
        server.connections.remove(second)
        await server.publish(1)
        await first.until_type("ack", upto=1)

    assert "c1" == second.hello["replaces"]


async def test_the_second_socket_takes_over_when_the_first_is_cut(
    start: Runner, server: SocketServer
) -> None:
    """
    A first socket that ends during a move costs nothing but its replay.
    """
    async with start(url=server.url, slow=[1]) as program:
        first = await server.accepted()
        await server.publish(1)
        await program.until_said(started=1)
        await first.send({"t": "goaway", "within_ms": 5000, "reason": "drain"})
        first.cut()
        second = await server.accepted()
        await program.tell("release")
        await second.until_type("ack", upto=1)
        await program.finish()

    assert [1] == program.said("started")


async def test_4401_fetches_a_new_ticket(start: Runner, server: SocketServer) -> None:
    """
    A refused credential is renewed before the next connection.
    """
    server.plans.append(Plan(close=4401))
    async with start(url=server.url, tickets=9) as program:
        connection = await server.accepted()
        await program.until_said(state="live")

    assert "T2" == connection.hello["ticket"]


async def test_4401_without_a_new_ticket_stops(
    start: Runner, server: SocketServer
) -> None:
    """
    When no ticket is given any more the client stops, and says why.
    """
    server.plans.append(Plan(close=4401))
    async with start(url=server.url, tickets=1) as program:
        line = await program.until_said(state="stopped")

    assert "no ticket" == line["reason"]


async def test_4403_stops(start: Runner, server: SocketServer) -> None:
    """
    A forbidden user is told so once, with the server's words.
    """
    err = {"t": "err", "code": "forbidden", "message": "gone", "temporary": False}
    server.plans.append(Plan(close=4403, err=err))
    async with start(url=server.url) as program:
        line = await program.until_said(state="stopped")
        status = await program.finish()

    assert "forbidden: gone" == line["reason"]
    assert ["forbidden"] == program.said("problem")
    assert 0 == status
    assert [] == server.connections


async def test_a_server_that_is_away_is_asked_again(
    start: Runner, server: SocketServer
) -> None:
    """
    An upgrade that fails is a cut like any other.
    """
    server.plans.extend([Plan(status=503), Plan(status=503)])
    async with start(url=server.url) as program:
        await server.accepted()
        await program.until_said(state="live")
        await program.finish()

    assert program.said("state").count("waiting") == 2


async def test_a_refusal_of_somebody_in_between_is_not_final(
    start: Runner, server: SocketServer
) -> None:
    """
    A proxy's own 401 or 403 is a cut: only the service's answers stop a client.
    """
    server.plans.extend([Plan(status=403), Plan(status=401)])
    async with start(url=server.url) as program:
        await server.accepted()
        await program.until_said(state="live")
        await program.finish()

    assert program.said("state").count("waiting") == 2


async def test_reset_starts_over(start: Runner, server: SocketServer) -> None:
    """
    In a new epoch the client begins anew and says so.
    """
    await server.publish(2)
    async with start(url=server.url) as program:
        first = await server.accepted()
        await server.until_confirmed(2)
        server.epoch, server.head, server.confirmed = "E2", 1, ()
        first.cut()
        await server.accepted()
        await server.until_confirmed(1)
        await program.finish()

    assert {"state": "replaying", "reason": "", "resume": "reset"} in program.lines
    assert [1, 2, 1] == program.said("handled")


async def test_a_gap_is_told(start: Runner, server: SocketServer) -> None:
    """
    What will never come is told to the program, and the stream goes on.
    """
    async with start(url=server.url) as program:
        connection = await server.accepted()
        server.head = connection.sent = 4
        await connection.send({"t": "gap", "from": 1, "to": 4, "reason": "retention"})
        await server.publish(1)
        await server.until_confirmed(5)
        await program.finish()

    assert [[1, 4]] == program.said("gap")
    assert [5] == program.said("handled")


async def test_an_unexplained_jump_reconnects(
    start: Runner, server: SocketServer
) -> None:
    """
    A hole that nobody explained is closed by a reconnect, not skipped.
    """
    async with start(url=server.url) as program:
        first = await server.accepted()
        server.head = 2
        await first.send(server.event(2))
        second = await server.accepted()
        await server.until_confirmed(2)
        await program.finish()

    assert 1000 == await first.until_closed()
    assert {"epoch": "E1", "seq": 0} == second.hello["cursor"]
    assert [1, 2] == program.said("handled")


async def test_heartbeat_loss_reconnects(start: Runner, server: SocketServer) -> None:
    """
    A server that falls silent is left after its heartbeat and the grace of 10 s.
    """
    server.welcome["heartbeat_s"] = 0.1
    async with start(url=server.url) as program:
        await server.accepted()
        await program.until_said(state="waiting", reason="heartbeat lost")


async def test_cancel_and_renew_reach_the_server(
    start: Runner, server: SocketServer
) -> None:
    """
    A program can cancel a run and renew its credential on the live session.
    """
    async with start(url=server.url, tickets=9) as program:
        connection = await server.accepted()
        await program.until_said(state="live")
        await program.tell("cancel")
        await connection.until_type("cancel", run="r1")
        await program.tell("renew")
        await connection.until_type("auth", ticket="T2")
        line = await program.until_said(renewed=True)
        await program.finish()

    assert {"renewed": True} == line
    assert [True] == program.said("cancelled")


async def test_closing_waits_for_the_handler(
    start: Runner, server: SocketServer
) -> None:
    """
    A client that is closed lets the running handler finish, acks, and says bye.
    """
    await server.publish(2)
    async with start(url=server.url, slow=[1]) as program:
        connection = await server.accepted()
        await program.until_said(started=1)
        await program.tell("release")
        await program.tell("close")
        await program.until_said(handled=1)
        status = await program.ended()

    types = [frame["t"] for frame in connection.frames]
    assert 0 == status
    assert "bye" == types[-1]
    assert "ack" in types


async def test_a_large_replay(start: Runner, server: SocketServer) -> None:
    """
    A large replay is handled completely and in order.
    """
    await server.publish(2_000)
    async with start(url=server.url) as program:
        await server.accepted()
        async with asyncio.timeout(30):
            await server.until_confirmed(2_000)
        await program.finish()

    assert list(range(1, 2_001)) == program.said("handled")
