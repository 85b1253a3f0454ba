"""Binding the address and running the server until it is told to stop."""

import ctypes
import gc
import socket
from collections.abc import Callable
from dataclasses import replace

from ..runtime.errors import SettingsError
from .settings import Settings, check, is_loopback

_BACKLOG = 128
_STOP_S = 15
# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 16 * 1024 * 1024


def serve(settings: Settings, ready: Callable[[Settings], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished first.

    Args:
        ready: called with the settings, the real port in them, when everything is open.

    Raises:
        SettingsError: the address is taken or not this machine's.
        Others: what `create_app` raises.
    """
    check(settings)
    with bind(settings) as listener:
        bound = replace(settings, port=listener.getsockname()[1])
        import uvicorn

        from .app import create_app

        config = uvicorn.Config(
            create_app(bound),
            http="httptools",
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_STOP_S,
        )
        keep_buffers()
        # What was loaded stays; looking through it for garbage takes 10 ms every now and then.
        gc.freeze()
        ready(bound)
        uvicorn.Server(config).run(sockets=[listener])


def keep_buffers() -> None:
    """Let the C library keep buffers of a film's size instead of mapping each anew.

    A film of 1024 x 1024 pixels costs 665 page faults otherwise, 1.3 ms. Costs up to 16 MB a
    thread. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def bind(settings: Settings) -> socket.socket:
    """A listening socket.

    Raises:
        SettingsError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or asyncio does not switch off the kernel's waiting for fuller packets, which
    # costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as err:
        listener.close()
        raise SettingsError(
            f"cannot serve on {settings.host}:{settings.port}: "
            f"{getattr(err, 'strerror', None) or err}. "
            "Another program may use the port: choose another with --port, or stop it; "
            "--host must be an address of this machine."
        ) from err
    listener.setblocking(False)
    return listener


def addresses(settings: Settings) -> tuple[str, ...]:
    """Where to open the page, this machine's first."""
    port = settings.port
    if is_loopback(settings.host):
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        return (f"http://{name}:{port}/",)
    if settings.host in ("0.0.0.0", "::"):
        return (f"http://{_outward()}:{port}/", f"http://127.0.0.1:{port}/")
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    return (f"http://{name}:{port}/",)


def _outward() -> str:
    """This machine's address in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # A reserved address; connecting a datagram socket only looks up the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
