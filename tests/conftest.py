"""What holds for every test."""

import signal

# A shell starts what runs in its background with SIGINT ignored, which children inherit: here too those that
# are sent it by a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
