"""`python -m stevedore_api`: serve the layout that `STEVEDORE_LAYOUT` names."""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence

import uvicorn

from stevedore_api.access_log import AccessLog
from stevedore_api.assemble import assemble
from stevedore_api.http_protocol import protocol_class
from stevedore_api.line_writer import LineWriter
from stevedore_api.settings import PREFIX, Settings
from stevedore_api.stopping import StoppableServer
from stevedore_core.errors import StevedoreError
from stevedore_core.logs import configure_logging

_log = logging.getLogger(__name__)

_CANNOT_START = 2


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal ends it; return the exit status."""
    try:
        lines = LineWriter(sys.stdout.fileno())
        settings = Settings.read({**os.environ, **_flags(arguments)})
        app = assemble(settings, AccessLog(lines.write_line))
        settings = app.settings
        listener = _listen(settings)
    except StevedoreError as error:
        sys.stderr.write(f"{error}\n")
        return _CANNOT_START
    configure_logging(lines)
    config = uvicorn.Config(
        app,
        http=protocol_class(settings, app.hot_path),
        proxy_headers=False,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_s,
    )
    host, port = listener.getsockname()[:2]
    _log.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    server = StoppableServer(config, app, lines)
    server.run(sockets=[listener])
    lines.close()
    return server.exit_status


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """Return flags as the variables they stand for: `--port 80` is `STEVEDORE_PORT=80`."""
    parser = argparse.ArgumentParser(
        prog="python -m stevedore_api",
        description="Serve a composition. Every flag is also a variable STEVEDORE_<FLAG>.",
    )
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, help=f"{field.description} ({field.default})", metavar="VALUE")
    given = vars(parser.parse_args(arguments))
    return {f"{PREFIX}{name.upper()}": value for name, value in given.items() if value is not None}


def _listen(settings: Settings) -> socket.socket:
    """Bind before any model loads, so that a taken port is told at once."""
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=2_048,
        )
    except OSError as error:
        raise StevedoreError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "stop what holds the port, or choose another with `STEVEDORE_PORT`"
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
