"""`python -m infra.render --stack prod`: all that a stack asks for, without asking."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from infra.config import STACKS, read_settings
from infra.errors import InfraError
from infra.render.estimate import estimate
from infra.render.graph import Graph
from infra.render.prices import load_prices
from infra.render.settings import settings_for
from infra.render.text import shown, snapshot

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str], *, out: TextIO, err: TextIO) -> int:
    """Render one stack; return the exit code: 2 where stack or settings are wrong."""
    options = _parser().parse_args(arguments)
    try:
        graph = _rendered(options)
    except InfraError as fault:
        err.write(f"{fault}\n")
        return 2
    if options.json:
        out.write(graph.to_json())
        return 0
    if options.snapshot:
        out.write(snapshot(graph))
        return 0
    out.write(shown(graph))
    if not options.without_estimate:
        out.write(f"\n{estimate(graph, load_prices()).shown()}")
    return 0


def _rendered(options: argparse.Namespace) -> Graph:
    settings = settings_for(
        options.stack,
        root=ROOT,
        overrides=_overrides(options.set),
        image=not options.without_image,
    )
    config = read_settings(
        options.stack, settings.values, source=f"Pulumi.{options.stack}.yaml"
    )
    # Pulumi's SDK loads for seconds: wrong settings are told before.
    from infra.render.declared import declared  # noqa: PLC0415

    return declared(config, settings=settings, known=not options.unknown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.render", description=__doc__)
    parser.add_argument("--stack", required=True, help=" or ".join(STACKS))
    parser.add_argument("--json", action="store_true", help="the graph as JSON")
    parser.add_argument(
        "--snapshot", action="store_true", help="what the tests keep a copy of"
    )
    parser.add_argument(
        "--without-estimate", action="store_true", help="leave the monthly cost out"
    )
    parser.add_argument(
        "--without-image",
        action="store_true",
        help="the stack before its first image: no service, nothing that watches it",
    )
    parser.add_argument(
        "--unknown",
        action="store_true",
        help="leave what the cloud computes unknown, as before the first `up`",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value for one setting, such as event-service:cache=false",
    )
    return parser


def _overrides(pairs: Sequence[str]) -> Mapping[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise InfraError(f"--set {pair}: must be KEY=VALUE")
    return dict(pair.split("=", maxsplit=1) for pair in pairs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], out=sys.stdout, err=sys.stderr))
