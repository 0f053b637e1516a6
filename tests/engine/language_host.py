"""A Python language host, for a CLI that comes without one.

Pulumi's own is a Go program; where it cannot be built (scripts/build_pulumi), this one
answers the engine instead and runs programs with Pulumi's own
`pulumi-language-python-exec`, as that one does.
"""

# ruff: noqa: N802 -- the methods' names are the protocol's

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2, plugin_pb2
from pulumi.runtime.proto.language_pb2_grpc import (
    LanguageRuntimeServicer,
    add_LanguageRuntimeServicer_to_server,
)

# The program has told the user what is wrong, so nobody needs to add to it.
_ALREADY_SAID = 32


class LanguageHost(LanguageRuntimeServicer):
    """Runs Python programs for one engine."""

    def __init__(self, executor: str, engine: str) -> None:
        self._executor, self._engine = executor, engine

    def Handshake(
        self,
        request: language_pb2.LanguageHandshakeRequest,
        context: grpc.ServicerContext,
    ) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(
        self, request: Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo()

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        return Empty()

    def GetRequiredPackages(
        self,
        request: language_pb2.GetRequiredPackagesRequest,
        context: grpc.ServicerContext,
    ) -> language_pb2.GetRequiredPackagesResponse:
        return language_pb2.GetRequiredPackagesResponse()

    def RuntimeOptionsPrompts(
        self,
        request: language_pb2.RuntimeOptionsRequest,
        context: grpc.ServicerContext,
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def Run(
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        settings = {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        ended = subprocess.run(
            self._command(request),
            env={**os.environ, **settings},  # noqa: TID251 -- a program's whole surroundings
            cwd=request.info.program_directory,
            check=False,
        )
        if ended.returncode == 0:
            return language_pb2.RunResponse()
        if ended.returncode == _ALREADY_SAID:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(
            error=f"Program exited with non-zero exit code: {ended.returncode}"
        )

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a policy pack; what it writes, its port first, goes to the engine."""
        program = Path(request.info.program_directory) / request.info.entry_point
        command = [sys.executable, "-u", str(program), *request.args]
        with subprocess.Popen(
            command,
            # No environment given means the host's own.
            env=dict(one.split("=", 1) for one in request.env) or None,
            cwd=request.pwd or request.info.program_directory,
            stdout=subprocess.PIPE,
        ) as plugin:
            context.add_callback(plugin.kill)
            assert plugin.stdout is not None
            for line in plugin.stdout:
                yield language_pb2.RunPluginResponse(stdout=line)
        yield language_pb2.RunPluginResponse(exitcode=plugin.returncode)

    def _command(self, request: language_pb2.RunRequest) -> list[str]:
        options = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "root_directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": str(request.dryRun).lower(),
            "parallel": str(request.parallel),
            "organization": request.organization,
        }
        given = [f"--{key}={value}" for key, value in options.items() if value]
        program = request.info.entry_point or "."
        return [sys.executable, "-u", self._executor, *given, program, *request.args]


def main(executor: str, engine: str) -> None:
    """Tell the port on standard output, as the engine expects, and serve."""
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    add_LanguageRuntimeServicer_to_server(LanguageHost(executor, engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # Ctrl-C reaches everybody; the engine ends us when it is done.
    with contextlib.suppress(KeyboardInterrupt):
        server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
