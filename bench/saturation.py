"""How many events a second one process confirms, beside Socket.IO.

`python -m bench.saturation`
"""

from collections.abc import Sequence

from bench import bars
from bench.campaign import Campaign, peer_row, service_row
from bench.options import read_options
from bench.orders import Load
from bench.peer import APIS

_NAME = "saturation"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and the verdict, and write the results."""
    options = read_options(_NAME, purpose=__doc__ or "", arguments=arguments)
    campaign = Campaign(options)
    services = [
        service_row(Load(frame_events=1)),
        service_row(Load(frame_events=1, ack_events=1)),
        service_row(Load(frame_events=16)),
    ]
    peers = [peer_row(Load(api=api, ack_events=1)) for api in APIS]
    rows = campaign.run([*services, *peers])
    others = [row.repetitions for row in rows[len(services) :]]
    verdict = bars.throughput(rows[0].repetitions, others)
    campaign.keep(_NAME, rows, verdict)


if __name__ == "__main__":
    main()
