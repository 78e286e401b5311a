# SPDX-License-Identifier: Apache-2.0
"""drover-client, the reference device, against a real server."""
import base64
import os
import shutil
import socket
import subprocess
import time

import pytest

import harness
from harness import Channel, Client, device_request, payload_text, wait_for

KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture
def make_client(tmp_path):
    """make_client(server, *options, name=) → a running client whose key the server has."""
    made = []

    def make(server, *options, name="mcu-1", uri=None):
        key = tmp_path / f"{name}.hex"
        key.write_text(KEY + "\n")
        server.cli("psk", "add", name, "--key-file", key)
        client = Client(tmp_path / f"dev-{name}", "--server", uri or harness.coaps(server),
                        "--psk-identity", name, "--psk-key-file", key, *options)
        made.append(client)
        return client

    yield make
    for client in made:
        client.kill()


class Authority:
    """A P-256 authority of the test; certificates and keys as files."""

    def __init__(self, folder):
        self.dir = folder
        self.dir.mkdir(exist_ok=True)
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
        self.openssl("req", "-x509", "-key", "ca.key", "-sha256", "-days", "3650", "-subj", "/CN=test authority",
                     "-out", "ca.pem")

    def openssl(self, *args):
        return subprocess.run(["openssl", *args], cwd=self.dir, check=True, capture_output=True).stdout

    def issue(self, name, subject):
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        self.openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-sha256", "-days", "3650", "-out", f"{name}.pem")

    def credentials(self, name, endpoint, uri, ca="ca.pem"):
        """Developer credentials as C source, as Pelion's portal hands them out; the file."""

        def array(symbol, der):
            return (f"const uint8_t MBED_CLOUD_DEV_{symbol}[] = {{ {', '.join(f'0x{b:02x}' for b in der)} }};\n"
                    f"const uint32_t MBED_CLOUD_DEV_{symbol}_SIZE = sizeof(MBED_CLOUD_DEV_{symbol});\n\n")

        text = "/* credentials of a test */\n#ifndef CREDENTIALS_C\n#define CREDENTIALS_C\n#include <inttypes.h>\n"
        text += f'const char MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME[] = "{endpoint}";\n'
        text += f'const char MBED_CLOUD_DEV_ACCOUNT_ID[] = "{"0" * 32}";\n'
        text += f'const char MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI[] = "{uri}";\n\n'
        text += array("BOOTSTRAP_DEVICE_CERTIFICATE", self.openssl("x509", "-in", f"{name}.pem", "-outform", "DER"))
        text += array("BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE", self.openssl("x509", "-in", ca, "-outform", "DER"))
        text += array("BOOTSTRAP_DEVICE_PRIVATE_KEY",
                      self.openssl("pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.key", "-outform", "DER"))
        text += 'const char MBED_CLOUD_DEV_MANUFACTURER[] = "dev_manufacturer";\n'
        text += 'const uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB = 42;\n#endif\n'
        path = self.dir / f"{name}.c"
        path.write_text(text)
        return path


def ask(channel, rest, device, method, uri, payload=None):
    """The answer of the device."""
    return channel.answer(device_request(rest, device, method, uri, payload))


def test_registers_and_deregisters_at_sigterm(server, make_client):
    client = make_client(server)
    device = client.registered()
    rest = server.rest()
    found = rest.get(f"/v3/devices/{device}")
    assert (found["endpoint_name"], found["state"]) == ("mcu-1", "registered")
    listed = {r["uri"] for r in rest.get(f"/v2/endpoints/{device}")}
    assert {"/1/0", "/3/0", "/4/0", "/3303/0"} <= listed
    assert not any(uri.startswith("/0") for uri in listed)
    client.stop()
    wait_for("deregistered", lambda: rest.get(f"/v3/devices/{device}")["state"] == "deregistered", 5)


def test_is_read_written_and_executed(server, make_client):
    client = make_client(server)
    device, rest = client.registered(), server.rest()
    channel = Channel(server)
    answer = ask(channel, rest, device, "GET", "/3/0/0")
    assert (answer["status"], payload_text(answer)) == (200, "Drover")
    assert ask(channel, rest, device, "GET", "/3/0")["status"] == 200
    assert 20 <= float(payload_text(ask(channel, rest, device, "GET", "/3303/0/5700"))) <= 24
    # the lifetime is written and read back, and an update tells it to the server
    assert ask(channel, rest, device, "PUT", "/1/0/1", "5000")["status"] in (200, 204)
    assert payload_text(ask(channel, rest, device, "GET", "/1/0/1")) == "5000"
    assert ask(channel, rest, device, "POST", "/3303/0/5605")["status"] in (200, 204)
    # nobody may even ask for keys; what is not there says so
    device_request(rest, device, "GET", "/0/0/5", expect=400)
    assert ask(channel, rest, device, "GET", "/3/0/999")["status"] == 404
    assert ask(channel, rest, device, "PUT", "/3/0/0", "x")["status"] in (400, 405)
    channel.close()


