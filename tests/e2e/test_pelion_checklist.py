# SPDX-License-Identifier: Apache-2.0
"""Everything an unmodified Pelion client needs of the server, row by row of docs/pelion-checklist.md, with a scripted
client that behaves as the real one does. The number in a test's name is its row."""
import base64
import datetime
import json
import pathlib
import re
import time
import uuid

import harness
import pytest
from pelion import Authority, Peer
from updates import Author, Campaign, add_image

pytestmark = pytest.mark.sanitized
PSK = "00112233445566778899aabbccddeeff"


class World:
    """A server with its own certificates; devices come with those of authorities that the account trusts."""

    def __init__(self, folder):
        self.dir = folder
        self.server = harness.Server(folder / "data", "--device-host", "127.0.0.1")
        self.server.start()
        rest = self.rest()
        self.roots = {}
        for service in ("lwm2m", "bootstrap"):
            self.roots[service] = folder / f"{service}-root.pem"
            self.roots[service].write_text(rest.get(f"/v3/server-credentials/{service}")["server_certificate"])
        self.devices = self.trust("lwm2m")
        self.factory = self.trust("bootstrap")
        self.peers = []
        self.count = 0

    def trust(self, service):
        """An authority of the account for devices of that service."""
        authority = Authority(self.dir / "pki", f"{service}-devices")
        self.rest()("POST", "/v3/trusted-certificates",
                    {"name": f"{service} devices", "service": service, "certificate": authority.path.read_text()},
                    expect=201)
        return authority

    @property
    def account(self):
        return self.server.account

    def address(self):
        host, port = self.server.address("coaps")
        return f"{host}:{port}"

    def peer(self, *options, mode="dtls", ep=None, aid=None):
        """A device with a certificate of the device authority, and one for bootstrap; not connected yet."""
        self.count += 1
        ep = ep or f"dev-{self.count:04}"
        crt, key = self.devices.issue(f"device-{self.count}", cn=ep, ou=self.account)
        boot_crt, boot_key = self.factory.issue(f"factory-{self.count}", cn=ep, ou=self.account)
        boot_host, boot_port = self.server.address("bootstrap")
        peer = Peer("--server", self.address(), "--mode", mode, "--ep", ep, "--aid", aid or self.account, "--cert",
                    crt, "--key", key, "--ca", self.roots["lwm2m"], "--bootstrap", f"{boot_host}:{boot_port}",
                    "--boot-cert", boot_crt, "--boot-key", boot_key, "--boot-ca", self.roots["bootstrap"],
                    "--boot-query", f"aid={aid or self.account}", "--ack-timeout", 1000, *options,
                    log=self.dir / "peer.log")
        peer.ep = ep
        self.peers.append(peer)
        return peer

    def up(self, *options, **named):
        """A device that is registered; its id is in peer.id."""
        peer = self.peer(*options, **named)
        peer.connected, peer.registered = peer.connect()
        peer.id = peer.registered["location"].split("/")[-1]
        return peer

    def rest(self):
        return self.server.rest()

    def value(self, peer, path, timeout=10):
        """A value by way of the REST interface: (status, text)."""
        rest = self.rest()
        channel = harness.Channel(self.server)
        answer = channel.answer(harness.device_request(rest, peer.id, "GET", path), timeout)
        channel.close()
        return answer["status"], harness.payload_text(answer)

    def close(self):
        for peer in self.peers:
            peer.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("pelion"))
    yield made
    made.close()


MODES = ["dtls", "tls"]
both = pytest.mark.parametrize("mode", MODES)


@both
def test_row_08_registers_and_gets_the_long_location(world, mode):
    peer = world.up(mode=mode)
    assert peer.connected["suite"] == "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8"
    assert peer.registered["location"] == f"rd/{world.account}/{peer.id}"
    assert peer.registered["max_age"] == -1
    assert peer.registered["blocks"] > 1
    row = world.rest().get(f"/v3/devices/{peer.id}")
    assert (row["endpoint_name"], row["endpoint_type"], row["state"]) == (peer.ep, "default", "registered")


@both
def test_row_03_a_fresh_device_takes_the_time_from_the_server(world, mode):
    before = int(time.time())
    peer = world.up(mode=mode)  # its clock starts at 0; certificates are valid from 1970 on
    assert not peer.connected["renegotiated"]
    assert peer.connected["not_before"] == 0
    assert before - 2 <= peer.connected["server_time"] <= time.time() + 2


