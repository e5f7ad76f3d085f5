"""vigie and node_exporter as running programs whose CPU time and memory are counted."""

import http.client
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import time

# node_exporter 1.5.0 has these on by default; one a line would be a long list.
DEFAULT_COLLECTORS = """
    arp bcache bonding btrfs conntrack cpu cpufreq diskstats dmi edac entropy fibrechannel filefd filesystem hwmon
    infiniband ipvs loadavg mdadm meminfo netclass netdev netstat nfs nfsd nvme os powersupplyclass pressure rapl
    schedstat selinux sockstat softnet stat tapestats textfile thermal_zone time timex udp_queues uname vmstat xfs zfs
""".split()
# What Debian's package changes of node_exporter's defaults is set on both sides.
SAME_FLAGS = [
    "--collector.netdev.device-exclude=^$",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys)($|/)",
    "--collector.textfile.directory=",
]
ROUNDS = 10
TICKS = os.sysconf("SC_CLK_TCK")
ROOT = pathlib.Path(__file__).resolve().parent.parent
PLAIN = {"Accept-Encoding": "identity"}
GZIP = {"Accept-Encoding": "gzip"}


class Program:
    """A running exporter."""

    def __init__(self, name, command, port):
        self.name = name
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.first = self.until_first_scrape()

    def until_first_scrape(self):
        """CPU milliseconds from the start to the first answered scrape."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.scrape({})
                return self.cpu_of_threads() * 1000
            except OSError:
                self.connection.close()
                if self.process.poll() is not None:
                    break
                time.sleep(0.002)
        raise SystemExit(f"{self.name} does not answer: {' '.join(self.process.args)}")

    def scrape(self, headers):
        """Bytes of the answer."""
        self.connection.request("GET", "/metrics", headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    def series(self):
        """Number of samples in an answer."""
        lines = self.scrape(PLAIN).splitlines()
        return sum(1 for line in lines if line and not line.startswith(b"#"))

    def cpu(self):
        """Seconds of CPU so far, user and system."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def cpu_of_threads(self):
        """The same to the nanosecond, of the threads that live."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def status(self, key):
        """The number in a line of /proc/PID/status."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise SystemExit(f"no {key}")

    def memory(self, key):
        """Megabytes, a line of /proc/PID/status."""
        return self.status(key) / 1024

    def forget_touched(self):
        """From here on the kernel notes which pages are touched."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("1")

    def touched(self):
        """Megabytes of memory touched since: what the work needs, whatever else is mapped beside it."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/smaps").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Referenced:")) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def add_option(parser):
    parser.add_argument("--vigie", default=str(ROOT / "target/release/vigie"))


def find(vigie):
    """Paths of both programs."""
    original = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if not original or not os.path.exists(vigie):
        raise SystemExit("needs prometheus-node-exporter and `cargo build --release`")
    return vigie, original


def start_pair(programs, directory, flags, original_flags=()):
    """Both programs with the same flags."""
    vigie, original = programs
    port = free_port()
    command = [vigie, "serve", f"--web.listen-address=127.0.0.1:{port}"]
    command += ["--alerting.listen-address=127.0.0.1:0", f"--storage.path={directory}"]
    ours = Program("vigie", command + list(flags), port)
    port = free_port()
    command = [original, f"--web.listen-address=127.0.0.1:{port}"]
    return [ours, Program("node_exporter", command + list(flags) + list(original_flags), port)]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def only(collectors):
    """Flags that switch on these collectors and no other."""
    return ["--collector.disable-defaults"] + [f"--collector.{name}" for name in collectors]


def measure(programs, scrapes, headers):
    """CPU milliseconds per scrape of each program, taken in turns."""
    spent = [0.0 for _ in programs]
    for program in programs:
        for _ in range(5):
            program.scrape(headers)
    each = max(scrapes // ROUNDS, 1)
    for _ in range(ROUNDS):
        for at, program in enumerate(programs):
            before = program.cpu()
            for _ in range(each):
                program.scrape(headers)
            spent[at] += program.cpu() - before
    return [seconds * 1000 / (each * ROUNDS) for seconds in spent]


def table(rows):
    yield "| what | vigie | node_exporter | share |"
    yield "|---|---|---|---|"
    for what, ours, theirs, unit in rows:
        yield f"| {what} | {ours:.3g} {unit} | {theirs:.3g} {unit} | {ours / theirs:.2f} |"


def machine():
    cpu = "unknown CPU"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    load = os.getloadavg()[0]
    return f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}; load {load:.1f} at the end"
