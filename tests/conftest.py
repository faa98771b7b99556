"""What all tests stand on."""

import signal

# Started in the background (`make test &`), a process and all its children ignore Ctrl-C, and the tests that
# stop a run would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