@both
def test_row_04_empty_acks_of_five_bytes_and_stray_options_are_taken(world, mode):
    peer = world.up(mode=mode)
    peer.say("opt exec-delay 300")
    async_id = harness.device_request(world.rest(), peer.id, "POST", "/3/0/5")
    peer.expect("request", method="POST", path="3/0/5")
    peer.expect("answered-late", path="3/0/5")
    assert len([e for e in peer.events("request") if e["path"] == "3/0/5"]) == 1  # the ACK has stopped repetitions
    channel = harness.Channel(world.server)
    assert channel.answer(async_id)["status"] == 200
    channel.close()


@both
def test_row_09_an_update_over_a_new_connection_is_enough(world, mode):
    peer = world.up(mode=mode)
    for _ in range(2):
        peer.say("reconnect")
        peer.expect("connected")
        peer.expect("updated", code="2.04")
    assert world.value(peer, "/3/0/0") == (200, "dev_manufacturer")
    peer.say("set 10252/0/2 3")  # standing observations have moved with it
    assert peer.expect("notified")["how"] == "acked"
    peer.say("deregister")
    peer.expect("deregistered", code="2.02")
    assert world.rest().get(f"/v3/devices/{peer.id}")["state"] == "deregistered"


@both
def test_row_09_deregister_over_a_new_connection(world, mode):
    peer = world.up(mode=mode)
    peer.say("opt auto 0").say("connect")
    peer.expect("connected")
    peer.say("deregister")
    peer.expect("deregistered", code="2.02")
    peer.say("update")  # 4.04: it registers again, on the same connection, and keeps its credentials
    assert peer.expect("refused", request="update")["code"] == "4.04"
    peer.expect("registered", code="2.01")


@both
def test_row_09_the_location_of_another_device_is_not_found(world, mode):
    victim = world.up(mode=mode)
    peer = world.up(mode=mode)
    peer.say("opt location", victim.registered["location"]).say("update")
    refused = peer.expect("refused", request="update")
    assert (refused["code"], refused["rebootstrap"]) == ("4.04", 0)
    again = peer.expect("registered")
    assert again["location"] == peer.registered["location"]
    victim.say("update")
    victim.expect("updated")


@both
def test_row_09_an_update_after_a_restart_of_the_server(tmp_path, mode):
    world = World(tmp_path)
    try:
        port = world.server.ready["coaps"]
        peer = world.up(mode=mode)
        peer.say("add 4000/0/1 2").say("update </4000/0/1>;aobs=\"1000\"")
        peer.expect("updated")
        world.server.stop()
        world.server.options += ["--coaps", port]
        world.server.start()
        peer.say("reconnect")
        peer.expect("connected", timeout=30)
        peer.expect("updated")
        peer.say("set 10252/0/2 4")
        assert peer.expect("notified", path="10252/0/2")["how"] == "acked"
        peer.say("set 4000/0/1 later")
        assert peer.expect("notified", path="4000/0/1")["how"] == "acked"
        rest = world.rest()
        harness.wait_for("the value", lambda: rest.raw("GET", f"/v2/endpoints/{peer.id}/10252/0/2?cacheOnly=true")
                         [0] in (200, 202))
    finally:
        world.close()


@both
def test_row_10_claims_are_held_against_the_certificate(world, mode):
    other = "0" * 31 + "1"
    peer = world.peer(mode=mode, aid=other)
    peer.say("connect")
    peer.expect("connected")
    refused = peer.expect("refused", request="register")
    assert (refused["code"], refused["rebootstrap"]) == ("4.00", 1)
    peer = world.peer(mode=mode)
    peer.say("opt ep somebody-else").say("connect")
    peer.expect("connected")
    assert peer.expect("refused", request="register")["code"] == "4.00"
    listed = world.rest().get("/v3/devices?endpoint_name__eq=somebody-else")
    assert listed["total_count"] == 0


@both
def test_row_11_values_of_the_list_are_known_at_once(world, mode):
    vendor = "937f1d6638a33c742515705fb8d6da1f"
    peer = world.up("--vendor", vendor, mode=mode)
    asked = len(peer.events("request"))
    rest = world.rest()
    for path, want in (("/3/0/0", b"dev_manufacturer"), ("/10255/0/0", b"4"), ("/10252/0/3", b"-1"),
                       ("/10255/0/3", bytes.fromhex(vendor))):
        status, body = rest.raw("GET", f"/v2/endpoints/{peer.id}{path}")
        assert (status, body) == (200, want), path
    assert len(peer.events("request")) == asked  # the device was not asked
    resources = {r["uri"]: r for r in rest.get(f"/v2/endpoints/{peer.id}")}
    assert resources["/14/0/0"]["rt"] == "Component Identity"
    assert resources["/3200/0/5501"]["obs"]


