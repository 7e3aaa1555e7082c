"""The systems that tools/compare sets side by side: what each needs, how it is installed and started,
and how it is loaded. Every server listens on 127.0.0.1 only, on a free port, with a fresh directory.

A contestant is one system with one promise of durability. Standard library only.
"""

import dataclasses
import glob
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

HOST = "127.0.0.1"
READY_WITHIN_S = 90
STOP_WITHIN_S = 60
SETTLE_WITHIN_S = 10
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
TOPIC = "compare"
PARTITIONS = 4  # where a system has them
NATS_MODULE = "github.com/nats-io/nats-server/v2@v2.11.4"
KAFKA_ARTIFACT = ("org.apache.kafka", "kafka_2.13", "3.9.1")
KAFKA_CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"


class Failed(Exception):
    """Why something could not be run, in one line."""


def free_port():
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


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


class Server:
    """A server process, until stop(). Its output goes to DIRECTORY/server.log."""

    def __init__(self, command, port, directory, environment=None):
        self.port = port
        self.directory = directory
        self.log_path = directory / "server.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=directory, env={**os.environ, **(environment or {})})

    def wait_ready(self, said=None):
        """Until it takes connections and, with `said`, until its log has that."""
        end = time.monotonic() + READY_WITHIN_S
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
        raise Failed(f"its server was not ready within {READY_WITHIN_S} s: {self.last_line()}")

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

    def use(self):
        """CPU seconds and bytes written since its start."""
        base = pathlib.Path("/proc") / str(self.process.pid)
        fields = (base / "stat").read_text().rsplit(")", 1)[1].split()
        written = re.search(r"^write_bytes: (\d+)$", (base / "io").read_text(), re.M)
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S, int(written[1])

    def settled_use(self):
        """The same once the server has nothing left to do, at most ten seconds later."""
        before = self.use()
        for _ in range(SETTLE_WITHIN_S * 4):
            time.sleep(0.25)
            now = self.use()
            if now[0] - before[0] < 0.0125:
                return now
            before = now
        return before


@dataclasses.dataclass
class Contestant:
    name: str
    system: str
    durability: str  # what an acknowledgement says
    fsync: bool      # before each acknowledgement


class System:
    """What is common to all; a subclass for each."""

    key = ""
    contestants = ()
    connections = 1
    window = 20000  # messages unacknowledged, over all connections

    def __init__(self, tools):
        self.tools = tools

    def install(self):
        """Installs what is missing, by name."""

    def find(self):
        """Raises Failed where something is missing; returns the version."""
        raise NotImplementedError

    def can(self, contestant):
        """Raises Failed where this version cannot make that promise."""

    def start(self, contestant, directory):
        raise NotImplementedError

    def publish(self, server, name, messages, size, one_at_a_time):
        """{messages, elapsed_s, latency_ms}; every message was found stored afterwards."""
        result = self.load(server, "publish", name, messages,
                           "--size", str(size), "--window", "1" if one_at_a_time else str(self.window),
                           "--connections", "1" if one_at_a_time else str(self.connections))
        return self.counted(result, messages)

    def consume(self, server, name, messages, size):
        result = self.load(server, "consume", name, messages)
        if result["payload_bytes"] != messages * size:
            raise Failed(f"{result['payload_bytes']} bytes came instead of {messages * size}")
        return self.counted(result, messages)

    def load(self, server, action, name, messages, *more):
        return json.loads(run([str(self.tools.load), self.key, action, "--port", str(server.port),
                               "--name", name, "--messages", str(messages),
                               "--partitions", str(PARTITIONS), *more]))

    @staticmethod
    def counted(result, messages):
        if result["messages"] != messages or result["stored"] != messages:
            raise Failed(f"{result['messages']} acknowledged and {result['stored']} stored, of {messages}")
        return result

    def program(self, name):
        """Given by --program, installed for this comparison, or on the PATH."""
        given = self.tools.programs.get(self.key)
        own = self.tools.directory / "programs" / name
        path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
        found = given or (str(own) if own.exists() else shutil.which(name, path=path))
        if not found:
            raise Failed(f"{name} is not installed; tools/compare --install brings it")
        return found


class AndyX(System):
    key = "andyx"
    contestants = (Contestant("Andy X", "andyx", "fsync before each acknowledgement", True),
                   Contestant("Andy X, no fsync", "andyx", "written, not synced", False))

    def find(self):
        for program in (self.tools.server, self.tools.bench, self.tools.cli):
            if not program.exists():
                raise Failed(f"{program} is not built")
        return run([str(self.tools.server), "--version"]).split()[-1]

    def start(self, contestant, directory):
        port = free_port()
        server = Server([str(self.tools.server), "--data-dir", str(directory / "data"),
                         "--listen", f"{HOST}:{port}", "--peer-listen", f"{HOST}:0",
                         "--fsync", "true" if contestant.fsync else "false"], port, directory,
                        {"ANDYX_CONFIG": ""} if "ANDYX_CONFIG" in os.environ else None)
        server.wait_ready()
        return server

    def bench(self, server, *words):
        return json.loads(run([str(self.tools.bench), "--server", f"{HOST}:{server.port}", *words,
                               "--json", "-"]))

    def stored(self, server, name):
        said = json.loads(run([str(self.tools.cli), "--server", f"{HOST}:{server.port}",
                               "topic", "describe", name, "--output", "json"]))
        return sum(p["committed_offset"] - p["start_offset"] for p in said["partitions"])

    def publish(self, server, name, messages, size, one_at_a_time):
        words = ["produce", name, "--messages", str(messages), "--size", str(size),
                 "--partitions", str(PARTITIONS)]
        report = self.bench(server, *words, *(["--one-at-a-time"] if one_at_a_time else []))
        return self.counted({"messages": report["messages_acked"], "elapsed_s": report["elapsed_s"],
                             "latency_ms": report["latency_ms"],
                             "stored": self.stored(server, name)}, messages)

    def consume(self, server, name, messages, size):
        report = self.bench(server, "consume", name)
        if round(report["bytes_per_s"] * report["elapsed_s"]) != messages * size:
            raise Failed("not every byte came")
        return self.counted({"messages": report["messages_consumed"], "elapsed_s": report["elapsed_s"],
                             "stored": self.stored(server, name)}, messages)


