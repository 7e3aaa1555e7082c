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

from servers import HOST, AndyCluster, Failed, Group, Server, free_port, run

TOPIC = "compare"
PARTITIONS = 4  # where a system has them
NATS_MODULE = "github.com/nats-io/nats-server/v2@v2.11.4"
KAFKA_ARTIFACT = ("org.apache.kafka", "kafka_2.13", "3.9.1")
RABBITMQ_READY_WITHIN_S = 240  # it is 10 s of CPU time on two cores
KAFKA_CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"


@dataclasses.dataclass
class Contestant:
    name: str
    system: str
    durability: str  # what an acknowledgement says
    fsync: bool      # before each acknowledgement
    nodes: int = 1
    window: int = 0  # messages unacknowledged; 0: as of its system

    @property
    def title(self):
        return self.name if self.nodes == 1 else f"{self.name}, {self.nodes} nodes"


class System:
    """What is common to all; a subclass for each."""

    key = ""
    contestants = ()
    connections = 1
    window = 20000  # messages unacknowledged, over all connections
    start_s = 2     # about how long it takes to start and to stop

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

    def publish(self, server, contestant, name, work):
        """{messages, elapsed_s, latency_ms}; every message was found stored afterwards."""
        one, window = work.one_at_a_time, contestant.window or self.window
        result = self.load(server, "publish", name, work.messages, work.seconds, "--size", str(work.size),
                           "--window", "1" if one else str(window),
                           "--connections", "1" if one else str(self.connections),
                           *(["--replicas", str(contestant.nodes)] if contestant.nodes > 1 else []))
        return self.counted(result, work, work.messages, result["messages"])

    def consume(self, server, name, work, stored):
        """{messages, elapsed_s} of what publishing has stored."""
        result = self.load(server, "consume", name, stored, work.seconds)
        if result["payload_bytes"] != result["messages"] * work.size:
            raise Failed(f"{result['payload_bytes']} bytes came in {result['messages']} messages")
        return self.counted(result, work, stored, stored)

    def load(self, server, action, name, messages, seconds, *more):
        return json.loads(run([str(self.tools.load), self.key, action, "--port", str(server.port),
                               "--name", name, "--messages", str(messages), "--seconds", str(seconds),
                               "--partitions", str(PARTITIONS), *more]))

    @staticmethod
    def counted(result, work, wanted, stored):
        """Fewer than wanted only where the time was over; and all that were acknowledged are there."""
        if result["stored"] != stored or not 0 < result["messages"] <= wanted:
            raise Failed(f"{result['messages']} counted and {result['stored']} stored, of {wanted}")
        if result["messages"] < wanted and result["elapsed_s"] < work.seconds * 0.95:
            raise Failed(f"only {result['messages']} of {wanted} after {result['elapsed_s']:.1f} s")
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
                   Contestant("Andy X, no fsync", "andyx", "written, not synced", False),
                   Contestant("Andy X", "andyx", "fsync on all copies, on two before each acknowledgement", True, 3))

    def find(self):
        for program in (self.tools.server, self.tools.bench, self.tools.cli):
            if not program.exists():
                raise Failed(f"{program} is not built")
        return run([str(self.tools.server), "--version"]).split()[-1]

    def start(self, contestant, directory, ready=True):
        """With `ready`, when it serves; else at once."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANDYX_")}
        environment["ANDYX_BUILD_DIR"] = str(self.tools.build)
        if contestant.nodes > 1:
            return AndyCluster(directory / "data", environment)
        port = free_port()
        server = Server([str(self.tools.server), "--data-dir", str(directory / "data"),
                         "--listen", f"{HOST}:{port}", "--peer-listen", f"{HOST}:0",
                         "--fsync", "true" if contestant.fsync else "false"], port, directory, environment)
        server.nodes = [f"{HOST}:{port}"]
        if ready:
            server.wait_ready()
        return server

    def bench(self, server, *words):
        return json.loads(run([str(self.tools.bench), "--server", ",".join(server.nodes), *words, "--json", "-"]))

    def cli(self, node, *words):
        return json.loads(run([str(self.tools.cli), "--server", node, *words, "--output", "json"]))

    def stored(self, server, name):
        said = self.cli(",".join(server.nodes), "topic", "describe", name)
        return sum(p["committed_offset"] - p["start_offset"] for p in said["partitions"])

    def syncs(self, server):
        """(syncs, bytes written to what is synced), over all nodes."""
        shards = [shard for node in server.nodes for shard in self.cli(node, "node", "status")["storage"]]
        return sum(shard["syncs"] for shard in shards), sum(shard["written_bytes"] for shard in shards)

    def publish(self, server, contestant, name, work):
        words = ["produce", name, "--messages", str(work.messages), "--seconds", str(work.seconds),
                 "--size", str(work.size), "--partitions", str(PARTITIONS)]
        if contestant.nodes > 1:
            words += ["--replication-factor", str(contestant.nodes), "--acks", "quorum"]
        before = self.syncs(server)
        report = self.bench(server, *words, *(["--one-at-a-time"] if work.one_at_a_time else []))
        after = self.syncs(server)
        syncs, written = after[0] - before[0], after[1] - before[1]
        return self.counted({"messages": report["messages_acked"], "elapsed_s": report["elapsed_s"],
                             "latency_ms": report["latency_ms"], "stored": self.stored(server, name),
                             "bytes_per_sync": written / syncs if syncs else None},
                            work, work.messages, report["messages_acked"])

    def consume(self, server, name, work, stored):
        report = self.bench(server, "consume", name, "--messages", str(stored), "--seconds", str(work.seconds))
        messages = report["messages_consumed"]
        if round(report["bytes_per_s"] * report["elapsed_s"]) != messages * work.size:
            raise Failed("not every byte came")
        return self.counted({"messages": messages, "elapsed_s": report["elapsed_s"],
                             "stored": self.stored(server, name)}, work, stored, stored)


class Nats(System):
    key = "nats"
    window = 8000  # a stream refuses messages while 10,000 wait
    contestants = (Contestant("NATS JetStream", "nats", "written; synced every 2 minutes (its default)", False),
                   # It syncs for each message: what waits in a longer window waits for seconds.
                   Contestant("NATS JetStream, fsync", "nats", "sync_interval: always", True, window=500),
                   Contestant("NATS JetStream", "nats", "3 replicas, a quorum has written (its default)", False, 3))

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
        ports = [free_port() for _ in range(contestant.nodes)]
        routes = [free_port() for _ in range(contestant.nodes)]
        servers = []
        try:
            for port, route in zip(ports, routes):
                own = directory if contestant.nodes == 1 else directory / str(port)
                own.mkdir(exist_ok=True)
                config = own / "nats.conf"
                config.write_text(self.config(contestant, directory / "data" / str(port), port, route, routes))
                servers.append(Server([self.program("nats-server"), "-c", str(config)], port, own))
            for server in servers:
                # In a cluster JetStream serves once its metadata has a leader: the first request waits for it.
                server.wait_ready(said="Server is ready" if contestant.nodes == 1 else "metadata leader")
        except Failed:
            for server in servers:
                server.stop()
            raise
        return servers[0] if contestant.nodes == 1 else Group(servers)

    @staticmethod
    def config(contestant, store, port, route, routes):
        # While it syncs it does not read, so that an answer to its ping may come late.
        lines = [f'listen: "{HOST}:{port}"', f'server_name: "{port}"', 'ping_interval: "1h"',
                 f'jetstream {{ store_dir: "{store}"', "sync_interval: always" if contestant.fsync else "", "}"]
        if contestant.nodes > 1:
            others = ", ".join(f'"nats://{HOST}:{other}"' for other in routes)
            lines.append(f'cluster {{ name: compare, listen: "{HOST}:{route}", routes: [{others}] }}')
        return "\n".join(lines) + "\n"


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
    start_s = 12
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


class RabbitServer(Server):
    """The script, the Erlang machine below it, which is the server, and the name service of its own."""

    def __init__(self, command, port, directory, environment, names):
        super().__init__(command, port, directory, environment)
        self.names = names

    def pids(self):
        script = self.process.pid
        children = pathlib.Path(f"/proc/{script}/task/{script}/children").read_text().split()
        return [int(pid) for pid in children if pathlib.Path(f"/proc/{pid}/comm").read_text() == "beam.smp\n"]

    def stop(self):
        super().stop()
        self.names.stop()


class RabbitMq(System):
    key = "rabbitmq"
    window = 40000  # it stops reading at 50,000
    start_s = 25
    contestants = (Contestant("RabbitMQ streams", "rabbitmq", "written, not synced (its only promise)", False),
                   Contestant("RabbitMQ streams, fsync", "rabbitmq", "", True))
    scripts = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"

    def install(self):
        self.tools.apt_install("rabbitmq-server")

    def script(self):
        given = self.tools.programs.get(self.key)
        found = [given] if given else sorted(glob.glob(f"{self.scripts}/rabbitmq-server"))
        if not found:
            raise Failed("rabbitmq-server is not installed; tools/compare --install brings it")
        return found[-1]

    def find(self):
        version = re.search(r"rabbitmq_server-([\d.]+)", self.script())
        return version[1] if version else "unknown"

    def can(self, contestant):
        if contestant.fsync:
            raise Failed("its streams have no such option: a confirmation says written by a quorum of copies")

    def start(self, contestant, directory):
        port, amqp, names, distribution = (free_port() for _ in range(4))
        own = directory / "names"
        own.mkdir()
        # Its own, so that it neither uses nor leaves behind one for the whole machine.
        epmd = Server(["epmd", "-port", str(names), "-address", HOST], names, own)
        (directory / "enabled_plugins").write_text("[rabbitmq_stream].\n")
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = {HOST}:{amqp}\n"
                                                 f"stream.listeners.tcp.1 = {HOST}:{port}\n")
        server = None
        try:
            epmd.wait_ready()
            server = RabbitServer([self.script()], port, directory, {
                "HOME": str(directory), "ERL_EPMD_PORT": str(names), "ERL_EPMD_ADDRESS": HOST,
                "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_NODENAME": "compare@localhost",
                "RABBITMQ_MNESIA_BASE": str(directory / "data"), "RABBITMQ_LOG_BASE": str(directory),
                "RABBITMQ_LOGS": "-", "RABBITMQ_PID_FILE": str(directory / "pid"),
                "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
                "RABBITMQ_DIST_PORT": str(distribution),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"}, epmd)
            server.wait_ready(said="Server startup complete", within_s=RABBITMQ_READY_WITHIN_S)
        except Failed:
            (server or epmd).stop()
            raise
        return server


class NotHere(System):
    """A system that is not set beside the others, and why."""

    why = ""

    def find(self):
        raise Failed(self.why)


class Iggy(NotHere):
    key = "iggy"
    contestants = (Contestant("Apache Iggy", "iggy", "", False), Contestant("Apache Iggy, fsync", "iggy", "", True))
    why = "its server is not published as a crate (only its client is), and there is no load for its protocol here"


SYSTEMS = (AndyX, Nats, Redis, Kafka, RabbitMq, Iggy)