@both
def test_row_12_notifications_come_without_an_observe(world, mode):
    peer = world.up(mode=mode)
    rest = world.rest()
    channel = harness.Channel(world.server)
    first = channel.answer(rest("PUT", f"/v2/subscriptions/{peer.id}/10252/0/2", expect=202)[1]["async-response-id"])
    assert harness.payload_text(first) == "1"
    peer.say("set 10252/0/2 3").say("set 10252/0/3 23").say("set 10252/0/2 1")
    for _ in range(3):
        assert peer.expect("notified")["how"] == "acked"
    channel.until(lambda: any(n["path"] == "/10252/0/2" and base64.b64decode(n["payload"]) == b"1"
                              for n in channel.notifications))
    assert not any(n["path"] == "/10252/0/3" for n in channel.notifications)  # nobody subscribed to that
    assert not peer.events("observe")  # and nothing was asked of the device for it
    channel.close()


@both
def test_row_12_tokens_are_learned_anew(world, mode):
    peer = world.up(mode=mode)
    for value in (3, 4):
        peer.say("restart")
        peer.expect("registered")
        peer.say("set 10252/0/2", value)
        assert peer.expect("notified", path="10252/0/2")["how"] == "acked"
        rest = world.rest()
        harness.wait_for("the new value", lambda value=value: world.value(peer, "/10252/0/2") == (200, str(value)))
    peer.say("add 4000/0/9 2")  # an observation that was never registered: acknowledged as well
    peer.say("set 4000/0/9 1")
    assert peer.expect("notified", path="4000/0/9")["how"] == "acked"
    assert rest is not None


@both
def test_row_13_answers_come_separately_and_late(world, mode):
    peer = world.up(mode=mode)
    peer.say("opt exec-delay 2500")
    rest = world.rest()
    async_id = harness.device_request(rest, peer.id, "POST", "/1/0/8")
    peer.expect("answered-late", path="1/0/8")
    peer.expect("updated")  # the trigger
    channel = harness.Channel(world.server)
    assert channel.answer(async_id)["status"] == 200
    channel.close()
    assert len([e for e in peer.events("request") if e["path"] == "1/0/8"]) == 1


@both
def test_row_13_a_lost_ack_is_no_second_execution(world, mode):
    peer = world.up(mode=mode)
    peer.say("opt exec-delay 100").say("opt drop-acks 1")
    async_id = harness.device_request(world.rest(), peer.id, "POST", "/3/0/5")
    peer.expect("answered-late", path="3/0/5")
    channel = harness.Channel(world.server)
    assert channel.answer(async_id)["status"] == 200
    channel.close()


@both
def test_row_14_one_request_at_a_time(world, mode):
    peer = world.up(mode=mode)
    peer.say("opt exec-delay 400")
    rest = world.rest()
    ids = [harness.device_request(rest, peer.id, "POST", path) for path in ("/3/0/5", "/3/0/4", "/3201/0/5850")]
    channel = harness.Channel(world.server)
    assert [channel.answer(i)["status"] for i in ids] == [200, 200, 200]
    channel.close()
    peer.collect(0.3)
    assert not peer.events("dropped")
    order = [e["ev"] for e in peer.seen if e["ev"] in ("request", "answered-late")]
    assert order == ["request", "answered-late"] * 3


@both
def test_row_14_arguments_are_plain_text(world, mode):
    peer = world.up(mode=mode)
    async_id = str(uuid.uuid4())
    body = {"method": "POST", "uri": "/3201/0/5850", "content-type": "application/octet-stream",
            "payload-b64": base64.b64encode(b"500:500").decode()}
    world.rest()("POST", f"/v2/device-requests/{peer.id}?async-id={async_id}", body, expect=202)
    assert peer.expect("request", path="3201/0/5850")["format"] == 0
    channel = harness.Channel(world.server)
    assert channel.answer(async_id)["status"] == 200
    channel.close()


@both
@pytest.mark.parametrize("block", [512, 256])
def test_row_15_large_writes_and_reads_go_in_blocks(world, mode, block):
    peer = world.up(mode=mode)
    peer.say("opt block", block)
    text = "".join(chr(97 + i % 26) for i in range(2000))
    channel = harness.Channel(world.server)
    rest = world.rest()
    assert channel.answer(harness.device_request(rest, peer.id, "PUT", "/5000/0/2", text))["status"] == 200
    got = peer.expect("request", method="PUT", path="5000/0/2")
    assert bytes.fromhex(got["body"]) == b"" and got["len"] == 2000
    answer = channel.answer(harness.device_request(rest, peer.id, "GET", "/5000/0/2"))
    assert (answer["status"], harness.payload_text(answer)) == (200, text)
    channel.close()
    assert not [e for e in peer.events("failed")]