def test_is_observed(server, make_client):
    client = make_client(server)
    device, rest = client.registered(), server.rest()
    channel = Channel(server)
    rest("PUT", f"/v2/subscriptions/{device}/3303/0/5700", expect=202)

    def values():
        return {base64.b64decode(n["payload"]) for n in channel.notifications if n["path"] == "/3303/0/5700"}

    channel.until(lambda: len(values()) >= 2, 20)
    channel.close()


def test_reboot_runs_the_program_again(server, make_client):
    client = make_client(server)
    device, rest = client.registered(), server.rest()
    pid = client.process.pid
    channel = Channel(server)
    assert ask(channel, rest, device, "POST", "/3/0/4")["status"] in (200, 204)
    assert client.registered(times=2) == device
    assert client.process.pid == pid and client.process.poll() is None
    assert payload_text(ask(channel, rest, device, "GET", "/3/0/0")) == "Drover"
    channel.close()


# after a crash the client repeats its update for a minute or more before it shakes hands again
LONG = pytest.mark.skipif(os.environ.get("DR_LONG") != "1", reason="takes two minutes: DR_LONG=1")


@pytest.mark.parametrize("how", ["stop", pytest.param("kill", marks=LONG)])
def test_survives_a_restart_of_the_server(make_server, make_client, tmp_path, how):
    server = make_server("--coaps", "127.0.0.1:0")
    host, port = server.address("coaps")
    client = make_client(server, "--lifetime", 5)
    device = client.registered()
    getattr(server, how)()
    again = server.start("--coaps", f"{host}:{port}")
    rest = again.rest()
    channel = Channel(again)
    if how == "kill":
        assert client.registered(times=2, timeout=150) == device
    wait_for("registered",
             lambda: rest.get(f"/v3/devices/{device}")["state"] == "registered", 60)
    assert ask(channel, rest, device, "GET", "/3/0/0")["status"] == 200
    channel.close()


def test_a_wrong_key_is_said(server, make_client, tmp_path):
    good = make_client(server)
    good.registered()
    bad_key = tmp_path / "bad.hex"
    bad_key.write_text("ff" * 16 + "\n")
    client = Client(tmp_path / "dev-bad", "--server", harness.coaps(server), "--psk-identity", "mcu-1",
                    "--psk-key-file", bad_key)
    try:
        wait_for("a message", lambda: any("key is wrong" in line for line in client.err), 45)
        assert client.registrations() == 0
        client.stop()
    finally:
        client.kill()


