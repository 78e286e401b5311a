# SPDX-License-Identifier: Apache-2.0
"""drover-client takes updates from a real server: campaigns, refusals, cuts of power, images that fail."""
import base64
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading
import uuid

import pytest

import harness
from harness import wait_for
from test_client import Client, KEY
from test_firmware import add_image, post

VENDOR, MODEL = "example.com", "mcu"
MANY = os.environ.get("DR_LONG") is not None


class Author:
    """Who signs: an update key and certificate in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        harness.run("drover", "manifest", "init", "--domain", VENDOR, "--model", MODEL, "--dir", folder)
        self.key = folder / ".update-certificates" / "default.key.pem"
        self.cert = folder / ".update-certificates" / "default.der"
        self.vendor = uuid.uuid5(uuid.NAMESPACE_DNS, VENDOR)
        self.class_id = uuid.uuid5(self.vendor, MODEL)

    def image(self, version, body=b"", size=20000, **more):
        """An image of drover-client as bytes."""
        name = self.folder / f"{version}.img"
        text = self.folder / "body"
        text.write_bytes(body + (b"%s " % version.encode()) * (size // 6))
        options = [x for k, v in more.items() for x in (f"--{k}", v) if x is not True]
        harness.run("drover", "client-image", "create", "-v", version, "-k", self.key, "-b", text, "-o", name,
                    *options)
        return name.read_bytes()

    def manifest(self, version, url, payload, **more):
        """A manifest of version 3 as bytes."""
        name, file = self.folder / "manifest", self.folder / "payload"
        file.write_bytes(payload)
        options = {"vendor-id": self.vendor, "class-id": self.class_id, "key": self.key, **more}
        harness.run("drover", "manifest", "create", "--format", "v3", "-u", url, "-p", file, "-v", version, "-o", name,
                    *[x for k, v in options.items() for x in (f"--{k}", v)])
        return name.read_bytes()


@pytest.fixture
def author(tmp_path):
    return Author(tmp_path / "author")


@pytest.fixture
def make_device(tmp_path, author):
    """make_device(server, *options, name=) → a running client that trusts the author."""
    made = []

    def make(server, *options, name="mcu-1"):
        key = tmp_path / f"{name}.hex"
        key.write_text(KEY + "\n")
        server.cli("psk", "add", name, "--key-file", key, check=False)
        client = Client(tmp_path / f"dev-{name}", "--server", harness.coaps(server), "--psk-identity", name,
                        "--psk-key-file", key, "--update-key", author.cert, "--vendor-id", author.vendor,
                        "--class-id", author.class_id, *options)
        made.append(client)
        return client

    yield make
    for client in made:
        client.kill()


class Campaign:
    """One manifest for one device, or for several."""

    def __init__(self, rest, author, version, image, name="mcu-1", names=None):
        self.rest = rest
        data = author.manifest(version, add_image(rest, image)["datafile"], image)
        status, m = post(rest, "/v3/firmware-manifests", ("datafile", data, "manifest.bin", None))
        assert status == 201, m
        status, c = rest("POST", "/v3/update-campaigns", {
            "device_filter": f"endpoint_name__in={','.join(names or [name])}", "root_manifest_id": m["id"], "name": version})
        assert status == 201, c
        self.path = f"/v3/update-campaigns/{c['id']}"
        status, answer = rest("POST", f"{self.path}/start")
        assert status == 202, answer

    def device(self):
        rows = self.rest.get(f"{self.path}/campaign-device-metadata")["data"]
        return rows[0] if rows else {}

    def ends(self, state, timeout=60):
        return wait_for(f"device {state}", lambda: self.device().get("deployment_state") == state and self.device(),
                        timeout)


def told(channel, path):
    """What the device has notified of a resource, in order."""
    return [harness.payload_text(n) for n in channel.notifications if n["path"] == path]


@pytest.mark.sanitized
@pytest.mark.parametrize("form", ["lwm2m", "pelion"])
def test_campaign_updates_a_device(server, author, make_device, form):
    device = make_device(server, "--form", form)
    rest = server.rest()
    device_id = device.registered()
    dev = Device(server, rest, device_id)
    assert dev.get("/14/0/2") == "1.0.0"
    for path in ("10252/0/2", "10252/0/3"):
        assert rest("PUT", f"/v2/subscriptions/{device_id}/{path}")[0] in (200, 202)
    campaign = Campaign(rest, author, "1.1.0", author.image("1.1.0"))
    campaign.ends("deployed", 30)
    assert device.registrations() == 2
    assert device.err[0] == "drover-client: runs 1.0.0, built in"
    assert [line[15:] for line in device.err[1:]] == [
        "update: may it be downloaded?", "update: downloading", "update: downloaded", "update: installing",
        "update: restarting", "runs 1.1.0 from slot A, on trial"]
    if form == "pelion":
        dev.channel.until(lambda: "8" in told(dev.channel, "/10252/0/2"), 10)
        assert told(dev.channel, "/10252/0/2")[-5:] == ["3", "4", "6", "7", "8"]
        assert set(told(dev.channel, "/10252/0/3")) <= {"-1"}


class Device:
    """Requests to one registered device."""

    def __init__(self, server, rest, device):
        self.channel, self.rest, self.device = harness.Channel(server), rest, device

    def ask(self, method, uri, payload=None, kind=None):
        body = {"method": method, "uri": uri}
        if payload is not None:
            body["payload-b64"] = base64.b64encode(payload).decode()
        if kind is not None:
            body["content-type"] = kind
        name = str(uuid.uuid4())
        status, answer = self.rest("POST", f"/v2/device-requests/{self.device}?async-id={name}", body)
        assert status == 202, answer
        return self.channel.answer(name)

    def get(self, uri):
        answer = self.ask("GET", uri)
        assert answer["status"] == 200, answer
        return harness.payload_text(answer)

    def becomes(self, uri, value, timeout=30):
        wait_for(f"{uri} is {value}", lambda: self.get(uri) == value, timeout, 0.1)

    def manifest(self, data):
        assert self.ask("POST", "/10252/0/1", data, "text/plain")["status"] in (200, 204)


def test_updates_follow_each_other_and_survive_restarts(server, author, make_device):
    device = make_device(server)
    device.registered()
    rest = server.rest()
    for n, version in enumerate(("1.1.0", "1.2.0", "2.0.0"), start=2):
        Campaign(rest, author, version, author.image(version)).ends("deployed")
        assert device.registrations() == n
    device.kill()
    device.start()
    dev = Device(server, rest, device.registered(5))
    assert device.err[-1] == "drover-client: runs 2.0.0 from slot A"
    assert [dev.get(uri) for uri in ("/14/0/2", "/3/0/3", "/5/0/7", "/10252/0/2")] == ["2.0.0", "2.0.0", "2.0.0", "1"]


def test_manifests_that_are_refused_say_why(server, author, make_device, tmp_path):
    device = make_device(server)
    rest = server.rest()
    dev = Device(server, rest, device.registered())
    image = author.image("1.1.0")
    url = add_image(rest, image)["datafile"]
    other = Author(tmp_path / "other")
    good = author.manifest("1.1.0", url, image)
    nobody = str(uuid.uuid4())
    cases = [
        (other.manifest("1.1.0", url, image), "23"),
        (good[:-1] + bytes([good[-1] ^ 1]), "23"),
        (author.manifest("0.9.0", url, image), "27"),
        (author.manifest("1.0.0", url, image), "27"),
        (author.manifest("1.1.0", url, image, **{"vendor-id": nobody}), "30"),
        (author.manifest("1.1.0", url, image, **{"class-id": nobody}), "31"),
        (author.manifest("1.1.0", url, image, component="METER"), "39"),
        (author.manifest("1.1.0", url, image + b"x"), "26"),
        (author.manifest("1.1.0", "http://127.0.0.1:1/not/ours", image), "24"),
        (author.manifest("1.1.0", url, image[:-1]), "26"),
        (good[:-2], "22"),
        (b"nonsense", "22"),
    ]
    for data, result in cases:
        dev.manifest(data)
        dev.becomes("/10252/0/3", result)
        dev.becomes("/10252/0/2", "1")
    assert dev.get("/14/0/2") == "1.0.0" and device.registrations() == 1
    dev.manifest(good)
    device.registered(2)
    dev.becomes("/14/0/2", "1.1.0")
    assert dev.get("/10252/0/3") == "-1"


def test_a_campaign_hears_of_a_refusal(server, author, make_device, tmp_path):
    device = make_device(server, "--form", "pelion")
    device.registered()
    other = Author(tmp_path / "other")
    failed = Campaign(server.rest(), other, "1.1.0", other.image("1.1.0")).ends("failed_connector_channel_update")
    assert failed["x_code"] == "UPD2_FAIL_23", failed


@pytest.mark.parametrize("fault", ["crash", "deaf"])
def test_an_image_that_never_registers_is_rolled_back(server, author, make_device, fault):
    device = make_device(server, "--trial-timeout", 1)
    device.registered()
    rest = server.rest()
    bad = Campaign(rest, author, "1.1.0", author.image("1.1.0", f"#fault:{fault}\n".encode()))
    dev = Device(server, rest, device.registered(2))
    assert [line for line in device.err if line.endswith("on trial")] == [
        "drover-client: runs 1.1.0 from slot A, on trial"] * 3
    wait_for("said", lambda: device.err[-1] == "drover-client: update: failed, result 40")
    assert [line for line in device.err if "runs" in line][-1] == "drover-client: runs 1.0.0, built in"
    dev.becomes("/10252/0/2", "1")
    assert [dev.get(uri) for uri in ("/10252/0/3", "/14/0/2")] == ["40", "1.0.0"]
    bad.ends("failed_connector_channel_update")
    Campaign(rest, author, "1.2.0", author.image("1.2.0")).ends("deployed")


def writes_of(device):
    """What the flash has counted before the last reset."""
    with open(f"/proc/{device.process.pid}/environ", "rb") as f:
        entries = dict(e.split(b"=", 1) for e in f.read().split(b"\0") if b"=" in e)
    return int(entries[b"DROVER_CLIENT_WRITES"])


def test_power_is_cut_anywhere(server, author, make_device):
    rest = server.rest()
    image = author.image("1.1.0", size=9000)
    names = [f"cut-{i}" for i in range(40 if MANY else 12)]
    # how many writes there are: a device whose cut never comes
    first = make_device(server, "--fault", "cut-power-at-write:1000000", name="whole")
    first.registered()
    Campaign(rest, author, "1.1.0", image, name="whole").ends("deployed")
    total = writes_of(first)
    assert total > len(image) // 8
    devices = []
    for i, name in enumerate(names):
        # the last ones fall into the trial, behind the reset
        nth = 1 + i * (total + 12) // (len(names) - 1) if i else 1
        devices.append(make_device(server, "--fault", f"cut-power-at-write:{nth}", name=name))
    cut = set()

    def supervise():
        for i, device in enumerate(devices):
            if device.process.poll() is not None:
                assert device.process.returncode == 9, device.err
                cut.add(i)
                device.args = device.args[:device.args.index("--fault")]
                device.start()
        return True

    wait_for("all register", lambda: supervise() and all(d.registrations() for d in devices), 60)
    campaign = Campaign(rest, author, "1.1.0", image, names=names)

    def deployed():
        supervise()
        rows = rest.get(f"{campaign.path}/campaign-device-metadata?limit=100")["data"]
        return len(rows) == len(names) and all(r["deployment_state"] == "deployed" for r in rows)

    wait_for("all are updated", deployed, 120, 0.2)
    assert len(cut) >= len(names) - 2, cut
    for device in devices:
        assert device.process.poll() is None
        assert any(line.startswith("drover-client: runs 1.1.0 from slot A") for line in device.err)


@pytest.mark.sanitized
def test_packages_are_pushed_and_pulled(server, author, make_device):
    device = make_device(server)
    rest = server.rest()
    dev = Device(server, rest, device.registered())
    assert [dev.get(uri) for uri in ("/5/0/3", "/5/0/5", "/5/0/9")] == ["0", "0", "2"]
    # pushed: an image alone
    assert dev.ask("PUT", "/5/0/0", author.image("1.1.0", size=3000), "application/octet-stream")["status"] in (200, 204)
    dev.becomes("/5/0/3", "2")
    assert dev.get("/5/0/7") == "1.1.0" and dev.get("/14/0/2") == "1.0.0"
    assert dev.ask("POST", "/5/0/2")["status"] in (200, 204)
    device.registered(2)
    dev.becomes("/5/0/5", "1")
    assert [dev.get(uri) for uri in ("/5/0/3", "/14/0/2", "/3/0/3")] == ["0", "1.1.0", "1.1.0"]
    # pulled
    image = author.image("1.2.0")
    url = add_image(rest, image)["datafile"]
    assert dev.ask("PUT", "/5/0/1", url.encode(), "text/plain")["status"] in (200, 204)
    dev.becomes("/5/0/3", "2")
    assert dev.ask("PUT", "/5/0/1", b"", "text/plain")["status"] in (200, 204)  # forgotten
    dev.becomes("/5/0/3", "0")
    assert dev.ask("POST", "/5/0/2")["status"] >= 400
    assert dev.ask("PUT", "/5/0/1", url.encode(), "text/plain")["status"] in (200, 204)
    dev.becomes("/5/0/3", "2")
    assert dev.ask("POST", "/5/0/2")["status"] in (200, 204)
    device.registered(3)
    dev.becomes("/5/0/5", "1")
    assert dev.get("/14/0/2") == "1.2.0"
    # refused
    assert dev.ask("PUT", "/5/0/0", b"no image of ours" * 40, "application/octet-stream")["status"] >= 400
    dev.becomes("/5/0/5", "6")
    assert dev.ask("PUT", "/5/0/1", b"ftp://127.0.0.1/fw", "text/plain")["status"] in (200, 204)
    dev.becomes("/5/0/5", "9")
    assert dev.get("/5/0/3") == "0"


def test_payload_comes_over_http(server, author, make_device):
    device = make_device(server, "--http-download")
    device.registered()
    Campaign(server.rest(), author, "1.1.0", author.image("1.1.0", size=90000)).ends("deployed")
    assert device.registrations() == 2


def test_updates_wait_for_the_owner(server, author, make_device):
    device = make_device(server, "--ask", "--console")
    rest = server.rest()
    dev = Device(server, rest, device.registered())

    def say(word):
        device.process.stdin.write(word + "\n")
        device.process.stdin.flush()

    image = author.image("1.1.0")
    data = author.manifest("1.1.0", add_image(rest, image)["datafile"], image, priority=7)
    dev.manifest(data)
    dev.becomes("/10252/0/2", "3")
    say("refuse")
    dev.becomes("/10252/0/3", "38")
    dev.becomes("/10252/0/2", "1")
    dev.manifest(data)
    dev.becomes("/10252/0/2", "3")
    wait_for("asked", lambda: "drover-client: accept or refuse: download 1.1.0, priority 7?" in device.err)
    say("accept")
    dev.becomes("/10252/0/2", "6")
    device.kill()  # it asks again after a restart
    device.start()
    dev = Device(server, rest, device.registered(2))
    dev.becomes("/10252/0/2", "6")
    wait_for("asked again", lambda: sum("install 1.1.0" in line for line in device.err) == 2)
    say("accept")
    device.registered(3)
    dev.becomes("/14/0/2", "1.1.0")


@pytest.mark.parametrize("how", ["stop", pytest.param("kill", marks=pytest.mark.skipif(
    not MANY, reason="the device repeats itself for a minute before it connects anew: DR_LONG=1"))])
def test_a_download_outlives_the_server(server, author, make_device, how):
    device = make_device(server)
    device.registered()
    rest = server.rest()
    Campaign(rest, author, "1.1.0", author.image("1.1.0", size=240000))
    wait_for("it downloads", lambda: "drover-client: update: downloading" in device.err, every=0.005)
    host, port = server.address("coaps")
    getattr(server, how)()
    assert "drover-client: update: downloaded" not in device.err
    server.start("--coaps", f"{host}:{port}")
    wait_for("updated", lambda: "on trial" in device.err[-1], 200)
    device.registered(2)
    assert device.err[-1] == "drover-client: runs 1.1.0 from slot A, on trial"
    dev = Device(server, server.rest(), device.registered())
    # it may have registered with the new server before the update, too: that is then the second time
    wait_for("it is back", lambda: dev.ask("GET", "/14/0/2")["status"] == 200)
    assert [dev.get(uri) for uri in ("/14/0/2", "/10252/0/2", "/10252/0/3")] == ["1.1.0", "1", "-1"]


class OddServer(threading.Thread):
    """An HTTP server that answers each connection with the next of its answers, then closes it."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.answers, self.requests = answers, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/fw?a=b"
        self.start()

    def run(self):
        for answer in self.answers:
            conn, _ = self.socket.accept()
            with conn:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += conn.recv(4096)
                self.requests.append(request.decode())
                conn.sendall(answer)
        self.socket.close()