@both
def test_row_15_large_notifications_are_whole(world, mode):
    peer = world.up(mode=mode)
    rest = world.rest()
    channel = harness.Channel(world.server)
    channel.answer(rest("PUT", f"/v2/subscriptions/{peer.id}/5000/0/2", expect=202)[1]["async-response-id"])
    peer.expect("observe", path="5000/0/2")
    peer.say("fill 5000/0/2 1500")
    assert peer.expect("notified", path="5000/0/2")["how"] == "acked"
    want = bytes(97 + i % 26 for i in range(1500))
    channel.until(lambda: any(base64.b64decode(n["payload"]) == want for n in channel.notifications))
    channel.close()


@both
def test_row_21_a_deleted_device_with_a_certificate_of_its_own_comes_anew(world, mode):
    peer = world.up(mode=mode)
    world.rest()("DELETE", f"/v3/devices/{peer.id}", expect=204)
    peer.expect("closed")
    peer.say("reconnect")
    peer.expect("connected")
    assert peer.expect("refused", request="update")["code"] == "4.04"
    peer.expect("registered", code="2.01")  # its certificate names no device: it comes anew


@both
def test_row_22_a_ping_is_answered_with_a_reset(world, mode):
    peer = world.up(mode=mode)
    peer.say("ping")
    assert peer.expect("pong")["how"] == "reset"


def test_row_23_a_new_handshake_replaces_the_session(world):
    peer = world.up(mode="dtls")
    peer.say("restart")
    peer.expect("connected")
    assert peer.expect("registered")["location"] == peer.registered["location"]
    assert world.value(peer, "/3/0/0") == (200, "dev_manufacturer")


@both
def test_row_05_06_07_29_bootstrap_with_a_certificate(world, mode):
    peer = world.peer(mode=mode)
    peer.say("bootstrap")
    peer.expect("connected", renegotiated=0)
    peer.expect("bootstrap-accepted")
    writes = []
    for _ in range(4):
        got = peer.expect("boot-write")
        writes.append((got["path"], got["code"]))
    assert writes == [("0", "2.02"), ("0", "2.04"), ("1", "2.04"), ("3", "2.04")]
    done = peer.expect("bootstrapped")
    assert (done["good"], done["broken"], done["mode"]) == (1, 0, 2)
    assert (done["cn"], done["ou"]) == (peer.ep, world.account)
    assert done["uri"] == f"coaps://{world.address()}?aid={world.account}"
    assert done["cert_len"] <= 1024
    peer.expect("connected", renegotiated=0)
    registered = peer.expect("registered")
    assert registered["location"] == f"rd/{world.account}/{done['l']}"  # the device id is that of the certificate
    methods = [(e["method"], e["path"]) for e in peer.events("request")][:5]
    assert methods == [("DELETE", "0"), ("PUT", "0"), ("PUT", "1"), ("PUT", "3"), ("POST", "bs")]
    assert abs(done["time"] - time.time()) < 30  # row 29: resource 13 alone
    assert not peer.events("failed")


@both
def test_row_05_a_second_bootstrap_with_the_device_id_and_separate_answers(world, mode):
    peer = world.peer(mode=mode)
    peer.say("bootstrap")
    first = peer.expect("bootstrapped")
    peer.expect("registered")
    peer.say("opt two-step 1").say("bootstrap")
    again = peer.expect("bootstrapped")
    assert (again["good"], again["l"]) == (1, first["l"])
    peer.expect("registered")


@both
def test_row_05_bootstrap_with_blocks_of_256(world, mode):
    peer = world.peer(mode=mode)
    peer.say("opt block 256").say("bootstrap")
    assert peer.expect("bootstrapped")["good"] == 1
    peer.expect("registered")


@both
def test_row_10_bootstrap_claims_are_held_against_the_certificate(world, mode):
    peer = world.peer(mode=mode, aid="0" * 31 + "1")
    peer.say("bootstrap")
    assert peer.expect("refused", request="bootstrap")["code"] in ("4.00", "4.03")


@both
def test_row_16_est_on_the_lwm2m_connection(world, mode):
    peer = world.up(mode=mode)
    peer.say("est")
    got = peer.expect("est")
    assert (got["code"], got["good"], got["count"]) == ("2.04", 1, 1)
    subject = got["subject"]
    assert f"CN={peer.ep}" in subject and f"OU={world.account}" in subject and f"L={peer.id}" in subject
    peer.say("reconnect")  # with the new certificate
    peer.expect("connected")
    peer.expect("updated")


