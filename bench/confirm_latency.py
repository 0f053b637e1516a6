"""How long an event takes from its publication to its committed confirmation.

`python -m bench.confirm_latency`
"""

from collections.abc import Sequence

from bench import bars
from bench.campaign import Campaign, peer_row, service_row
from bench.options import read_options
from bench.orders import Load

_NAME = "confirm_latency"
_RATES = (500, bars.RATE, 10_000, 20_000)
_QUICK_RATES = (500, bars.RATE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and the verdict, and write the results."""
    options = read_options(_NAME, purpose=__doc__ or "", arguments=arguments)
    campaign = Campaign(options)
    rows = campaign.run(
        [
            row
            for rate in (_QUICK_RATES if options.quick else _RATES)
            for row in (
                service_row(Load(rate=rate)),
                peer_row(Load(rate=rate, api="callback", ack_events=1)),
            )
        ]
    )
    judged = next(row for row in rows if row.load.rate == bars.RATE)
    campaign.keep(_NAME, rows, bars.latency(judged.repetitions))


if __name__ == "__main__":
    main()