@pytest.mark.sanitized
def test_http_downloads_go_on_and_odd_servers_do_no_harm(server, author, make_device):
    device = make_device(server, "--http-download")
    rest = server.rest()
    dev = Device(server, rest, device.registered())
    image = author.image("1.1.0", size=50000)

    def fetch(*answers):
        odd = OddServer(answers)
        dev.manifest(author.manifest("1.1.0", odd.url, image))
        return odd

    for answer in (b"HTTP/1.1 404 Not Found\r\n\r\n", b"nonsense\r\n\r\n", b"X" * 5000,
                   b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                   b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 100-200/300\r\n\r\n" + b"x" * 101,
                   b"HTTP/1.1 206 Partial\r\n\r\n" + b"x" * 101):
        fetch(answer)
        dev.becomes("/10252/0/3", "24")
        dev.becomes("/10252/0/2", "1")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    fetch(head % 700 + b"x" * 700)
    dev.becomes("/10252/0/3", "25")
    dev.becomes("/10252/0/2", "1")
    # busy, then breaks off, then a server without ranges, then one with them
    odd = fetch(b"HTTP/1.1 503 Later\r\n\r\n", head % len(image) + image[:20000], head % len(image) + image[:30001],
                b"HTTP/1.1 206 Partial\r\ncontent-range: bytes 30001-%d/%d\r\n\r\n" % (len(image) - 1, len(image)) +
                image[30001:])
    device.registered(2)
    dev.becomes("/14/0/2", "1.1.0")
    ranges = [[line for line in r.split("\r\n") if line.startswith("Range:")] for r in odd.requests]
    assert ranges == [[], [], ["Range: bytes=20000-"], ["Range: bytes=30001-"]]
    assert all(r.startswith("GET /fw?a=b HTTP/1.1\r\nHost: 127.0.0.1:") for r in odd.requests)


