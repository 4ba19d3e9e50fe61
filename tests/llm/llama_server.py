"""llama.cpp's server in a process that a test may kill."""

import subprocess
import sys
from pathlib import Path

_SERVE = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.n_ctx, settings.n_parallel, settings.verbosity = sys.argv[1], 1024, 1, 0
settings.swa_full, settings.cpuparams.n_threads, settings.port = True, 1, int(sys.argv[2])
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


class Server:
    """llama.cpp's server of a model in another process."""

    def __init__(self, model: Path, port: int = 0):
        command = [sys.executable, "-c", _SERVE, str(model), str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
