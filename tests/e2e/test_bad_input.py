# SPDX-License-Identifier: Apache-2.0
"""What must not be taken: HTTP that is malformed, too much or too slow, and devices that are not who they say."""
import json
import os
import re
import select
import socket
import subprocess
import time

import pytest
from harness import ROOT, MASTER, Sim, coaps, devices_registered, run, wait_for

SECRET = "c0ffee" * 5 + "c0"  # 16 bytes


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A server for HTTP alone."""
    from harness import Server
    server = Server(tmp_path_factory.mktemp("bad") / "data").start()
    yield server
    server.stop()  # it must still end well


def raw(server, data, timeout=10):
    """Send bytes on a connection of their own; all that comes back until the server closes or is silent."""
    with socket.create_connection(server.address("http"), timeout=timeout) as s:
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server had seen enough
        got = b""
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    break
                got += part
        except (socket.timeout, ConnectionResetError):
            pass
    return got


def request(server, method, path, headers="", body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\nConnection: close\r\n{headers}\r\n"
    return raw(server, head.encode("latin-1") + body)


def status(answer):
    match = re.match(rb"HTTP/1\.1 (\d\d\d) ", answer)
    return int(match.group(1)) if match else None


def alive(server):
    began = time.monotonic()
    assert server.rest(timeout=10)("GET", "/v3/devices?limit=2")[0] == 200
    return time.monotonic() - began


# ---- bodies ----


@pytest.mark.sanitized
def test_a_body_over_the_limit_is_413(api):
    for method, path, limit in (("POST", "/v3/devices", 65536), ("POST", "/v3/api-keys", 65536),
                                ("POST", "/v2/device-requests/0?async-id=a", 1024 * 1024 // 3 * 4 + 16384),
                                ("PUT", "/v2/subscriptions", 4 * 1024 * 1024), ("GET", "/v3/devices", 1024 * 1024)):
        for body in (b" " * (limit + 1), b"x" * (2 * limit)):
            answer = request(api, method, path, f"Content-Length: {len(body)}\r\n", body)
            # a client that keeps sending much more may see the connection end before the answer
            assert status(answer) in ((413,) if len(body) < 2 * 65536 + 1 else (413, None)), (path, answer[:200])
        # said, and not sent: the answer does not wait for it
        began = time.monotonic()
        answer = request(api, method, path, "Content-Length: 99999999999\r\n")
        assert status(answer) == 413 and time.monotonic() - began < 5
        answer = request(api, method, path, f"Content-Length: {limit + 1}\r\nExpect: 100-continue\r\n")
        assert status(answer) == 413
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        answer = request(api, method, path, "Transfer-Encoding: chunked\r\n", chunk * (limit // 0x8000 + 2) + b"0\r\n\r\n")
        assert status(answer) in ((413,) if limit == 65536 else (413, None)), path
    # at the limit it is read: blanks are no JSON
    body = b" " * 65536
    assert status(request(api, "POST", "/v3/devices", f"Content-Length: {len(body)}\r\n", body)) == 400
    rest = api.rest()
    assert rest("POST", "/v3/devices", b" " * 70000)[0] == 413
    assert rest("GET", "/v3/devices")[0] == 200  # the connection lives on
    alive(api)


BAD_JSON = [
    b"", b" ", b"{", b"}", b"nul", b"null", b"true", b"5", b'"text"', b"[]", b"[{}]", b'{"name":"a"}x', b'{"name":"a"}{}',
    b'{"name":}', b'{"name" "a"}', b"{'name':'a'}", b'{"name":"a",}', b'{"name":"a","name":"b"}', b"{name:1}", b'{"name":01}',
    b'{"name":+1}', b'{"name":1e}', b'{"name":0x10}', b'{"device_execution_mode":1e400}', b'{"name":NaN}', b'{"name":"\t"}',
    b'{"name":"\\x"}', b'{"name":"\\u12"}', b'{"name":"\\ud800"}', b'{"name":"\\ud800\\u0041"}', b'{"name":"\\udc00"}',
    b'{"name":"a\\u0000b"}', b'{"na\\u0000me":"a"}', b'{"name":"\xff"}', b'{"name":"\xc3\x28"}', b'{"name":"\xed\xa0\x80"}',
    b'{"name":"\xc0\x80"}', b'{"name":"\xf5\x80\x80\x80"}', b'\xef\xbb\xbf{"name":"a"}', b'{"name":"a"}\x00', b"\x00",
    b"[" * 20000, b'{"a":' * 10000, b'{"name":' + b"9" * 5000 + b"}", b"\xff\xfe{\x00}\x00", b"/*a*/{}",
]


@pytest.mark.sanitized
def test_bodies_that_are_no_json_are_400(api):
    rest = api.rest()
    for path in ("/v3/devices", "/v3/api-keys", "/v2/device-requests/0?async-id=a", "/v2/device-shared-keys",
                 "/v3/drover/psk-imports"):
        for body in BAD_JSON:
            code, data = rest.raw("POST", path, body, {"Content-Type": "application/json"})
            assert code == 400, (path, body[:60], code, data)
            if path.startswith("/v3"):
                assert json.loads(data)["type"] in ("bad_request", "validation_error")
            else:
                assert re.fullmatch(rb"[A-Z_]+", data), (body, data)
    assert rest.get("/v3/devices")["total_count"] == 0
    alive(api)


def test_values_of_the_wrong_kind_are_named(api):
    rest = api.rest()
    for field, values in {
            "name": [5, True, [], {}, "x" * 129, 1.5],
            "description": [5, "x" * 2001],
            "endpoint_name": [5, "", "x" * 65],
            "device_execution_mode": [2, -1, 1.5, 99999999999999999999, -99999999999999999999, True],
            "auto_update": ["yes", 5],
            "custom_attributes": [[], "a", {"1a": "x"}, {"a": 5}, {"a": "x" * 129}, {"a" * 129: "x"},
                                  {f"k{i}": "v" for i in range(6)}],
    }.items():
        for value in values:
            code, answer = rest("POST", "/v3/devices", {field: value})
            assert code == 400, (field, value, answer)
            if isinstance(value, int) and abs(value) > 2**63:
                continue  # a number that no reader of JSON takes
            assert answer["type"] == "validation_error", (field, value)
            assert answer["fields"][0]["name"].startswith(field), (field, value, answer)
    for body in ({}, {"name": 5}, {"name": ""}, {"name": "x" * 101}, {"name": "a", "status": "MAYBE"},
                 {"name": "a", "groups": "b"}, {"name": "a", "groups": [5]}, {"name": "a", "role": "owner"}):
        assert rest("POST", "/v3/api-keys", body)[0] == 400, body
    assert rest.get("/v3/devices")["total_count"] == 0
    assert rest.get("/v3/api-keys")["total_count"] == 1


# ---- requests ----


@pytest.mark.sanitized
def test_requests_that_are_malformed(api):
    auth = f"Authorization: Bearer {api.key}\r\n"
    get = f"GET /v3/devices HTTP/1.1\r\nHost: a\r\n{auth}Connection: close\r\n"
    post = f"POST /v3/devices HTTP/1.1\r\nHost: a\r\n{auth}Connection: close\r\n"
    for text, allowed in (
            ("\r\n", {None}),
            ("GET\r\n\r\n", {None, 400, 505}),
            ("GET /v3/devices\r\n\r\n", {None, 400, 505}),
            ("GET  /v3/devices  HTTP/1.1\r\nHost: a\r\n\r\n", {None, 400, 401, 404, 505}),
            ("GET /v3/devices HTTP/9.9\r\nHost: a\r\n\r\n", {None, 400, 401, 505}),
            ("GET /v3/devices HTTP/1.1\r\n" + auth + "\r\n", {400}),  # no Host
            ("GET v3/devices HTTP/1.1\r\nHost: a\r\n" + auth + "\r\n", {400}),
            ("GET * HTTP/1.1\r\nHost: a\r\n" + auth + "\r\n", {400}),
            (get + "Broken\r\n\r\n", {None, 200, 400}),
            (get + ": empty\r\n\r\n", {None, 200, 400}),
            (get + "X-A: \x01\x02\x7f\r\n\r\n", {200, 400}),
            (get + "X-A: a\r\n folded\r\n\r\n", {200, 400}),
            (post + "Content-Length: -1\r\n\r\n", {None, 400, 413}),
            (post + "Content-Length: 5x\r\n\r\nhello", {None, 400, 413}),
            (post + "Content-Length: 99999999999999999999999\r\n\r\n", {None, 400, 413}),
            (post + "Content-Length:\r\n\r\n", {None, 400, 413}),
            (post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", {None, 400}),
            (post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", {None, 400, 413}),
            ("GET /v3/devices?a=%zz HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {200, 400}),
            ("GET /v3/devices?name=%00 HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {400}),
            ("GET /v3/devices?name=%ff HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {400}),
            ("GET /v3/%zz HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {400}),
            ("GET /v3/devices/%00 HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {400}),
            ("GET /v3/devices/%c3%28 HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {400}),
            ("GET /v3/devices/../../etc/passwd HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {404}),
            ("GET /v3/devices" + "/a" * 200 + " HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {404, 414}),
            ("GET http://other/v3/devices HTTP/1.1\r\nHost: a\r\n" + auth + "Connection: close\r\n\r\n", {200}),
    ):
        answer = raw(api, text.encode("latin-1"), timeout=1)
        assert status(answer) in allowed, (text, answer[:300])
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500), os.urandom(4000), b"\0" * 4000,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 3000):
        raw(api, junk, timeout=0.3)
    assert alive(api) < 2


def test_a_body_of_two_lengths_is_not_smuggled(api):
    """The second request must not be seen as one of its own when the framing is ambiguous."""
    inner = f"GET /v3/api-keys/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\n\r\n"
    for framing in (f"Content-Length: {len(inner)}\r\nTransfer-Encoding: chunked\r\n",
                    f"Transfer-Encoding: chunked\r\nContent-Length: {len(inner)}\r\n",
                    f"Content-Length: 0\r\nContent-Length: {len(inner)}\r\n"):
        text = (f"POST /v3/devices HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\n{framing}\r\n"
                f"0\r\n\r\n{inner}" if "chunked" in framing else
                f"POST /v3/devices HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\n{framing}\r\n{inner}")
        answer = raw(api, text.encode(), timeout=1)
        assert b'"api-key"' not in answer, framing
        assert status(answer) in (None, 400), (framing, answer[:300])


@pytest.mark.sanitized
def test_header_floods(api):
    many = "".join(f"X-Flood-{i}: {'y' * 20}\r\n" for i in range(5000))
    assert status(request(api, "GET", "/v3/devices", many)) in (413, 431)
    assert status(request(api, "GET", "/v3/devices", f"X-Long: {'y' * 100000}\r\n")) in (413, 431)
    assert status(request(api, "GET", "/v3/devices?a=" + "y" * 17000)) == 414
    assert status(request(api, "GET", "/v3/devices?a=" + "y" * 200000)) in (414, 431)
    some = "".join(f"X-Flood-{i}: y\r\n" for i in range(100))
    assert status(request(api, "GET", "/v3/devices", some)) == 200
    args = "&".join(f"a{i}=b" for i in range(2000))
    began = time.monotonic()
    assert status(request(api, "GET", "/v3/devices?" + args)) in (None, 400, 414, 431)
    assert time.monotonic() - began < 3
    alive(api)


@pytest.mark.sanitized
def test_slow_clients_do_not_hold_up_others(api):
    slow = []
    head = f"POST /v3/devices HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\nContent-Length: 1000\r\n\r\n".encode()
    try:
        for i in range(150):
            s = socket.create_connection(api.address("http"))
            slow.append(s)
            s.sendall((head[:20], head, b"", head + b"{" * (i % 7))[i % 4])
        for i in range(20):
            assert alive(api) < 1
            for s in slow[i::20]:
                s.sendall(b"x")
        # one that never reads its answers
        deaf = socket.create_connection(api.address("http"))
        slow.append(deaf)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        get = f"GET /v3/accounts/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\n\r\n".encode()
        try:
            for _ in range(5000):
                deaf.send(get)
        except BlockingIOError:
            pass
        for _ in range(5):
            assert alive(api) < 1
    finally:
        for s in slow:
            s.close()
    alive(api)


@pytest.mark.sanitized
def test_pipelined_requests_are_answered_in_order(api):
    auth = f"Host: a\r\nAuthorization: Bearer {api.key}\r\n"
    body = '{"name":"pipelined"}'
    text, want = "", []
    for i in range(60):
        kind = i % 4
        if kind == 0:
            text += f"GET /v3/devices?limit={i + 2} HTTP/1.1\r\n{auth}\r\n"
            want.append(f'"limit":{i + 2},'.encode())
        elif kind == 1:
            text += f"POST /v3/devices HTTP/1.1\r\n{auth}Content-Length: {len(body)}\r\n\r\n{body}"
            want.append(b'"name":"pipelined"')
        elif kind == 2:
            text += f"GET /v2/nothing/{i} HTTP/1.1\r\n{auth}\r\n"
            want.append(b"NOT_FOUND")
        else:
            text += f"POST /v3/devices HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n0\r\n\r\n"
            want.append(b"bad_request")
    text += f"GET /v3/devices?limit=77 HTTP/1.1\r\n{auth}Connection: close\r\n\r\n"
    want.append(b'"limit":77,')
    answer = raw(api, text.encode(), timeout=20)
    at = 0
    for piece in want:
        at = answer.find(piece, at)
        assert at >= 0, piece
        at += len(piece)
    assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", answer)) == len(want)
    rest = api.rest()
    for device in rest.get("/v3/devices?limit=1000&name=pipelined")["data"]:
        rest("DELETE", f"/v3/devices/{device['id']}", expect=204)
    assert rest.get("/v3/devices")["total_count"] == 0


# ---- devices with pre-shared keys ----


def coap(code, mid, path=(), query=(), payload=b"", content_format=None):
    """A confirmable message without token."""
    out, last = bytes([0x40, code, mid >> 8, mid & 255]), 0
    options = [(11, p.encode()) for p in path]
    options += [(12, bytes([content_format]))] if content_format is not None else []
    options += [(15, q.encode()) for q in query]
    for number, value in options:
        delta, last = number - last, number
        size = len(value)
        out += bytes([delta << 4 | (size if size < 13 else 13)]) + (bytes([size - 13]) if size >= 13 else b"") + value
    return out + (b"\xff" + payload if payload else b"")


class Dtls:
    """A foreign DTLS client: openssl s_client with a pre-shared key; records go in and out by its pipes."""

    def __init__(self, server, identity, key, *options):
        host, port = server.address("coaps")
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-dtls1_2", "-connect", f"{host}:{port}", "-psk", key, "-psk_identity", identity,
             "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0", "-quiet", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.mid = 100

    def ask(self, code, path, query=(), payload=b"", timeout=5.0):
        """Code of the answer, and its bytes; None when there is none."""
        self.mid += 1
        try:
            self.process.stdin.write(coap(code, self.mid, path, query, payload, 40 if payload else None))
            self.process.stdin.flush()
        except BrokenPipeError:
            return None, b""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                data = os.read(self.process.stdout.fileno(), 4096)
                if not data:
                    return None, b""
                if data[1] >= 0x40 and data[2:4] == bytes([self.mid >> 8, self.mid & 255]):
                    return f"{data[1] >> 5}.{data[1] & 31:02d}", data
        return None, b""

    def register(self, name, **kwargs):
        return self.ask(2, ("rd",), (f"ep={name}", "lt=300", "lwm2m=1.0", "b=U"), b"</1/0>,</3/0>", **kwargs)

    def ended(self, timeout=5):
        """Did the server end it?"""
        try:
            self.process.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            return False

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        _, err = self.process.communicate()
        return err.decode("utf-8", "replace")


@pytest.fixture
def dtls():
    made = []

    def make(*args):
        made.append(Dtls(*args))
        return made[-1]

    yield make
    for d in made:
        d.close()


def location(data):
    """Location-Path of an answer: options 8."""
    at, number, out = 4, 0, []
    while at < len(data) and data[at] != 0xff:
        delta, size = data[at] >> 4, data[at] & 15
        at += 1
        number += delta
        if size == 13:
            size, at = data[at] + 13, at + 1
        if number == 8:
            out.append(data[at:at + size].decode())
        at += size
    return out


def add_psk(rest, name, key, identity=None):
    entry = {"endpoint_name": name, "secret_hex": key, **({"identity": identity} if identity else {})}
    rest("POST", "/v3/drover/psk-imports", {"keys": [entry]}, expect=201)


@pytest.mark.sanitized
def test_devices_with_a_wrong_key_or_an_unknown_name_stay_out(server, dtls):
    rest = server.rest()
    add_psk(rest, "node-1", SECRET)
    good = dtls(server, "node-1", SECRET)
    assert good.register("node-1")[0] == "2.01"
    errors = []
    for identity, key in (("node-1", "00" * 16), ("node-1", SECRET + "00"), ("node-2", SECRET), ("x" * 128, SECRET),
                          ("NODE-1", SECRET), ("node-1 ", SECRET)):
        bad = dtls(server, identity, key)
        assert bad.ended(), identity
        errors.append([re.search(r"alert[a-z ]*", line).group(0) for line in bad.close().splitlines() if "alert" in line])
    assert errors[0] and all(e == errors[0] for e in errors), errors  # they all look alike
    assert rest.get("/v3/devices")["total_count"] == 1
    assert good.ask(2, ("rd", "0"))[0].startswith("4.")  # a location that is none
    assert good.register("node-1")[0] == "2.01"


@pytest.mark.sanitized
def test_a_device_cannot_take_another_name(server, dtls):
    rest = server.rest()
    add_psk(rest, "node-1", SECRET)
    add_psk(rest, "node-2", "ab" * 16, identity="somebody")
    first = dtls(server, "node-1", SECRET)
    code, answer = first.register("node-1")
    assert code == "2.01"
    place = location(answer)
    second = dtls(server, "somebody", "ab" * 16)
    for name in ("node-1", "somebody", "node-3", "NODE-2", "x" * 64, "x" * 65, "node-2\x01"):
        code, _ = second.register(name)
        assert code in ("4.00", "4.03"), (name, code)
    assert second.ask(2, place)[0] in ("4.00", "4.03", "4.04")  # Update of another's registration
    assert second.ask(4, place)[0] in ("4.00", "4.03", "4.04")  # De-register of it
    assert [d["endpoint_name"] for d in rest.get("/v3/devices?state=registered")["data"]] == ["node-1"]
    assert second.register("node-2")[0] == "2.01"
    assert first.ask(2, place)[0] == "2.04"
    # without a name it is the one of its key
    code, _ = second.ask(2, ("rd",), ("lt=300", "lwm2m=1.1", "b=U"), b"</1/0>")
    assert code in ("2.01", "4.00")
    assert sorted(d["endpoint_name"] for d in rest.get("/v3/devices")["data"]) == ["node-1", "node-2"]


@pytest.mark.sanitized
@pytest.mark.parametrize("what", ["key", "key of another value", "device"])
def test_taking_the_credential_ends_the_association_at_once(server, dtls, tmp_path, what):
    rest = server.rest()
    add_psk(rest, "node-1", SECRET)
    session = tmp_path / "session.pem"
    device = dtls(server, "node-1", SECRET, "-sess_out", session)
    code, answer = device.register("node-1")
    assert code == "2.01"
    place = location(answer)
    assert device.ask(2, place)[0] == "2.04"
    device_id = rest.get("/v3/devices")["data"][0]["id"]
    if what == "device":
        rest("DELETE", f"/v3/devices/{device_id}", expect=204)
    else:
        rest("DELETE", "/v2/device-shared-keys/node-1", expect=204)
    assert device.ended(5), "the association is still open"
    assert device.ask(2, place, timeout=1)[0] is None
    new = SECRET if what == "device" else "d00d" * 8
    if what == "key of another value":
        add_psk(rest, "node-1", new)
    if what != "device":
        again = dtls(server, "node-1", SECRET, *(("-sess_in", session) if session.exists() else ()))
        assert again.ended(5), "the old key still opens"
        assert again.register("node-1", timeout=1)[0] is None
    if what != "key":
        again = dtls(server, "node-1", new)
        assert again.register("node-1")[0] == "2.01"
        devices = rest.get("/v3/devices?state=registered")["data"]
        assert [d["endpoint_name"] for d in devices] == ["node-1"]
        assert (devices[0]["id"] == device_id) == (what != "device")


def test_simulated_devices_with_the_wrong_master_key(server, tmp_path):
    rest = server.rest()
    server.import_psks(3)
    wrong = tmp_path / "wrong.hex"
    wrong.write_text(MASTER[::-1] + "\n")
    sim = Sim(coaps(server), 3, "--psk-master-file", wrong, "--scenario", "register")
    time.sleep(3)
    summary = sim.stop()
    assert summary["registered"] == 0 and summary["errors"] == {"handshake failed": sum(summary["errors"].values())}
    assert rest.get("/v3/devices")["total_count"] == 0


# ---- devices with certificates ----


class Authority:
    """A certificate authority of the test."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.openssl("req", "-x509", *self.new_key(self.key), "-subj", f"/CN={name}", "-days", "30", "-out", self.cert)

    @staticmethod
    def new_key(file):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file)

    @staticmethod
    def openssl(*args):
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def issue(self, cn, label=None, expired=False):
        """Options for drover-sim."""
        label = label or f"{self.name}-{cn}"
        cert, key, req = (self.folder / f"{label}.{kind}" for kind in ("pem", "key", "req"))
        self.openssl("req", *self.new_key(key), "-subj", f"/CN={cn}", "-out", req)
        if not expired:
            self.openssl("x509", "-req", "-in", req, "-CA", self.cert, "-CAkey", self.key, "-days", "10", "-out", cert)
        else:
            work = self.folder / f"{label}.ca"
            work.mkdir()
            (work / "index.txt").write_text("")
            conf = work / "ca.conf"
            conf.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={work}/index.txt\nnew_certs_dir={work}\nserial={work}/serial\n"
                            "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
            self.openssl("ca", "-batch", "-config", conf, "-create_serial", "-in", req, "-cert", self.cert, "-keyfile",
                         self.key, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-notext", "-out", cert)
        return "--cert", cert, "--key", key


@pytest.fixture
def certified(make_server, tmp_path):
    """A server that takes certificates of one authority; and that authority."""
    ours = Authority(tmp_path, "ours")
    _, cert, _, key = ours.issue("server")
    server = make_server("--coaps-cert", cert, "--coaps-key", key, "--coaps-ca", ours.cert)
    return server, ours


@pytest.mark.sanitized
def test_only_good_certificates_get_in(certified, tmp_path):
    server, ours = certified
    foreign = Authority(tmp_path, "foreign")
    twin = tmp_path / "twin"
    twin.mkdir()
    impostor = Authority(twin, "ours")  # same name, other key
    cases = {
        "good": ours.issue("good-0"),
        "foreign": foreign.issue("foreign-0"),
        "impostor": impostor.issue("impostor-0"),
        "expired": ours.issue("expired-0", expired=True),
        "wrongname": ours.issue("another-0"),
        "ca": ("--cert", ours.cert, "--key", ours.key),
        "self": ("--cert", foreign.cert, "--key", foreign.key),
    }
    sims = {name: Sim(coaps(server), 1, "--prefix", f"{name}-", "--scenario", "idle", "--duration", "60", *options)
            for name, options in cases.items()}
    rest = server.rest()
    try:
        page = devices_registered(rest, 1, timeout=20)
        time.sleep(3)
        summaries = {name: sim.stop() for name, sim in sims.items()}
    finally:
        for sim in sims.values():
            sim.kill()
    assert [d["endpoint_name"] for d in page["data"]] == ["good-0"]
    assert summaries["good"]["registered"] == 1 and not summaries["good"]["errors"]
    for name in set(cases) - {"good"}:
        assert summaries[name]["registered"] == 0 and summaries[name]["errors"], (name, summaries[name])
    # the others did not pass the handshake; a good certificate for another name did, and was refused after it
    assert summaries["wrongname"]["handshakes"] >= 1
    assert all(summaries[n]["handshakes"] == 0 for n in ("foreign", "impostor", "expired", "self")), summaries
    assert [d["endpoint_name"] for d in rest.get("/v3/devices")["data"]] == ["good-0"]


def test_a_certificate_that_does_not_belong_to_its_key_is_refused_at_start(make_server, tmp_path):
    ours = Authority(tmp_path, "ours")
    _, cert, _, _ = ours.issue("server")
    _, _, _, other = ours.issue("other")
    server = make_server(start=False)
    for option in (("--coaps-cert", cert, "--coaps-key", other), ("--http-cert", cert, "--http-key", other),
                   ("--coaps-cert", other, "--coaps-key", other), ("--coaps-cert", tmp_path / "none", "--coaps-key", other)):
        code, _, err = run("droverd", "--data", server.dir, "--coaps", "127.0.0.1:0", "--http", "127.0.0.1:0",
                           "--metrics", "off", "--bootstrap", "off", *option, check=False, timeout=20)
        assert code in (1, 2, 3), (option, code, err)
        assert "droverd" in err.splitlines()[-1], err


# ---- plain CoAP ----


@pytest.mark.sanitized
def test_plain_coap_is_refused_when_it_is_off(make_server):
    server = make_server()
    host, port = server.address("coaps")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        for message in (coap(2, 1, ("rd",), ("ep=plain-0", "lt=300", "lwm2m=1.0"), b"</1/0>", 40), coap(1, 2, (".well-known",)),
                        b"\x40\x00\x12\x34", os.urandom(60), b"\x16\xfe\xfd" + os.urandom(60), b"\x17\xfe\xfd" + b"\0" * 200,
                        b"\x19" + os.urandom(40), b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\xff\xff" + b"\1" * 30):
            s.sendto(message, (host, port))
        with pytest.raises(socket.timeout):
            s.recv(2048)
    rest = server.rest()
    assert rest.get("/v3/devices")["total_count"] == 0
    sim = Sim(f"coap://{host}:{port}", 1, "--scenario", "register")
    time.sleep(2)
    assert sim.stop().get("registered", 0) == 0
    assert rest.get("/v3/devices")["total_count"] == 0


def test_plain_coap_registers_when_it_is_on(make_server):
    server = make_server("--coap", "127.0.0.1:0")
    host, port = server.address("coap")
    sim = Sim(f"coap://{host}:{port}", 2, "--scenario", "register")
    assert sim.wait(30)["registered"] == 2
    wait_for("both in the directory", lambda: server.rest().get("/v3/devices")["total_count"] == 2, 10)