@pytest.mark.parametrize("args,word", [
    ([], "--data"),
    (["--data", "x"], "--server or --bootstrap"),
    (["--data", "x", "--server", "http://h:1"], "coaps://"),
    (["--data", "x", "--server", "coaps://h:0", "--psk-identity", "a", "--psk-key-file", "KEY"], "coaps://"),
    (["--data", "x", "--server", "coaps://h:1"], "--psk-identity or --credentials"),
    (["--data", "x", "--server", "coap://h:1"], "--endpoint"),
    (["--data", "x", "--server", "coaps://h:1", "--bootstrap", "coaps://h:2"], "only one"),
    (["--data", "x", "--server", "coaps://h:1", "--psk-identity", "a"], "both are needed"),
    (["--data", "x", "--server", "coaps://h:1", "--psk-identity", "a", "--psk-key-file", "/nowhere"], "/nowhere"),
    (["--data", "x", "--bootstrap", "coaps://h:1", "--credentials", "KEY"], "KEY:1: 'const' expected"),
    (["--data", "x", "--slot-size", "many"], "--slot-size"),
    (["--data", "x", "--framing", "none"], "--framing"),
    (["--data", "x", "stray"], "stray"),
])
def test_bad_options_are_two_and_one_message(tmp_path, args, word):
    key = tmp_path / "KEY"
    key.write_text(KEY)
    done = subprocess.run([str(harness.BIN / "drover-client"), *[str(key) if a == "KEY" else a for a in args]],
                          capture_output=True, text=True, timeout=10, cwd=tmp_path, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert word in done.stderr and len(done.stderr.splitlines()) == 1
    assert not os.path.exists(tmp_path / "x")


def test_help_goes_to_standard_output():
    code, out, err = harness.run("drover-client", "--help")
    assert code == 0 and err == "" and "SYNOPSIS" in out and "--bootstrap" in out


def test_the_console(server, make_client):
    client = make_client(server, "--console")
    client.registered()
    client.process.stdin.write("status\n")
    client.process.stdin.flush()
    wait_for("status", lambda: any(line.startswith("registered, endpoint mcu-1") for line in client.out), 5)
    client.process.stdin.write("quit\n")
    client.process.stdin.flush()
    assert client.process.wait(10) == 0


def test_a_flash_of_another_size_is_refused(server, make_client, tmp_path):
    client = make_client(server)
    client.registered()
    client.stop()
    time.sleep(0.1)
    code, _, err = harness.run("drover-client", *client.args[1:], "--slot-size", "65536", check=False)
    assert code == 1 and "another slot size" in err


def test_connects_with_certificates_and_over_streams(make_server, tmp_path):
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    authority.issue("server", "/CN=server")
    authority.issue("mcu", "/CN=mcu-x")
    other.issue("mcu", "/CN=mcu-x")
    server = make_server("--coaps-cert", authority.dir / "server.pem", "--coaps-key", authority.dir / "server.key",
                         "--coaps-ca", authority.dir / "ca.pem")
    host, port = server.address("coaps")
    good = authority.credentials("mcu", "mcu-x", f"coaps://{host}:{port}")
    rest = server.rest()
    for uri, framing in ((f"coaps://{host}:{port}", "rfc8323"), (f"coaps+tcp://{host}:{port}", "rfc8323"),
                         (f"coaps://{host}:{port}", "pelion")):
        client = Client(tmp_path / "dev", "--server", uri, "--credentials", good, "--framing", framing)
        try:
            device = client.registered()
            channel = Channel(server)
            assert payload_text(ask(channel, rest, device, "GET", "/3/0/0")) == "dev_manufacturer"
            assert payload_text(ask(channel, rest, device, "GET", "/3/0/21")) == "42"
            channel.close()
            client.stop()
        finally:
            client.kill()
    # a server that the device cannot trust, and a device that the server cannot trust
    for credentials, word in ((authority.credentials("mcu", "mcu-x", "coaps://h:1", other.dir / "ca.pem"), "trusted"),
                              (other.credentials("mcu", "mcu-x", "coaps://h:1", authority.dir / "ca.pem"), "refused")):
        client = Client(tmp_path / "dev", "--server", f"coaps://{host}:{port}", "--credentials", credentials)
        try:
            wait_for(word, lambda c=client, w=word: any(w in line for line in c.err), 45)
            assert client.registrations() == 0
        finally:
            client.kill()


@pytest.mark.parametrize("scheme,framing", [("coaps+tcp", "rfc8323"), ("coaps", "pelion"), ("coap+tcp", "rfc8323")])
def test_streams_with_keys(make_server, make_client, scheme, framing):
    server = make_server("--coap", "127.0.0.1:0")
    host, port = server.address("coap" if scheme == "coap+tcp" else "coaps")
    if scheme == "coap+tcp":
        client = Client(server.dir.parent / "dev", "--server", f"coap+tcp://{host}:{port}", "--endpoint", "mcu-1")
    else:
        client = make_client(server, "--framing", framing, uri=f"{scheme}://{host}:{port}")
    try:
        device, rest = client.registered(), server.rest()
        channel = Channel(server)
        rest("PUT", f"/v2/subscriptions/{device}/3303/0/5700", expect=202)
        channel.until(lambda: len(channel.notifications) >= 1, 20)
        assert ask(channel, rest, device, "GET", "/3/0")["status"] == 200
        channel.close()
        client.stop()
        wait_for("deregistered", lambda: rest.get(f"/v3/devices/{device}")["state"] == "deregistered", 5)
    finally:
        client.kill()


@pytest.mark.parametrize("scheme", ["coaps", "coaps+tcp"])
@pytest.mark.parametrize("security", ["psk", "x509", "est"])
def test_bootstraps_and_again_when_asked(make_server, tmp_path, scheme, security):
    server = make_server("--bootstrap", "127.0.0.1:0")
    server.rest()("POST", "/v3/drover/bootstrap-policies", {"name": "all", "security": security}, expect=201)
    host, port = server.address("bootstrap")
    key = tmp_path / "key.hex"
    key.write_text(KEY + "\n")
    server.cli("psk", "add", "mcu-b", "--key-file", key)
    client = Client(tmp_path / "dev", "--bootstrap", f"{scheme}://{host}:{port}", "--psk-identity", "mcu-b",
                    "--psk-key-file", key)
    try:
        device, rest = client.registered(), server.rest()
        first = rest.get(f"/v3/devices/{device}")["bootstrapped_timestamp"]
        assert first
        client.stop()
        # the keys of the bootstrap are in the flash: no second bootstrap after a restart
        client.start()
        client.registered(times=2)
        assert rest.get(f"/v3/devices/{device}")["bootstrapped_timestamp"] == first
        # until the server asks for it
        channel = Channel(server)
        assert ask(channel, rest, device, "POST", "/1/0/9")["status"] in (200, 204)
        assert client.registered(times=3) == device
        wait_for("a new bootstrap",
                 lambda: rest.get(f"/v3/devices/{device}")["bootstrapped_timestamp"] > first, 10)
        channel.close()
        assert KEY not in " ".join(client.out + client.err)
        client.stop()
    finally:
        client.kill()


@pytest.mark.parametrize("framing", ["pelion", "rfc8323"])
def test_developer_credentials_from_the_portal(make_server, tmp_path, framing):
    server = make_server("--bootstrap", "127.0.0.1:0")
    rest = server.rest()
    made = rest("POST", "/v3/developer-certificates", {"name": "mcu"}, expect=201)[1]
    file = tmp_path / "mbed_cloud_dev_credentials.c"
    file.write_text(made["security_file_content"])
    client = Client(tmp_path / "dev", "--credentials", file, "--framing", framing)
    try:
        device = client.registered()
        found = rest.get(f"/v3/devices/{device}")
        assert (found["endpoint_name"], found["state"]) == (made["id"], "registered")
        listed = {r["uri"]: r for r in rest.get(f"/v2/endpoints/{device}")}
        assert listed["/3/0/0"]["obs"] and "/1/0/8" in listed
        channel = Channel(server)
        assert payload_text(ask(channel, rest, device, "GET", "/3/0/1")) == "dev_model_num"
        first = found["bootstrapped_timestamp"]
        # a new key while it is registered; it counts from the next connection on
        asked = rest("POST", f"/v3/devices/{device}/certificates/LWM2M/renew", expect=201)[1]

        def over():
            row = rest.get(f"/v3/certificate-enrollments/{asked['id']}")
            return row if row["enroll_status"] == "completed" else None

        assert wait_for("the renewal", over, 10)["enroll_result"] == "success"
        client.stop()
        client.start()
        assert client.registered(times=2) == device
        assert rest.get(f"/v3/devices/{device}")["bootstrapped_timestamp"] == first
        # once more: the device tells its id, and its new keys are good
        assert ask(channel, rest, device, "POST", "/1/0/9")["status"] in (200, 204)
        assert client.registered(times=3) == device
        wait_for("a new bootstrap", lambda: rest.get(f"/v3/devices/{device}")["bootstrapped_timestamp"] > first, 10)
        channel.close()
        client.stop()
    finally:
        client.kill()


def test_keys_that_are_refused_lead_back_to_the_bootstrap_server(make_server, tmp_path):
    first = make_server("--bootstrap", "127.0.0.1:0", name="first")
    ports = [":".join(map(str, first.address(name))) for name in ("coaps", "bootstrap")]
    key = tmp_path / "key.hex"
    key.write_text(KEY + "\n")
    first.cli("psk", "add", "mcu-r", "--key-file", key)
    client = Client(tmp_path / "dev", "--bootstrap", f"coaps://{ports[1]}", "--psk-identity", "mcu-r",
                    "--psk-key-file", key)
    try:
        client.registered()
        client.stop()
        first.stop()
        # another installation at the same addresses: it never gave out the key that the device has stored
        second = make_server("--coaps", ports[0], "--bootstrap", ports[1], name="second")
        second.cli("psk", "add", "mcu-r", "--key-file", key)
        client.start()
        device = client.registered(times=2, timeout=60)
        assert any("bootstrapping again" in line for line in client.err)
        assert second.rest().get(f"/v3/devices/{device}")["state"] == "registered"
        client.stop()
    finally:
        client.kill()


def free_ports():
    """Two neighbouring ports that were free a moment ago, for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue


@pytest.mark.skipif(shutil.which("coap-server-openssl") is None, reason="no libcoap programs")
@pytest.mark.parametrize("scheme,offset", [("coap", 0), ("coaps", 1), ("coap+tcp", 0), ("coaps+tcp", 1)])
def test_a_server_on_libcoap_understands_it(tmp_path, scheme, offset):
    """It takes any POST and names a location: enough to register and to leave."""
    port = free_ports()
    key = tmp_path / "key.hex"
    key.write_text(b"abcdefgh".hex())
    with open(tmp_path / "peer.log", "wb") as log:
        peer = subprocess.Popen(["coap-server-openssl", "-A", "127.0.0.1", "-p", str(port), "-k", "abcdefgh", "-h", "x",
                                 "-d", "10", "-v", "7"], stdout=log, stderr=log)
    options = ["--psk-identity", "me", "--psk-key-file", key] if offset else ["--endpoint", "me"]
    time.sleep(0.3)
    client = Client(tmp_path / "dev", "--server", f"{scheme}://127.0.0.1:{port + offset}", *options)
    try:
        client.registered()
        client.stop()
        seen = (tmp_path / "peer.log").read_text(errors="replace")
        assert "Uri-Query:ep=me" in seen and "c:DELETE" in seen
    finally:
        client.kill()
        peer.kill()
        peer.wait(10)
