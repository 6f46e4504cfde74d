"""HTTP servers on loopback, for the sample API and the OTLP receiver."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

LOOPBACK = "127.0.0.1"

_MAX_HEADER_BYTES = 64 * 1024  # Envoy's own limit is 60 KiB for all headers


@asynccontextmanager
async def serve(
    application: web.Application,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve an application on loopback until the block is left; a handler that still runs then is cancelled.

    Bodies arrive as they were sent: nothing is decompressed.

    Args:
        application: what to serve.
        host: an address of loopback (all of 127.0.0.0/8 on Linux).
        port: 0 lets the kernel choose.
        tls: serves HTTPS.

    Yields:
        The port.
    """
    runner = web.AppRunner(
        application,
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        max_field_size=_MAX_HEADER_BYTES,
        max_line_size=_MAX_HEADER_BYTES,
        shutdown_timeout=0.1,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