def test_images_are_made_as_documented(author, tmp_path):
    body, out = tmp_path / "body", tmp_path / "image"
    body.write_bytes(b"program")

    def create(*options):
        return harness.run("drover", "client-image", "create", "-k", author.key, "-b", body, "-o", out, *options,
                           check=False)

    code, text, _ = create("-v", "1.2.3", "--counter", 7, "--downgrade", "--json")
    assert code == 0, text
    image = out.read_bytes()
    assert json.loads(text) == {"file": str(out), "size": 519, "sha256": hashlib.sha256(image).hexdigest()}
    words = struct.unpack("<4s7I", image[:32])
    assert words == (b"DIM1", 512, 0, 7, 1 << 20 | 2 << 10 | 3, 7, 1, 0)
    assert image[32:64] == hashlib.sha256(b"program").digest() and image[512:] == b"program"
    # openssl finds the signature right, too
    r, s = (int.from_bytes(image[at:at + 32], "big") for at in (448, 480))
    der = b"".join(bytes([2, len(n)]) + n for n in (v.to_bytes(v.bit_length() // 8 + 1, "big") for v in (r, s)))
    (tmp_path / "sig").write_bytes(bytes([0x30, len(der)]) + der)
    (tmp_path / "signed").write_bytes(image[:448])
    subprocess.run(["openssl", "pkey", "-in", author.key, "-pubout", "-out", tmp_path / "pub"], check=True)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", tmp_path / "pub", "-signature", tmp_path / "sig",
                    tmp_path / "signed"], check=True, capture_output=True)
    out.unlink()
    for options in (("-v", "1.2"), ("-v", "0.0.0"), ("-v", "1.2.3", "--counter", "4294967296"), (), ("-v", "1.2.3", "x")):
        assert create(*options)[0] == 2, options
    body.write_bytes(b"")
    assert create("-v", "1.2.3")[0] == 1
    assert not out.exists()
