"""Whether a client is alive and working; the whole is tested by the session's tests."""

from service.core.limits import Limits
from service.core.liveness import Liveness, Pulse

QUIET, PING, DEAD = Pulse.QUIET, Pulse.PING, Pulse.DEAD


def new(**limits: float) -> Liveness:
    return Liveness(Limits(**limits), 0.0)  # type: ignore[arg-type]  # times, by name


def test_an_idle_client_is_pinged_by_the_heartbeat() -> None:
    """
    With nothing awaited only the heartbeat asks.
    """
    client = new()

    assert QUIET is client.look(24.9, awaiting=False)
    assert PING is client.look(25.0, awaiting=False)


def test_an_awaited_ack_is_asked_about() -> None:
    """
    After the ack wait a ping asks, and its pong shows that the ack is overdue.
    """
    client = new()

    assert QUIET is client.look(9.9, awaiting=True)
    assert PING is client.look(10.0, awaiting=True)
    assert client.pong(10.0, 10.5, awaiting=True) is True


def test_silence_is_death() -> None:
    """
    Without a pong in time the client is dead, and until then left alone.
    """
    client = new()
    client.look(10.0, awaiting=True)

    assert QUIET is client.look(17.9, awaiting=True)
    assert DEAD is client.look(18.0, awaiting=True)


def test_progress_between_ping_and_pong_counts() -> None:
    """
    Work or movement after the ping means that nothing is overdue.
    """
    for note in (Liveness.worked, Liveness.moved):
        client = new()
        client.look(10.0, awaiting=True)
        note(client, 10.2)

        assert client.pong(10.0, 10.5, awaiting=True) is False
    client = new()
    client.look(10.0, awaiting=True)
    assert client.pong(10.0, 10.5, awaiting=False) is False


def test_work_extends_the_wait_up_to_its_limit() -> None:
    """
    Work without movement puts the end off for `wip_max` at most.
    """
    client = new(wip_max=20.0, heartbeat=1_000.0)
    client.worked(19.0)
    assert QUIET is client.look(28.9, awaiting=True)
    client.worked(28.9)

    assert QUIET is client.look(29.9, awaiting=True)
    assert PING is client.look(30.0, awaiting=True)


def test_a_pong_nobody_asked_for_says_nothing() -> None:
    """
    A pong without a ping, or with another echo, is none.
    """
    client = new()

    assert client.pong(0.0, 11.0, awaiting=True) is False
    client.look(11.0, awaiting=True)
    assert client.pong(10.0, 11.5, awaiting=True) is False
    assert DEAD is client.look(19.0, awaiting=True)


def test_a_welcome_starts_every_wait() -> None:
    """
    What passed before the welcome counts for nothing.
    """
    client = new()
    client.welcomed(100.0)

    assert QUIET is client.look(109.9, awaiting=True)
    assert PING is client.look(110.0, awaiting=True)


def test_a_pong_without_time_answers_what_was_asked_last() -> None:
    """
    Who cannot see pings may still show that it lives.
    """
    client = new()

    assert client.pong(None, 9.0, awaiting=True) is False
    assert PING is client.look(10.0, awaiting=True)
    assert client.pong(None, 10.5, awaiting=True) is True
    assert QUIET is client.look(18.0, awaiting=False)
