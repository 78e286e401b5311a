# SPDX-License-Identifier: Apache-2.0
"""Real processes on free loopback ports: server, simulator, command line. Used by tests, demo and benchmarks."""
import base64
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("DROVER_BIN", ROOT / "build" / "bin"))
MASTER = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


class Failed(AssertionError):
    """A step did not do what it should."""


def wait_for(what, check, timeout=30.0, every=0.05):
    """The first true value of check(), or Failed."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"timeout after {timeout} s: {what}")
        time.sleep(every)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*args, check=True, stdin=None, env=None, timeout=120, cwd=None):
    """Run a program of ours to its end; (exit code, stdout, stderr)."""
    done = subprocess.run(
        [str(BIN / args[0]), *map(str, args[1:])], input=stdin, capture_output=True, text=True, timeout=timeout,
        cwd=cwd,
        env={**os.environ, **(env or {})}, check=False)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.returncode, done.stdout, done.stderr


class Rest:
    """One keep-alive connection with an API key."""

    def __init__(self, host, port, key, timeout=60):
        self.host, self.port, self.key, self.timeout = host, port, key, timeout
        self.conn = None
        self.headers = {}

    def raw(self, method, path, body=None, headers=None):
        """(status, body bytes); the answer's headers are in self.headers, lower-case."""
        head = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        head.update(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            head.setdefault("Content-Type", "application/json")
        for attempt in (0, 1):
            if self.conn is None:
                self.conn = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            try:
                self.conn.request(method, path, body=body, headers=head)
                answer = self.conn.getresponse()
                data = answer.read()
                self.headers = {k.lower(): v for k, v in answer.getheaders()}
                return answer.status, data
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if attempt:
                    raise
        raise Failed("unreachable")

    def __call__(self, method, path, body=None, expect=None):
        """(status, JSON or text)."""
        status, data = self.raw(method, path, body)
        try:
            value = json.loads(data) if data else None
        except ValueError:
            value = data.decode("utf-8", "replace")
        if expect is not None and status != expect:
            raise Failed(f"{method} {path}: {status} instead of {expect}: {value}")
        return status, value

    def get(self, path):
        return self("GET", path, expect=200)[1]

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None


class Server:
    """droverd on a data folder of its own."""

    def __init__(self, folder, *options, init=True):
        self.dir = pathlib.Path(folder)
        self.options = list(map(str, options))
        self.process = None
        self.ready = None
        self.key = self.account = None
        self.log = self.dir.parent / (self.dir.name + ".log")
        if init:
            made = json.loads(run("droverd", "init", "--data", self.dir, "--json")[1])
            self.key, self.account = made["api_key"], made["account_id"]

    def start(self, *options, timeout=60, env=None):
        ready = self.dir / "run" / "ready.json"
        if ready.exists():
            ready.unlink()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(BIN / "droverd"), "--data", str(self.dir), "--coaps", "127.0.0.1:0", "--http", "127.0.0.1:0",
                 "--metrics", "127.0.0.1:0", "--bootstrap", "127.0.0.1:0", *self.options, *map(str, options)],
                stdout=log, stderr=log, env={**os.environ, **(env or {})})

        def up():
            if self.process.poll() is not None:
                raise Failed(f"droverd ended with {self.process.returncode}:\n{self.tail()}")
            return ready.exists() and json.loads(ready.read_text() or "null")

        self.ready = wait_for("droverd ready", up, timeout)
        return self

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def address(self, name):
        host, _, port = self.ready[name].rpartition(":")
        return host.strip("[]"), int(port)

    def rest(self, key=None, timeout=60):
        return Rest(*self.address("http"), key or self.key, timeout)

    def metrics(self):
        """{sample with labels: value}"""
        host, port = self.address("metrics")
        conn = http.client.HTTPConnection(host, port, timeout=10)
        conn.request("GET", "/metrics")
        text = conn.getresponse().read().decode()
        conn.close()
        out = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                out[name] = float(value)
        return out

    def env(self):
        host, port = self.address("http")
        return {"DROVER_URL": f"http://{host}:{port}", "DROVER_API_KEY": self.key}

    def cli(self, *args, check=True, stdin=None):
        return run("drover", *args, check=check, stdin=stdin, env=self.env())

    def import_psks(self, count, prefix="sim-", first=0):
        """Give the simulator's devices their keys; the file of the master key."""
        master = self.dir.parent / "master.hex"
        master.write_text(MASTER + "\n")
        csv = self.dir.parent / f"keys-{prefix}{first}.csv"
        csv.write_text(run("drover", "psk", "derive", "--prefix", prefix, "--first", first, "--count", count,
                           "--master-file", master)[1])
        self.cli("psk", "import", csv)
        csv.unlink()
        return master

    def cpu_s(self):
        """User and system time of the server so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def stop(self, timeout=60):
        """SIGTERM; the exit code must be 0."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(timeout)
            if code != 0:
                raise Failed(f"droverd ended with {code} after SIGTERM:\n{self.tail()}")
        self.process = None

    def kill(self):
        """SIGKILL: a crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.process = None


class Sim:
    """drover-sim in the background."""

    def __init__(self, server_uri, devices, *options, log=None):
        self.err = open(log, "ab") if log else subprocess.DEVNULL  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [str(BIN / "drover-sim"), "--server", server_uri, "--devices", str(devices), "--json",
             *map(str, options)],
            stdout=subprocess.PIPE, stderr=self.err, text=True)

    def wait(self, timeout=120, check=True):
        """The summary."""
        out, _ = self.process.communicate(timeout=timeout)
        if check and self.process.returncode != 0:
            raise Failed(f"drover-sim ended with {self.process.returncode}: {out[-2000:]}")
        lines = out.strip().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def stop(self):
        """SIGTERM and the summary."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.wait(timeout=30, check=False)
        except subprocess.TimeoutExpired:
            self.kill()
            return {}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Client:
    """One drover-client; its lines of standard output and of standard error are in out and err."""

    def __init__(self, folder, *args):
        self.args = [str(BIN / "drover-client"), "--data", str(folder), *map(str, args)]
        self.out, self.err = [], []
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.PIPE, text=True)
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=self.collect, args=(stream, lines), daemon=True).start()

    @staticmethod
    def collect(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def registrations(self):
        return self.out.count("Client registered")

    def registered(self, times=1, timeout=30):
        """The device id, once it registered so many times."""

        def there():
            if self.process.poll() is not None:
                raise Failed(f"drover-client ended with {self.process.returncode}: {self.err}")
            ids = [line[11:] for line in self.out if line.startswith("Device Id: ")]
            return ids[-1] if self.registrations() >= times and len(ids) >= times else None

        return wait_for(f"registered {times} times: {self.err}", there, timeout)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, self.err

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def coaps(server, tcp=False):
    host, port = server.address("coaps")
    return f"coaps{'+tcp' if tcp else ''}://{host}:{port}"


def devices_registered(rest, count, timeout=60, query=""):
    """Wait until so many devices are registered; the list's first page."""

    def there():
        page = rest.get(f"/v3/devices?state__eq=registered&limit=1000{query}")
        return page if page["total_count"] >= count else None

    return wait_for(f"{count} devices registered", there, timeout)


class Channel:
    """The long poll of one key: collects what comes until something is found."""

    def __init__(self, server, key=None):
        self.rest = server.rest(key, timeout=90)
        self.notifications, self.answers, self.registrations = [], {}, []
        self.updates, self.deregistrations, self.expired = [], [], []

    def poll(self):
        status, value = self.rest("GET", "/v2/notification/pull")
        if status == 200 and value:
            self.notifications += value.get("notifications", [])
            self.registrations += value.get("registrations", [])
            self.updates += value.get("reg-updates", [])
            self.deregistrations += value.get("de-registrations", [])
            self.expired += value.get("registrations-expired", [])
            for answer in value.get("async-responses", []):
                self.answers[answer["id"]] = answer
        elif status not in (200, 204):
            raise Failed(f"long poll: {status} {value}")

    def until(self, check, timeout=60):
        end = time.monotonic() + timeout
        while not check():
            if time.monotonic() > end:
                raise Failed(f"nothing on the channel in {timeout} s")
            self.poll()
        return check()

    def answer(self, async_id, timeout=60):
        self.until(lambda: async_id in self.answers, timeout)
        return self.answers.pop(async_id)

    def close(self):
        self.rest.close()


def device_request(rest, device, method, uri, payload=None, expect=202, query=""):
    """Queue a request; the async id."""
    async_id = str(uuid.uuid4())
    body = {"method": method, "uri": uri}
    if payload is not None:
        body["payload-b64"] = base64.b64encode(payload.encode()).decode()
        body["content-type"] = "text/plain"
    rest("POST", f"/v2/device-requests/{device}?async-id={async_id}{query}", body, expect=expect)
    return async_id


def payload_text(answer):
    return base64.b64decode(answer.get("payload", "")).decode("utf-8", "replace")
