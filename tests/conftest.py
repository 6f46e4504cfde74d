"""What holds for every test."""

import signal

from hypothesis import settings

# How long an example takes says nothing on a machine that others use at the same time.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

# A shell starts what runs in its background with SIGINT ignored, which children inherit: here too those that
# are sent it by a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