@both
def test_row_16_est_comes_in_blocks_by_repeated_posts(world, mode):
    peer = world.up(mode=mode)
    peer.say("opt block 256").say("est custom-1")
    got = peer.expect("est", name="custom-1")
    assert got["good"] == 1
    assert got["blocks"] >= 2

    def rows():
        listed = world.rest().get("/v3/drover/device-certificates?limit=1000")["data"]
        return len([c for c in listed if (c["endpoint_name"], c["name"]) == (peer.ep, "custom-1")])

    harness.wait_for("the row of the certificate", rows, 10)
    assert rows() == 1  # the blocks were no new requests


@both
def test_row_16_est_refuses_names_of_others(world, mode):
    peer = world.up(mode=mode)
    peer.say("opt ep somebody-else").say("est")
    got = peer.expect("est")
    assert (got["code"], got["good"]) == ("4.00", 0)


def test_row_16_a_device_gets_so_many_certificates_and_no_more(world):
    peer = world.up()
    for i in range(24):
        peer.say("est custom-1")
        got = peer.expect("est")
        if not got["good"]:
            break
    assert got["code"] == "5.03" and 19 < i < 24


@both
def test_row_16_est_at_bootstrap_keeps_the_key_on_the_device(world, mode):
    world.rest()("POST", "/v3/drover/bootstrap-policies",
                 {"scope": "endpoint", "endpoint_pattern": "est-*", "security": "est"}, expect=201)
    peer = world.peer(mode=mode, ep=f"est-{mode}")
    peer.say("bootstrap")
    got = peer.expect("est")
    assert got["good"] == 1
    done = peer.expect("bootstrapped")
    assert (done["good"], done["mode"]) == (1, 4)
    registered = peer.expect("registered")
    assert registered["location"].endswith(done["l"])


@both
def test_row_31_a_renewal_is_a_post_with_a_late_answer(world, mode):
    peer = world.up(mode=mode)
    rest = world.rest()
    made = rest("POST", f"/v3/devices/{peer.id}/certificates/LWM2M/renew", expect=201)[1]
    assert (made["enroll_status"], made["device_id"]) == ("new", peer.id)
    body = peer.expect("request", method="POST", path="35011/0/27002")
    assert (body["format"], bytes.fromhex(body["body"])) == (0, b"\0\1\0\6LWM2M\0")
    assert peer.expect("est")["good"] == 1
    peer.expect("answered-late", path="35011/0/27002")

    def over():
        row = rest.get(f"/v3/certificate-enrollments/{made['id']}")
        return row if row["enroll_status"] == "completed" else None

    row = harness.wait_for("the renewal to be over", over, 10)
    assert (row["enroll_result"], row["certificate_name"]) == ("success", "LWM2M")
    peer.say("reconnect")
    peer.expect("connected")
    peer.expect("updated")
    page = rest.get(f"/v3/certificate-enrollments?device_id__eq={peer.id}")
    assert [e["id"] for e in page["data"]] == [made["id"]]


def test_row_31_what_goes_wrong_with_a_renewal_is_told(world):
    peer = world.up()
    rest = world.rest()
    made = rest("POST", f"/v3/devices/{peer.id}/certificates/BOOTSTRAP/renew", expect=201)[1]
    row = harness.wait_for("the end", lambda: (lambda e: e if e["enroll_status"] == "completed" else None)(
        rest.get(f"/v3/certificate-enrollments/{made['id']}")), 10)
    assert row["enroll_result"] == "failure" and "no certificate of that name" in row["enroll_result_detail"]
    peer.say("opt exec-delay 3000")
    rest("POST", f"/v3/devices/{peer.id}/certificates/none/renew", expect=201)
    rest("POST", f"/v3/devices/{peer.id}/certificates/LWM2M/renew", expect=409)
    rest("POST", f"/v3/devices/{'0' * 31}5/certificates/LWM2M/renew", expect=404)
    away = world.up()
    away.say("deregister")
    away.expect("deregistered")
    rest("POST", f"/v3/devices/{away.id}/certificates/LWM2M/renew", expect=423)
    code, out, _ = world.server.cli("cert", "renew", world.up().id)
    assert code == 0 and len(out.strip()) == 32


@both
def test_row_21_a_certificate_of_a_deleted_device_sends_it_back_to_bootstrap(world, mode):
    peer = world.peer(mode=mode)
    peer.say("bootstrap")
    first = peer.expect("bootstrapped")
    peer.expect("registered")
    world.rest()("DELETE", f"/v3/devices/{first['l']}", expect=204)
    peer.expect("closed")
    peer.say("connect")
    peer.expect("connected")
    refused = peer.expect("refused", request="register")
    assert (refused["code"], refused["rebootstrap"]) == ("4.03", 1)
    peer.say("bootstrap")
    again = peer.expect("bootstrapped")
    assert again["good"] == 1 and again["l"] != first["l"]
    peer.expect("registered")


