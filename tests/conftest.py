"""What all tests stand on."""

import os
import signal

# Workers side by side, and the kernels that they start, take one thread each: many threads on few processors
# wait for one another, and a training of a minute then takes a quarter of an hour.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Started in the background (`make test &`), a process and all its children ignore Ctrl-C, and the tests that
# stop a run would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
