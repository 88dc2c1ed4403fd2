"""The `inn serve` command: arguments, a listening socket, the server's life."""

from __future__ import annotations

import argparse
import contextlib
import socket
from pathlib import Path
from typing import Any

from ..cli.options import engine_options, opened, preprocess_option, preprocess_values, primitive_option
from ..errors import InnError, UsageError

EXAMPLES = """\
examples:
  inn serve model.inn --samples pictures/
  inn serve model.inn --host 0.0.0.0     # for other devices in this network, unencrypted"""


def register(subparsers: Any) -> None:
    """Add the command to `inn`'s parser."""
    parser = subparsers.add_parser(
        "serve",
        help="open a page for a browser to try sizes on pictures",
        description="Serve a page on which a person tries the bundle's sizes on pictures.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="MODEL.inn", help="the bundle")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name under which browsers reach this device, for instance board.lan",
    )
    parser.add_argument("--samples", type=Path, metavar="FOLDER", help="pictures that the page offers")
    preprocess_option(parser, "needed where the bundle does not say")
    engine_options(parser, guarded=True)
    primitive_option(parser)
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> None:
    try:
        import PIL
        import starlette
        import uvicorn
    except ImportError as error:
        raise UsageError(f"needs a web server: pip install 'innlite[serve]' ({error})") from None
    del PIL, starlette
    from .app import make_app
    from .pictures import find_samples
    from .workbench import Workbench

    samples = find_samples(options.samples) if options.samples else ()
    bundle = opened(options)
    listener = _listen(options.host, options.port)
    preprocess = preprocess_values(options.preprocess)
    with listener, Workbench(bundle, preprocess, options.threads, options.engine) as workbench:
        app = make_app(workbench, samples, hosts=(options.host, *options.allow_host))
        print(f"{bundle.manifest.name}: {_url(listener)} (Ctrl-C ends)", flush=True)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=32,  # open connections; a browser keeps about six
            timeout_keep_alive=10,
            timeout_graceful_shutdown=2,
        )
        # uvicorn shuts down at Ctrl-C and passes it on, unless this process was started to ignore it.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
        print("ended", flush=True)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises
    ------
    UsageError : no such address or port on this device
    InnError : the port is taken
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port: expected 0 to 65535, found {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host: {host!r} is no address of this device ({error})") from None
    try:
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise InnError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