def test_row_01_tls_needs_a_certificate_of_the_client_and_no_names(world):
    peer = world.up(mode="tls")  # without SNI; nothing of the server's name is checked
    assert peer.connected["suite"] == "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8"
    bare = Peer("--server", world.address(), "--mode", "tls", "--ep", "bare", "--aid", world.account, "--ca",
                world.roots["lwm2m"])
    world.peers.append(bare)
    bare.say("connect")
    assert bare.expect("failed")["what"] == "connect"
    stranger = Authority(world.dir / "pki", "stranger").issue("stranger-device", cn="x", ou=world.account)
    other = Peer("--server", world.address(), "--mode", "tls", "--ep", "x", "--aid", world.account, "--ca",
                 world.roots["lwm2m"], "--cert", stranger[0], "--key", stranger[1])
    world.peers.append(other)
    other.say("connect")
    assert other.expect("failed")["what"] == "connect"


def test_row_02_each_record_is_one_message_and_fits_the_client(world):
    peer = world.up(mode="tls")
    channel = harness.Channel(world.server)
    rest = world.rest()
    ids = [harness.device_request(rest, peer.id, "PUT", "/5000/0/2", "x" * 3000),
           *(harness.device_request(rest, peer.id, "GET", path) for path in ("/3/0", "/5000/0/2", "/10252/0"))]
    assert [channel.answer(i)["status"] for i in ids] == [200] * 4
    channel.close()
    for mid in ("1234", "1234", "1235"):
        peer.say("raw", f"4000{mid}")  # a ping of its own: each is answered, over TLS as over DTLS
    peer.say("ping")
    peer.expect("pong")
    assert not peer.events("failed")  # nothing was longer than its buffer, or no message
    mids = [e["mid"] for e in peer.events("request")]
    assert len(set(mids)) == len(mids)


def test_row_03_certificates_of_today_work_by_renegotiation(tmp_path):
    today = datetime.datetime.utcnow() - datetime.timedelta(hours=1)
    servers = Authority(tmp_path / "pki", "server-root", start=today)
    devices = Authority(tmp_path / "pki", "device-root")
    cert, key = servers.issue("server", server=True, cn="lwm2m")
    server = harness.Server(tmp_path / "data", "--coaps-cert", cert, "--coaps-key", key, "--coaps-ca", devices.path)
    server.start()
    crt, device_key = devices.issue("device", cn="late", ou=server.account)
    host, port = server.address("coaps")
    peer = Peer("--server", f"{host}:{port}", "--mode", "tls", "--ep", "late", "--aid", server.account, "--cert", crt,
                "--key", device_key, "--ca", servers.path)
    try:
        connected, registered = peer.connect()
        assert connected["renegotiated"] == 1
        assert registered["code"] == "2.01"
    finally:
        peer.stop()
        server.stop()


def test_row_23_messages_that_are_lost_are_sent_again(world):
    peer = world.up()
    peer.say("opt deaf 1")  # the request is not seen, its repetition is
    assert world.value(peer, "/3/0/11", timeout=20) == (200, "0")


# ---- firmware ----


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    made = Author(tmp_path_factory.mktemp("author") / "a")
    return made


def ids_of(author, manifest):
    path = author.dir / "one.manifest"
    path.write_bytes(manifest)
    fields = json.loads(harness.run("drover", "manifest", "parse", path, "--json")[1])
    return [re.sub("[^0-9a-f]", "", fields[name].lower()) for name in ("vendor_id", "class_id")]


@pytest.mark.parametrize("mode,how", [("tls", "http"), ("dtls", "coap"), ("tls", "coap")])
def test_row_17_18_19_20_an_update_from_start_to_success(world, author, mode, how):
    rest = world.rest()
    image = bytes(range(256)) * 300
    version = {"http": "1.0.1", "coap": "1.0.2"}[how] if mode == "tls" else "1.0.3"
    firmware, manifest = author.upload(rest, image, version)
    assert len(firmware["datafile"]) <= 255
    vendor, class_id = ids_of(author, author.sign(firmware["datafile"], image, version))
    crt = author.dir / "signer.der"
    crt.write_bytes(author.cert.read_bytes())
    peer = world.up("--vendor", vendor, "--class", class_id, "--signer", crt, "--version", "1.0.0", mode=mode)
    peer.say("opt fw", how)
    campaign = Campaign(rest, manifest, device_filter=f"id__eq={peer.id}").start()
    posted = peer.expect("request", method="POST", path="10252/0/1")
    assert posted["format"] == 0
    for state in ("3", "4"):
        peer.expect("fw-state", state=state)
    if how == "coap":
        first = peer.expect("fw-first-block")
        assert (first["size2"], first["len"]) == (len(image), 512)
    assert peer.expect("downloaded")["size"] == len(image)
    peer.expect("rebooted")
    peer.expect("registered")
    counts = campaign.done()
    assert counts["success"] == 1, campaign.explain(peer.id)
    assert not peer.events("observe")  # state and result came by themselves


