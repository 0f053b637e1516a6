"""`pulumi-resource-gcp`: serve until the engine ends it."""

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime.proto.provider_pb2_grpc import (
    add_ResourceProviderServicer_to_server,
)

from tests.engine.cloud import Cloud
from tests.engine.provider.servicer import Provider

_CALLS_AT_ONCE = 32


def main(cloud: str) -> None:
    """Tell the port on standard output, as the engine expects, and serve."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_CALLS_AT_ONCE),
        options=[("grpc.max_receive_message_length", -1)],
    )
    add_ResourceProviderServicer_to_server(Provider(Cloud(Path(cloud))), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # Ctrl-C reaches everybody; the engine ends us when it is done.
    with contextlib.suppress(KeyboardInterrupt):
        server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
