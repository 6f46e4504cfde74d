"""What holds for every test."""

import signal

# A shell starts what runs in its background with SIGINT ignored, and children inherit that: of those that tests
# start, some are sent it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