def test_row_17_a_failure_is_the_result_that_the_device_reports(world, author):
    rest = world.rest()
    image = b"firmware" * 100
    firmware, manifest = author.upload(rest, image, "2.0.0")
    vendor, class_id = ids_of(author, author.sign(firmware["datafile"], image, "2.0.0"))
    other = Author(world.dir / "other-author")
    peer = world.up("--vendor", vendor, "--class", class_id, "--signer", other.cert, mode="tls")
    campaign = Campaign(rest, manifest, device_filter=f"id__eq={peer.id}").start()
    assert peer.expect("fw-failed")["result"] == 23  # signature
    counts = campaign.done()
    assert counts["fail"] == 1, campaign.explain(peer.id)


def test_row_18_devices_of_another_kind_get_no_manifest(world, author):
    rest = world.rest()
    _, manifest = author.upload(rest, b"x" * 1000, "3.0.0")
    peer = world.up("--vendor", "11" * 16, "--class", "22" * 16, mode="tls")
    campaign = Campaign(rest, manifest, device_filter=f"id__eq={peer.id}").start()
    counts = campaign.done()
    assert counts["success"] == 0
    assert not [e for e in peer.events("request") if e["path"] == "10252/0/1"]


def test_row_19_the_image_is_served_in_ranges(world):
    image = bytes(range(256)) * 20
    url = add_image(world.rest(), image)["datafile"]
    assert url.startswith("http://") and len(url) <= 255
    path = re.sub(r"^http://[^/]+", "", url)
    nobody = world.rest()
    nobody.key = None
    assert nobody.raw("GET", path, headers={"Range": "bytes=1000-"}) == (206, image[1000:])


@both
def test_row_20_what_is_not_there_is_refused(world, mode):
    peer = world.up(mode=mode)
    peer.say("fw http://127.0.0.1:1/not-ours 100")
    assert peer.expect("fw-refused")["code"] == "5.05"  # final: 5.03 would make it try for ever


# ---- around ----


def test_row_22_idle_connections_live_longer_than_the_keep_alive(tmp_path):
    code, _, err = harness.run("droverd", "--data", tmp_path / "x", "--tcp-idle", "540", check=False)
    assert code == 2 and "tcp-idle" in err  # 540 s is when the client pings


def c_arrays(text):
    """{symbol: bytes} of a credentials file."""
    found = {}
    for name, body in re.findall(r"const uint8_t (\w+)\s*\[\s*\]\s*=\s*\{(.*?)\}", text, re.S):
        found[name] = bytes(int(v, 16) for v in re.findall(r"0x([0-9a-fA-F]{2})", body))
    for name, body in re.findall(r'const char (\w+)\s*\[\s*\]\s*=\s*"(.*?)"', text):
        found[name] = body
    return found


@both
def test_row_24_a_developer_certificate_is_all_a_client_needs(world, mode):
    made = world.rest()("POST", "/v3/developer-certificates", {"name": f"developer {mode}"}, expect=201)[1]
    have = c_arrays(made["security_file_content"])
    prefix = "MBED_CLOUD_DEV_BOOTSTRAP_"
    files = {}
    for part, symbol in (("cert", "DEVICE_CERTIFICATE"), ("ca", "SERVER_ROOT_CA_CERTIFICATE"),
                         ("key", "DEVICE_PRIVATE_KEY")):
        files[part] = world.dir / f"developer-{mode}-{part}.der"
        files[part].write_bytes(have[prefix + symbol])
    uri = have[prefix + "SERVER_URI"]
    address, query = re.fullmatch(r"coaps://([^/?]+)\?(.*)", uri).groups()
    assert query == f"aid={world.account}" == f"aid={have['MBED_CLOUD_DEV_ACCOUNT_ID']}"
    peer = Peer("--bootstrap", address, "--mode", mode, "--ep", have[prefix + "ENDPOINT_NAME"], "--aid",
                world.account, "--boot-cert", files["cert"], "--boot-key", files["key"], "--boot-ca", files["ca"],
                "--boot-query", query)
    world.peers.append(peer)
    peer.say("bootstrap")
    assert peer.expect("bootstrapped")["good"] == 1
    registered = peer.expect("registered")
    row = world.rest().get(f"/v3/devices/{registered['location'].split('/')[-1]}")
    assert row["device_execution_mode"] == 1


