"""What a node does for its sessions by and by: ticks and sweeps."""

from service.core.move import MoveReason
from tests.unit.service.app.test_opening import Door, Wire, connect, node


class BrokenWire(Wire):
    def congested_seconds(self) -> float:
        raise ValueError("a bug")


async def test_one_session_cannot_stop_the_clock_of_the_others() -> None:
    """
    A bug met while looking after one session costs the sessions behind it nothing.
    """
    async with node(Door()) as manager:
        manager.connected(BrokenWire(), None)
        live, wire = connect(manager, "t1")
        await wire.welcomed.wait()
        live.session.move(0.0, after=0.0, within=0.0, reason=MoveReason.DRAIN)
        await wire.ended.wait()

        assert 4001 == wire.closed


async def test_a_session_that_is_ahead_of_its_log_ends() -> None:
    """
    After a restore under a running node, a device that was sent what is gone connects
    anew, before other events take the seqs that it knows.
    """
    async with node(Door()) as manager:
        ahead, wire = connect(manager, "t1")
        await wire.welcomed.wait()
        ahead.session.offer(1, 10, 0.0)
        _, other = connect(manager, "t2", device="d2")
        await other.welcomed.wait()
        manager.wake_all()
        await wire.ended.wait()

        assert (4001, None) == (wire.closed, other.closed)
