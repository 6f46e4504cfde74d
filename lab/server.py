"""HTTP servers on loopback, for the sample API and the OTLP receiver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

LOOPBACK = "127.0.0.1"

_MAX_HEADER_BYTES = 64 * 1024  # Envoy's own limit is 60 KiB for all headers


@asynccontextmanager
async def serve(application: web.Application) -> AsyncIterator[int]:
    """Serve an application on loopback until the block is left; a handler that still runs then is cancelled.

    Bodies arrive as they were sent: nothing is decompressed.

    Yields:
        The port, chosen by the kernel.
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
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
