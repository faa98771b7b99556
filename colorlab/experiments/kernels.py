"""Isolated kernels, and papermill's engine with a second attempt for a kernel that fails to start.

Over TCP, kernels started at the same time occasionally pick the same ports; over IPC with the default socket
name they share sockets within a working directory. Here each kernel has a private folder for its sockets and
its key.
"""

import os
import sys
import tempfile

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from papermill.engines import NBClientEngine, papermill_engines
from traitlets import default

ENGINE = "colorlab"
START_ATTEMPTS = 3
# the system's limit is 104 on macOS and 108 on Linux; the rest of the name needs some
LONGEST_SOCKET_PATH = 90


class PrivateKernel(AsyncKernelManager):
    """A Python kernel of this very environment, whatever kernels the user has installed under the notebook's
    kernel name."""

    @property
    def kernel_spec(self) -> KernelSpec:
        if self._kernel_spec is None:
            launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            self._kernel_spec = KernelSpec(
                argv=launch, display_name="Python 3 (ipykernel)", language="python"
            )
        return self._kernel_spec

    @default("transport")
    def _private_transport(self) -> str:
        return "tcp" if sys.platform == "win32" else "ipc"

    @default("connection_file")
    def _private_connection_file(self) -> str:
        short = "/tmp" if len(
            tempfile.gettempdir()) > LONGEST_SOCKET_PATH - 40 and os.path.isdir("/tmp") else None
        # readable by its owner only
        self._folder = tempfile.TemporaryDirectory(prefix="colorlab-", dir=short)
        # the sockets are beside it: kernel-ipc-1, -2, ...
        return os.path.join(self._folder.name, "kernel.json")


class SecondTryEngine(NBClientEngine):
    """papermill's own engine, except that a kernel that dies before the first cell is restarted once."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)
            except Exception:
                began = any(cell.metadata.papermill["status"] != nb_man.PENDING for cell in nb_man.nb.cells)
                if began or attempt == START_ATTEMPTS:
                    raise


papermill_engines.register(ENGINE, SecondTryEngine)