class Nats(System):
    key = "nats"
    window = 8000  # a stream refuses messages while 10,000 wait
    contestants = (Contestant("NATS JetStream", "nats", "written; synced every 2 minutes (its default)", False),
                   Contestant("NATS JetStream, fsync", "nats", "sync_interval: always", True))

    def install(self):
        if shutil.which("go"):
            programs = self.tools.directory / "programs"
            run(["go", "install", NATS_MODULE], env={**os.environ, "GOBIN": str(programs.resolve())})
        else:
            self.tools.apt_install("nats-server")

    def find(self):
        return run([self.program("nats-server"), "--version"]).split()[-1].lstrip("v")

    def can(self, contestant):
        version = tuple(int(part) for part in re.findall(r"\d+", self.find())[:2])
        if contestant.fsync and version < (2, 10):
            raise Failed("this version has no `sync_interval: always`, which came with 2.10")

    def start(self, contestant, directory):
        port = free_port()
        always = "sync_interval: always" if contestant.fsync else ""
        config = directory / "nats.conf"
        config.write_text(f'listen: "{HOST}:{port}"\njetstream {{\n  store_dir: "{directory}/data"\n  {always}\n}}\n')
        server = Server([self.program("nats-server"), "-c", str(config)], port, directory)
        server.wait_ready(said="Server is ready")
        return server


class Redis(System):
    key = "redis"
    connections = 16  # it takes 16 KB of each in a turn, and syncs once for all of them
    contestants = (Contestant("Redis Streams", "redis", "append-only file, synced every second", False),
                   Contestant("Redis Streams, fsync", "redis", "appendfsync always", True))

    def install(self):
        self.tools.apt_install("redis-server")

    def find(self):
        return re.search(r"v=(\S+)", run([self.program("redis-server"), "--version"]))[1]

    def start(self, contestant, directory):
        port = free_port()
        server = Server([self.program("redis-server"), "--bind", HOST, "--port", str(port),
                         "--dir", str(directory), "--save", "", "--appendonly", "yes",
                         "--appendfsync", "always" if contestant.fsync else "everysec"], port, directory)
        server.wait_ready()
        return server


class Kafka(System):
    key = "kafka"
    contestants = (Contestant("Apache Kafka", "kafka", "in the page cache (its default)", False),
                   Contestant("Apache Kafka, fsync", "kafka", "log.flush.interval.messages=1", True))

    def jars(self):
        given = self.tools.programs.get(self.key)  # a folder
        folder = given or str(self.tools.directory / "programs" / "kafka")
        if not glob.glob(f"{folder}/kafka_*.jar"):
            raise Failed("its jars are not here; tools/compare --install brings them")
        return folder

    def install(self):
        if not shutil.which("java"):
            self.tools.apt_install("default-jre-headless")
        if not shutil.which("mvn"):
            self.tools.apt_install("maven")
        folder = (self.tools.directory / "programs" / "kafka").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        group, artifact, version = KAFKA_ARTIFACT
        (folder / "pom.xml").write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>compare</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>"
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version></dependency></dependencies></project>")
        run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}",
             "-DincludeScope=runtime"], cwd=folder)

    def find(self):
        if not shutil.which("java"):
            raise Failed("java is not installed; tools/compare --install brings it")
        return re.search(r"kafka_[\d.]+-([\d.]+)\.jar", " ".join(glob.glob(f"{self.jars()}/kafka_*.jar")))[1]

    def java(self, *words):
        return ["java", "-Xms1g", "-Xmx1g", "-cp", f"{self.jars()}/*", *words]

    def start(self, contestant, directory):
        port, controller = free_port(), free_port()
        config = directory / "kafka.properties"
        lines = [f"listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
                 f"advertised.listeners=PLAINTEXT://{HOST}:{port}", "process.roles=broker,controller",
                 "node.id=1", f"controller.quorum.voters=1@{HOST}:{controller}",
                 "controller.listener.names=CONTROLLER", f"log.dirs={directory}/data",
                 "offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1",
                 "transaction.state.log.min.isr=1"]
        if contestant.fsync:
            lines.append("log.flush.interval.messages=1")
        config.write_text("\n".join(lines) + "\n")
        run(self.java("kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER_ID, "-c", str(config)))
        server = Server(self.java("kafka.Kafka", str(config)), port, directory)
        server.wait_ready()
        return server


class NotHere(System):
    """A system that is not set beside the others, and why."""

    why = ""

    def find(self):
        raise Failed(self.why)


class RabbitMq(NotHere):
    key = "rabbitmq"
    contestants = (Contestant("RabbitMQ streams", "rabbitmq", "", False),
                   Contestant("RabbitMQ quorum queue", "rabbitmq", "", True))
    why = "there is no load generator for its protocols here"


class Iggy(NotHere):
    key = "iggy"
    contestants = (Contestant("Apache Iggy", "iggy", "", False), Contestant("Apache Iggy, fsync", "iggy", "", True))
    why = "its server is not published as a crate, and there is no load generator for its protocol here"


SYSTEMS = (AndyX, Nats, Redis, Kafka, RabbitMq, Iggy)
