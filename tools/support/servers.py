"""Server processes that are measured, by tools/compare and tools/growth: started with a fresh directory on
127.0.0.1, watched in /proc, stopped by their process id. Standard library only."""

import os
import pathlib
import platform
import re
import socket
import subprocess
import time

HOST = "127.0.0.1"
READY_WITHIN_S = 90
STOP_WITHIN_S = 60
SETTLE_WITHIN_S = 10
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Why something could not be run, in one line."""


def free_port():
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def is_free(port):
    with socket.socket() as listener:
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def run(command, within_s=1800, **more):
    """The standard output of a command that has to succeed."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=within_s, **more)
    except FileNotFoundError as error:
        raise Failed(f"{command[0]} is not there") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(command[:3])} took longer than {within_s} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(f"{' '.join(command[:3])} failed: {said[0] if said else done.returncode}")
    return done.stdout


def machine():
    cpu = next((line.split(": ", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "load_average_at_start": os.getloadavg()[0], "clients": "on the same machine"}


class Programs:
    """Andy X's own, in ANDYX_BUILD_DIR (build), and the directory for data and results."""

    def __init__(self, directory, name):
        self.build = pathlib.Path(os.environ.get("ANDYX_BUILD_DIR", "build")).resolve()
        self.server = self.build / "server" / "andyx-server"
        self.bench = self.build / "tools" / "andyx-bench"
        self.cli = self.build / "tools" / "andyx-cli"
        self.directory = pathlib.Path(directory or self.build / name).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)

    def make(self, *more):
        run(["ninja", "-C", str(self.build), "server/andyx-server", "tools/andyx-bench", "tools/andyx-cli", *more],
            within_s=7200)


class Measured:
    """What servers have used, over all of their processes."""

    def pids(self):
        raise NotImplementedError

    def use(self):
        """CPU seconds and bytes written since their start."""
        cpu_ticks, written = 0, 0
        for pid in self.pids():
            base = pathlib.Path("/proc") / str(pid)
            fields = (base / "stat").read_text().rsplit(")", 1)[1].split()
            cpu_ticks += int(fields[11]) + int(fields[12])
            written += int(re.search(r"^write_bytes: (\d+)$", (base / "io").read_text(), re.M)[1])
        return cpu_ticks / TICKS_PER_S, written

    def settled_use(self):
        """The same once the servers have nothing left to do, at most ten seconds later."""
        before = self.use()
        for _ in range(SETTLE_WITHIN_S * 4):
            time.sleep(0.25)
            now = self.use()
            if now[0] - before[0] < 0.0125 * len(self.pids()):
                return now
            before = now
        return before

    def rss_bytes(self):
        pages = sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return pages * os.sysconf("SC_PAGE_SIZE")


class Server(Measured):
    """A server process, until stop(). Its output goes to DIRECTORY/server.log."""

    def __init__(self, command, port, directory, environment=None):
        self.port = port
        self.directory = directory
        self.log_path = directory / "server.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=directory, env={**os.environ, **(environment or {})})

    def wait_ready(self, said=None, within_s=READY_WITHIN_S):
        """Until it takes connections and, with `said`, until its log has that."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"its server ended at once: {self.last_line()}")
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                if said is None or said in self.log_path.read_text(errors="replace"):
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise Failed(f"its server was not ready within {within_s} s: {self.last_line()}")

    def last_line(self):
        lines = self.log_path.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def pids(self):
        return [self.process.pid]


class Group(Measured):
    """Several servers that are one system; clients begin with the first."""

    def __init__(self, servers):
        self.servers = servers
        self.port = servers[0].port

    def pids(self):
        return [pid for server in self.servers for pid in server.pids()]

    def stop(self):
        for server in self.servers:
            server.stop()


class AndyCluster(Measured):
    """Three nodes by tools/cluster, which also stops them."""

    NODES = 3
    PEER_PORTS_ABOVE = 1000
    TRIES = 100

    def __init__(self, directory, environment):
        self.directory = directory
        self.port = self.free_base()
        self.tool = str(pathlib.Path(__file__).resolve().parents[1] / "cluster")
        self.environment = environment
        run([self.tool, str(self.NODES), "--dir", str(directory), "--port", str(self.port), "--detach"],
            within_s=4 * READY_WITHIN_S, env=environment)
        self.nodes = [f"{HOST}:{self.port + node}" for node in range(self.NODES)]

    def free_base(self):
        """The first of as many ports in a row, which are free a thousand higher, too."""
        for _ in range(self.TRIES):
            base = free_port()
            wanted = [base + node + above for node in range(self.NODES) for above in (0, self.PEER_PORTS_ABOVE)]
            if max(wanted) < 65000 and all(is_free(port) for port in wanted):
                return base
        raise Failed("there are no six free ports for a cluster")

    def pids(self):
        return [int((self.directory / f"node-{node + 1}.pid").read_text()) for node in range(self.NODES)]

    def stop(self):
        run([self.tool, "--stop", str(self.directory)], within_s=2 * STOP_WITHIN_S, env=self.environment)
