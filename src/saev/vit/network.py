"""Whether the hub that weights come from can be reached, found out in seconds.

Its client tries again for a quarter of a minute where there is no network, for each of the names that a file may have.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from errno import EINPROGRESS
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants

CONNECT_SECONDS: Final = 10.0
"""Within which one of the hub's addresses must take a connection; its own client waits as long for each of them."""
_NAME_SECONDS: Final = 15.0
_MEMORY_SECONDS: Final = 60.0
_known: dict[tuple[str, int], tuple[float, str | None]] = {}
_why_not: ContextVar[str | None] = ContextVar("_why_not", default=None)


@contextmanager
def cache_alone(why: str) -> Iterator[None]:
    """Within the block `hub` gives this reason and asks nobody: for names that come from a file, not from the user."""
    token = _why_not.set(why)
    try:
        yield
    finally:
        _why_not.reset(token)


def asks_nobody() -> bool:
    """Whether this is within `cache_alone`."""
    return _why_not.get() is not None


@contextmanager
def hub() -> Iterator[str | None]:
    """Where the hub cannot be reached, let its client look into its cache alone within the block.

    Yields:
        Why there is no network; None where there is one.
    """
    if constants.HF_HUB_OFFLINE:
        yield "HF_HUB_OFFLINE is set"
        return
    reason = _why_not.get() or _no_way(*_first_stop(constants.ENDPOINT))
    constants.HF_HUB_OFFLINE = reason is not None
    try:
        yield reason
    finally:
        constants.HF_HUB_OFFLINE = False


def _first_stop(address: str) -> tuple[str, int]:
    """Host and port of a web address, or of the proxy that stands before it."""
    url = urlsplit(address)
    proxies = {} if proxy_bypass(url.hostname or "") else getproxies()
    proxy = proxies.get(url.scheme, proxies.get("all"))
    stop = url if proxy is None else urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return stop.hostname or "", stop.port or (443 if stop.scheme == "https" else 80)


def _no_way(host: str, port: int) -> str | None:
    """Why a host cannot be reached; what was found holds for a minute."""
    if (host, port) in _known:
        when, reason = _known[host, port]
        if time.monotonic() - when < _MEMORY_SECONDS:
            return reason
    found: list[str | None] = []
    # In a thread, for nothing bounds how long the system looks for a name.
    thread = Thread(target=lambda: found.append(_failure(host, port)), daemon=True)
    thread.start()
    thread.join(_NAME_SECONDS + CONNECT_SECONDS)
    failure = found[0] if found else "its name is not found in time"
    reason = None if failure is None else f"{host} cannot be reached ({failure})"
    _known[host, port] = time.monotonic(), reason
    return reason


def _failure(host: str, port: int) -> str | None:
    """Why none of a host's addresses, all tried at once, takes a connection; None as soon as one does."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", None) or error)
    end = time.monotonic() + CONNECT_SECONDS
    failure = "it has no address"
    with ExitStack() as opened, selectors.DefaultSelector() as waiting:
        for family, _, _, _, address in addresses:
            code = _begin(family, address, opened, waiting)
            failure = failure if code == 0 else os.strerror(code)
        while waiting.get_map():
            ready = waiting.select(max(0.0, end - time.monotonic()))
            if not ready:
                return f"no answer within {CONNECT_SECONDS:g} seconds"
            for key, _events in ready:
                code = key.data.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    return None
                failure = os.strerror(code)
                waiting.unregister(key.fileobj)
    return failure


def _begin(family: int, address: Any, opened: ExitStack, waiting: selectors.BaseSelector) -> int:
    """Begin to connect to an address; the error number if that fails at once, otherwise 0."""
    try:
        one = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
    except OSError as error:  # a family of addresses that this machine does not have
        return error.errno or 0
    one.setblocking(False)
    code = one.connect_ex(address)
    if code in (0, EINPROGRESS):
        waiting.register(one, selectors.EVENT_WRITE, one)
        return 0
    return code
