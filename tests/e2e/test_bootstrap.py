# SPDX-License-Identifier: Apache-2.0
"""Bootstrap with real processes: server, command line, and a scripted device."""
import json
import subprocess

import pytest

from harness import BIN, wait_for

DEVICE = BIN.parent / "tests" / "e2e" / "boot_device"
KEY = "00112233445566778899aabbccddeeff"
ENDPOINT = "boot-device-000001"


def add_key(server, endpoint=ENDPOINT, key=KEY):
    server.cli("psk", "add", endpoint, "--key-file", "-", stdin=key + "\n")


def device(server, *options, start=False, key=KEY, endpoint=ENDPOINT, stdin=None):
    """What the device reports; or, with start, its process."""
    host, port = server.address("bootstrap")
    args = [str(DEVICE), "--bootstrap", f"{host}:{port}", *map(str, options)]
    if key:
        args += ["--identity", endpoint, "--key", key]
    if start:
        return subprocess.Popen(args, stdin=stdin, stdout=subprocess.PIPE, text=True)
    done = subprocess.run(args, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def directory(server, endpoint=ENDPOINT):
    rows = server.rest().get(f"/v3/devices?filter=endpoint_name%3D{endpoint}")["data"]
    return rows[0] if rows else None


@pytest.mark.sanitized
def test_a_psk_device_bootstraps_registers_and_renews_its_key(server):
    add_key(server)
    with device(server, "--query", f"ep={ENDPOINT}&pct=112", "--register", "--again", start=True) as process:
        first = json.loads(process.stdout.readline())
        assert (first["code"], first["finished"], first["registered"]) == ("2.04", True, "2.01")
        host, port = server.address("coaps")
        assert first["uri"] == f"coaps://{host}:{port}" and first["mode"] == 0 and first["lifetime"] == 86400
        row = directory(server)
        assert row["state"] == "registered" and row["bootstrapped_timestamp"]
        # a server-initiated bootstrap: the device gets another key and comes with it
        server.cli("bootstrap", "trigger", row["id"])
        again = json.loads(process.stdout.readline())
        assert again["registered"] == "2.01"
        assert process.wait(30) == 0
    after = directory(server)
    assert after["id"] == row["id"] and after["state"] == "registered"
    assert after["bootstrapped_timestamp"] > row["bootstrapped_timestamp"]
    events = [e["description"] for e in server.rest().get(f"/v3/device-events?filter=device_id%3D{row['id']}")["data"]]
    assert events.count("device bootstrapped") == 2 and "bootstrap began" in events
    metrics = server.metrics()
    assert metrics["drover_bootstrap_done_total"] == 2 and metrics["drover_bootstrap_sessions"] == 0


def test_the_reference_client_bootstraps_and_renews_its_key(server, tmp_path):
    """Another stack on the other side: drover-client."""
    add_key(server)
    (tmp_path / "key").write_text(KEY + "\n")
    host, port = server.address("bootstrap")
    with subprocess.Popen(
            [str(BIN / "drover-client"), "--data", str(tmp_path / "device"), "--bootstrap", f"coaps://{host}:{port}",
             "--psk-identity", ENDPOINT, "--psk-key-file", str(tmp_path / "key")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        try:
            row = wait_for("registered", lambda: (directory(server) or {}).get("state") == "registered"
                           and directory(server), 30)
            server.cli("bootstrap", "trigger", row["id"])
            wait_for("bootstrapped again", lambda: directory(server)["bootstrapped_timestamp"]
                     > row["bootstrapped_timestamp"], 30)
            wait_for("registered again", lambda: server.cli("device", "read", row["id"], "/1/0/1", check=False)[0] == 0,
                     30)
            assert directory(server)["state"] == "registered"
        finally:
            client.terminate()
            client.wait(20)


def test_states_in_the_directory(server):
    add_key(server)
    device(server, "--query", f"ep={ENDPOINT}", "--silent-after", 2)
    assert directory(server)["state"] == "cloud_enrolling"
    assert device(server, "--query", f"ep={ENDPOINT}")["finished"]
    row = wait_for("bootstrapped", lambda: directory(server)["state"] == "bootstrapped" and directory(server))
    assert row["bootstrapped_timestamp"]


def test_wrong_keys_names_and_accounts_are_refused(server):
    add_key(server)
    assert device(server, key="ff" * 16)["handshake"] == "ERR_CRYPTO"
    assert device(server, endpoint="boot-device-unknown")["handshake"] == "ERR_CRYPTO"
    assert device(server, "--query", "ep=boot-device-000002")["code"] == "4.00"
    assert device(server, "--query", f"ep={ENDPOINT}&aid={'0' * 32}")["code"] == "4.03"
    assert device(server, "--query", f"ep={ENDPOINT}&pct=1")["code"] == "4.15"
    assert directory(server) is None


def test_a_deleted_key_ends_all(server):
    add_key(server)
    with device(server, "--register", "--again", start=True) as process:
        assert json.loads(process.stdout.readline())["registered"] == "2.01"
        assert server.rest()("DELETE", f"/v2/device-shared-keys/{ENDPOINT}")[0] == 204
        assert device(server)["handshake"] == "ERR_CRYPTO"
        process.kill()


@pytest.mark.parametrize("requests", [1, 2, 3, 4, 5])
def test_the_server_is_killed_in_the_middle(server, requests):
    """Discover, Delete, Delete, Write, Write, (Finish): the key before stays good, and a new one is to be had."""
    add_key(server)
    host, port = server.address("coaps")
    with device(server, "--register", "--relapse", requests, "--discover",
                "</>;lwm2m=1.1,</0/0>,</0/1>;ssid=101,</1/0>;ssid=101", start=True, stdin=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["registered"] == "2.01"
        stuck = json.loads(process.stdout.readline())
        assert stuck["code"] == "2.04" and not stuck["finished"]
        server.kill()
        server.start("--coaps", f"{host}:{port}")
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["registered"] == "2.01"
        assert process.wait(30) == 0
    assert device(server, "--register")["registered"] == "2.01"


def test_policies_over_rest_and_command_line(server):
    rest = server.rest()
    add_key(server)
    one = rest("POST", "/v3/drover/bootstrap-policies",
               {"scope": "account", "lifetime": 600, "short_server_id": 7,
                "objects": [{"n": "/3/0/14", "vs": "+01:00"}]}, expect=201)[1]
    assert one["object"] == "bootstrap-policy" and one["scope"] == "account" and one["lifetime"] == 600
    assert device(server)["lifetime"] == 600
    two = server.cli("bootstrap", "set", "--endpoint", "boot-device-*", "--lifetime", "300", "--name", "lab",
                     "--server", "coaps://lab.example:5684", "--reset", "all")[1].strip()
    got = rest.get(f"/v3/drover/bootstrap-policies/{two}")
    assert (got["endpoint_pattern"], got["name"], got["reset"]) == ("boot-device-*", "lab", "all")
    made = device(server)
    assert made["lifetime"] == 300 and made["uri"] == "coaps://lab.example:5684"
    # the same pattern again is the same policy
    assert server.cli("bootstrap", "set", "--endpoint", "boot-device-*", "--lifetime", "301")[1].strip() == two
    assert rest("PUT", f"/v3/drover/bootstrap-policies/{two}", {"lifetime": 302}, expect=200)[1]["lifetime"] == 302
    assert rest.get(f"/v3/drover/bootstrap-policies/{two}")["endpoint_pattern"] == "boot-device-*"
    listed = [json.loads(line) for line in server.cli("--json", "bootstrap", "ls")[1].splitlines()]
    assert {p["id"] for p in listed} == {one["id"], two}
    server.cli("bootstrap", "rm", two)
    assert device(server)["lifetime"] == 600
    assert server.cli("bootstrap", "rm", two, check=False)[0] == 3
    assert server.cli("bootstrap", "trigger", one["id"], check=False)[0] == 3


@pytest.mark.parametrize("body, field", [
    ({"scope": "planet"}, "scope"),
    ({"scope": "endpoint"}, "endpoint_pattern"),
    ({"scope": "account", "endpoint_pattern": "x"}, "endpoint_pattern"),
    ({"server_uri": "http://x"}, "server_uri"),
    ({"server_uri": "coaps://"}, "server_uri"),
    ({"server_uri": "coaps://a b"}, "server_uri"),
    ({"lifetime": -1}, "lifetime"),
    ({"lifetime": "soon"}, "lifetime"),
    ({"short_server_id": 0}, "short_server_id"),
    ({"short_server_id": 65535}, "short_server_id"),
    ({"binding": "X"}, "binding"),
    ({"security": "rot13"}, "security"),
    ({"reset": 1}, "reset"),
    ({"objects": {}}, "objects"),
    ({"objects": [{"n": "/0/1/0", "vs": "coaps://evil"}]}, "objects"),
    ({"objects": [{"n": "/3/0", "v": 1}]}, "objects"),
    ({"objects": [{"n": "x", "v": 1}]}, "objects"),
    ({"objects": [{"n": f"/3/0/{i}", "v": 1} for i in range(65)]}, "objects"),
])
def test_bad_policies_are_refused_by_field(bad_server, body, field):
    status, answer = bad_server.rest()("POST", "/v3/drover/bootstrap-policies", body)
    assert status == 400, answer
    assert field in [f["name"] for f in answer["fields"]]


@pytest.fixture(scope="module")
def bad_server(tmp_path_factory):
    from harness import Server  # pylint: disable=import-outside-toplevel
    server = Server(tmp_path_factory.mktemp("policies") / "data").start()
    yield server
    server.kill()


def test_another_account_is_not_seen(server):
    """An id of nobody is 404 for every call."""
    rest = server.rest()
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        assert rest(method, f"/v3/drover/bootstrap-policies/{'0' * 11}1{'0' * 20}", body)[0] == 404
    assert rest("POST", "/v3/drover/bootstrap-policies", [])[0] == 400


def test_bootstrap_may_be_off(make_server):
    server = make_server("--bootstrap", "off")
    assert "bootstrap" not in server.ready or server.ready["bootstrap"] is None
