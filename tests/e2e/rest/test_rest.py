# SPDX-License-Identifier: Apache-2.0
"""The REST interface of a running server over https: what the SDKs and test suites of clients do, with the standard
library only."""
import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
from harness import Channel, device_request, devices_registered, payload_text

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def secure(make_server, certificate):
    return make_server("--http-cert", certificate[0], "--http-key", certificate[1])


class Https:
    """One keep-alive connection."""

    def __init__(self, server, cert, key=None):
        self.context = ssl.create_default_context(cafile=str(cert))
        self.conn = http.client.HTTPSConnection(*server.address("http"), context=self.context, timeout=60)
        self.key = key or server.key

    def __call__(self, method, path, body=None):
        data = json.dumps(body) if body is not None else None
        self.conn.request(method, path, body=data, headers={"Authorization": f"Bearer {self.key}"})
        answer = self.conn.getresponse()
        text = answer.read()
        assert answer.getheader("X-Request-Id")
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()


class WebSocket:
    """As the test library of the device client connects: wss, the key in the subprotocol."""

    def __init__(self, server, cert, key):
        host, port = server.address("http")
        context = ssl.create_default_context(cafile=str(cert))
        self.sock = context.wrap_socket(socket.create_connection((host, port), timeout=60), server_hostname=host)
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            (f"GET /v2/notification/websocket-connect HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\n"
             f"Upgrade: websocket\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n"
             f"Sec-WebSocket-Protocol: wss,pelion_{key}\r\nOrigin: wss://{host}:{port}\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.sock.recv(1)
        self.head = head.decode().split("\r\n")
        accept = base64.b64encode(
            hashlib.sha1((nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert self.head[0].split()[1] == "101", self.head
        assert f"Sec-WebSocket-Accept: {accept}" in self.head
        assert "Connection: Upgrade" in self.head
        assert "Sec-WebSocket-Protocol: wss" in self.head

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def frame(self):
        """(opcode, payload)"""
        first, length = self.exactly(2)
        assert first & 0x80
        if length == 126:
            length = struct.unpack(">H", self.exactly(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.exactly(8))[0]
        return first & 15, self.exactly(length)

    def message(self):
        """The next NotificationMessage; pings are answered."""
        while True:
            opcode, payload = self.frame()
            if opcode == 9:
                self.send(10, payload)
            elif opcode == 1:
                return json.loads(payload)
            else:
                raise AssertionError(f"opcode {opcode} {payload!r}")

    def send(self, opcode, payload=b""):
        mask = os.urandom(4)
        body = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.sock.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + body)


def until(ws, find, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = find(ws.message())
        if found:
            return found
    raise AssertionError("nothing came")


def test_an_operator_over_https_and_a_socket(secure, certificate, make_sim):
    rest = Https(secure, certificate[0])
    status, made = rest("POST", "/v3/api-keys", {"name": "pelion_e2e_dynamic_api_key"})
    assert status == 201
    second = Https(secure, certificate[0], made["key"])
    assert second("PUT", "/v2/notification/websocket")[0] == 201
    status, _ = rest("POST", "/v3/drover/psk-imports", {"keys": [
        {"endpoint_name": "sim-0", "secret_hex": sim_key("sim-0")}]})
    assert status == 201
    make_sim(secure, 1, "--scenario", "idle", "--duration", "300", "--lifetime", "600", import_keys=False)
    end = time.monotonic() + 60
    page = {"data": []}
    while not page["data"] and time.monotonic() < end:
        page = rest("GET", "/v3/devices?state__eq=registered")[1]
    device = page["data"][0]["id"]
    # the first request before the socket is up
    assert second("POST", f"/v2/device-requests/{device}?async-id=first", {"method": "GET", "uri": "/1/0/1"})[0] == 202
    ws = WebSocket(secure, certificate[0], made["key"])
    answer = until(ws, lambda m: [a for a in m.get("async-responses", []) if a["id"] == "first"])[0]
    assert (answer["status"], payload_text(answer)) == (200, "600")
    status, value = second("PUT", f"/v2/subscriptions/{device}/3303/0/5700")
    assert status in (200, 202)
    note = until(ws, lambda m: [n for n in m.get("notifications", []) if n["path"] == "/3303/0/5700"])[0]
    assert note["ep"] == device and float(payload_text(note)) > -100
    # a second socket takes over
    other = WebSocket(secure, certificate[0], made["key"])
    while True:
        opcode, payload = ws.frame()
        if opcode == 8:
            assert struct.unpack(">H", payload[:2])[0] == 1001
            break
    assert second("DELETE", "/v2/notification/websocket")[0] == 204
    while True:
        opcode, payload = other.frame()
        if opcode == 8:
            assert struct.unpack(">H", payload[:2])[0] == 1000
            break
    assert rest("DELETE", f"/v3/api-keys/{made['id']}")[0] == 204
    assert second("GET", "/v3/devices")[0] == 401


def sim_key(name):
    import hmac  # pylint: disable=import-outside-toplevel
    from harness import MASTER  # pylint: disable=import-outside-toplevel
    return hmac.new(bytes.fromhex(MASTER), name.encode(), hashlib.sha256).hexdigest()[:32]


def test_answers_survive_a_crash(make_server, make_sim):
    """An answer that nobody took is told again after the restart."""
    server = make_server()
    sim = make_sim(server, 1, "--scenario", "idle", "--duration", "300", "--lifetime", "600")
    rest = server.rest()
    device = devices_registered(rest, 1)["data"][0]["id"]
    async_id = device_request(rest, device, "GET", "/1/0/1")
    time.sleep(2)
    sim.kill()
    server.kill()
    server.start()
    channel = Channel(server)
    answer = channel.answer(async_id)
    assert (answer["status"], payload_text(answer)) == (200, "600")
    channel.close()


def test_a_poll_that_hangs_up_loses_nothing(server, make_sim):
    make_sim(server, 1, "--scenario", "idle", "--duration", "300", "--lifetime", "600")
    rest = server.rest()
    device = devices_registered(rest, 1)["data"][0]["id"]
    for i in range(20):
        host, port = server.address("http")
        poll = socket.create_connection((host, port))
        poll.sendall(f"GET /v2/notification/pull HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n"
                     .encode())
        time.sleep(0.02)
        poll.close()
        async_id = device_request(rest, device, "GET", "/1/0/1")
        channel = Channel(server)
        assert channel.answer(async_id)["status"] == 200, i
        channel.close()


def test_stop_answers_an_open_poll(server):
    got = []

    def poll():
        got.append(server.rest()("GET", "/v2/notification/pull")[0])

    thread = threading.Thread(target=poll)
    thread.start()
    time.sleep(0.5)
    begin = time.monotonic()
    server.stop()
    thread.join(10)
    assert got == [204]
    assert time.monotonic() - begin < 10


def test_slow_and_broken_clients_do_no_harm(server):
    host, port = server.address("http")
    idle = [socket.create_connection((host, port)) for _ in range(50)]
    for i, sock in enumerate(idle):
        sock.sendall([b"GET /", b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", b""][i % 4])
    rest = server.rest()
    for _ in range(20):
        assert rest("GET", "/v3/devices")[0] == 200
    for sock in idle:
        sock.close()
    assert rest("GET", "/v3/devices")[0] == 200


def test_backup_restores_elsewhere(server, tmp_path):
    rest = server.rest()
    rest("POST", "/v3/devices", {"endpoint_name": "saved"}, expect=201)
    status, data = rest.raw("GET", "/v3/drover/backup")
    assert status == 200 and data.startswith(b"SQLite format 3")
    (tmp_path / "copy.db").write_bytes(data)
    out = subprocess.run(["sqlite3", tmp_path / "copy.db", "pragma integrity_check"], check=True, capture_output=True,
                         text=True).stdout
    assert out.strip() == "ok"
    assert not [p for p in server.dir.iterdir() if p.name.startswith("backup")]