def test_row_25_roots_are_of_the_installation_and_stay(tmp_path, world):
    server = harness.Server(tmp_path / "other")
    server.start()
    ask = "/v3/server-credentials/bootstrap"
    mine = server.rest().get(ask)["server_certificate"]
    assert mine != world.rest().get(ask)["server_certificate"]
    server.stop()
    server.start()
    assert server.rest().get(ask)["server_certificate"] == mine
    server.stop()
    code, out, _ = harness.run("droverd", "check", tmp_path / "other")
    assert code == 0 and re.search(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", out)


def test_row_28_sessions_are_resumed_by_their_id(world):
    peer = world.up(mode="tls")
    peer.say("reconnect")
    assert peer.expect("connected")["resumed"] == 1
    peer.expect("updated")


@both
def test_row_30_requests_wait_for_a_sleeping_device(world, mode):
    peer = world.peer(mode=mode)
    peer.say("opt binding UQ")
    peer.connect()
    peer.id = peer.events("registered")[-1]["location"].split("/")[-1]
    peer.say("close")
    peer.collect(0.2)
    rest = world.rest()
    async_id = harness.device_request(rest, peer.id, "GET", "/3/0/11")
    assert rest.get(f"/v3/devices/{peer.id}")["state"] == "registered"
    peer.say("reconnect")
    peer.expect("updated")
    channel = harness.Channel(world.server)
    assert channel.answer(async_id, 20)["status"] == 200
    channel.close()


@both
@pytest.mark.parametrize("suite", ["TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
                                   "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384"])
def test_row_34_other_suites(world, mode, suite):
    peer = world.peer(mode=mode)
    peer.say("opt suite", suite)
    connected, _ = peer.connect()
    assert connected["suite"] == suite


@both
def test_row_33_chains_with_an_intermediate_authority(world, mode):
    middle = world.factory.below(f"middle-{mode}")
    crt, key = middle.issue(f"chained-{mode}", cn=f"chained-{mode}", ou=world.account)
    crt.write_bytes(crt.read_bytes() + middle.path.read_bytes())
    host, port = world.server.address("bootstrap")
    peer = Peer("--bootstrap", f"{host}:{port}", "--mode", mode, "--ep", f"chained-{mode}", "--aid", world.account,
                "--boot-cert", crt, "--boot-key", key, "--boot-ca", world.roots["bootstrap"], "--boot-query",
                f"aid={world.account}")
    world.peers.append(peer)
    peer.say("bootstrap")
    assert peer.expect("bootstrapped")["good"] == 1
    peer.expect("registered")


def test_row_34_plain_tcp_without_security(tmp_path):
    server = harness.Server(tmp_path / "data", "--coap", "127.0.0.1:0")
    server.start()
    host, port = server.address("coap")
    peers = [Peer("--server", f"{host}:{port}", "--mode", mode, "--ep", f"open-{mode}", "--aid", server.account)
             for mode in ("tcp", "udp")]
    try:
        for peer in peers:
            peer.connect()
            peer.say("set 10252/0/2 3")
            assert peer.expect("notified")["how"] == "acked"
    finally:
        for peer in peers:
            peer.stop()
        server.stop()


def test_every_row_that_matters_has_a_test():
    rows = re.findall(r"^\| (\d+) \| ([012]) \|.*\| ([^|]*) \|$",
                      (harness.ROOT / "docs" / "pelion-checklist.md").read_text(), re.M)
    assert [int(r[0]) for r in rows] == list(range(1, 37))
    have = set()
    for file in pathlib.Path(__file__).parent.glob("test_*pelion*.py"):
        for name in re.findall(r"^def test_row_((?:\d\d_)+)", file.read_text(), re.M):
            have |= {int(n) for n in name.strip("_").split("_")}
    assert {int(r) for r, p, _ in rows if p in "01"} <= have
    assert {int(r) for r, _, state in rows if state.startswith("done")} <= have


def test_row_34_psk_builds_register_too(world):
    (world.dir / "key.hex").write_text(PSK)
    world.server.cli("psk", "add", "psk-dev", "--key-file", world.dir / "key.hex")
    peer = Peer("--server", world.address(), "--mode", "dtls", "--ep", "psk-dev", "--aid", world.account, "--psk-id",
                "psk-dev", "--psk", PSK)
    world.peers.append(peer)
    connected, registered = peer.connect()
    assert connected["suite"] == "TLS-PSK-WITH-AES-128-CCM-8"
    assert registered["location"].startswith(f"rd/{world.account}/")
