# SPDX-License-Identifier: Apache-2.0
"""Certificates with real processes: developer certificates, trust at run time, revocation, isolation of accounts."""
import base64
import sqlite3
import subprocess
import time

import pytest

from harness import Rest, Sim, coaps, devices_registered, run, wait_for

SUITE = "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"


def openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, check=False, input=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Factory:
    """An authority of a customer, and devices that it made."""

    def __init__(self, folder, name):
        folder.mkdir(exist_ok=True)
        self.folder, self.cert, self.key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-subj", f"/CN={name}", "-days", "3650", "-out", self.cert)

    def device(self, cn, subject=""):
        cert, key, req = (self.folder / f"{cn}.{kind}" for kind in ("pem", "key", "req"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                "-subj", f"{subject}/CN={cn}", "-out", req)
        openssl("x509", "-req", "-in", req, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "10",
                "-out", cert)
        return cert, key


class Handshake:
    """openssl s_client on a CoAP port; stays connected until stop()."""

    def __init__(self, server, cert, key, name="coaps", ca=None, tls=False):
        host, port = server.address(name)
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-tls1_2" if tls else "-dtls1_2", "-connect", f"{host}:{port}", "-cert", str(cert), "-key",
             str(key), "-cipher", SUITE, *(("-CAfile", str(ca), "-verify_return_error") if ca else ())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.text = ""

    def up(self):
        """Whether the handshake was completed by both sides."""
        time.sleep(0.8)
        alive = self.process.poll() is None
        return alive

    def stop(self):
        self.process.kill()
        self.text = self.process.communicate(timeout=10)[0]
        return self.text


def accepted(server, cert, key, **kwargs):
    shake = Handshake(server, cert, key, **kwargs)
    up = shake.up()
    text = shake.stop()
    return up and "Cipher is ECDHE" in text and "alert" not in text


def second_account(server):
    """Another account in the same installation, with a key; made while the server is stopped."""
    server.stop()
    with sqlite3.connect(server.dir / "drover.db") as db:
        row = db.execute("SELECT * FROM account").fetchone()
        key = db.execute("SELECT * FROM apikey").fetchone()
        new = (row[0] + 4096,) + row[1:]
        db.execute(f"INSERT INTO account VALUES ({','.join('?' * len(new))})", new)
        copy = (key[0] + 4096, new[0]) + key[2:]
        db.execute(f"INSERT INTO apikey VALUES ({','.join('?' * len(copy))})", copy)
    db.close()
    server.start()
    return new[0], copy[0]


def wire_id(value):
    return f"{value >> 20:012x}" + "0" * 15 + f"{value & 0xfffff:05x}"


def api_key(account, key, secret):
    return "ak_1" + base64.b64encode(wire_id(account).encode()).decode().rstrip("=") + wire_id(key) + secret


@pytest.mark.sanitized
def test_a_developer_certificate_is_what_a_client_compiles(server, tmp_path):
    rest = server.rest()
    made = rest("POST", "/v3/developer-certificates", {"name": "dev one", "description": "d"}, expect=201)[1]
    assert made["object"] == "trusted-cert" and made["account_id"] == server.account
    assert "BEGIN CERTIFICATE" in made["developer_certificate"] and "BEGIN PRIVATE KEY" in made["developer_private_key"]
    assert rest.get(f"/v3/developer-certificates/{made['id']}") == made
    row = rest.get(f"/v3/trusted-certificates/{made['id']}")
    assert (row["service"], row["device_execution_mode"], row["status"]) == ("bootstrap", 1, "ACTIVE")
    assert row["certificate"] == made["developer_certificate"] and "private" not in str(row).lower()
    assert rest("POST", "/v3/developer-certificates", {"name": "dev one"})[0] == 409
    assert rest("POST", "/v3/developer-certificates", {})[0] == 400

    # the file compiles, and its bytes are those of the certificate
    source = tmp_path / "creds.c"
    source.write_text(made["security_file_content"])
    main = tmp_path / "main.c"
    main.write_text("""
#include <inttypes.h>
#include <stdio.h>
#define S(x) extern const char MBED_CLOUD_DEV_##x[];
S(BOOTSTRAP_ENDPOINT_NAME) S(ACCOUNT_ID) S(BOOTSTRAP_SERVER_URI) S(MANUFACTURER) S(MODEL_NUMBER) S(SERIAL_NUMBER) S(DEVICE_TYPE)
S(HARDWARE_VERSION)
extern const uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB;
#define B(x) extern const uint8_t MBED_CLOUD_DEV_##x[]; extern const uint32_t MBED_CLOUD_DEV_##x##_SIZE;
B(BOOTSTRAP_DEVICE_CERTIFICATE) B(BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE) B(BOOTSTRAP_DEVICE_PRIVATE_KEY)
B(LWM2M_SERVER_ROOT_CA_CERTIFICATE)
#define W(x) { FILE *f = fopen(#x, "wb"); fwrite(MBED_CLOUD_DEV_##x, 1, MBED_CLOUD_DEV_##x##_SIZE, f); fclose(f); }
int main(void) {
    W(BOOTSTRAP_DEVICE_CERTIFICATE) W(BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE) W(BOOTSTRAP_DEVICE_PRIVATE_KEY)
    W(LWM2M_SERVER_ROOT_CA_CERTIFICATE)
    printf("%s|%s|%s|%s|%u", MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME, MBED_CLOUD_DEV_ACCOUNT_ID,
           MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI, MBED_CLOUD_DEV_MANUFACTURER, MBED_CLOUD_DEV_MEMORY_TOTAL_KB);
    return 0;
}
""")
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", tmp_path / "creds", source, main], check=True)
    out = subprocess.run([tmp_path / "creds"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    endpoint, account, uri, manufacturer, _ = out.split("|")
    host, port = server.address("bootstrap")
    assert (endpoint, account, manufacturer) == (made["id"], server.account, "dev_manufacturer")
    assert uri == f"coaps://127.0.0.1:{port}?aid={server.account}"
    der = (tmp_path / "BOOTSTRAP_DEVICE_CERTIFICATE").read_bytes()
    assert len(der) <= 1024 and len((tmp_path / "BOOTSTRAP_DEVICE_PRIVATE_KEY").read_bytes()) == 138
    text = openssl("x509", "-inform", "DER", "-in", tmp_path / "BOOTSTRAP_DEVICE_CERTIFICATE", "-noout", "-text")
    assert f"CN = {endpoint}" in text and f"OU = {account}" in text and "ecdsa-with-SHA256" in text
    assert "Jan  1 00:00:00 1970" in text and "9999" in text

    # it opens the bootstrap port, and the server there is who the file says; the LwM2M port stays shut
    pem, key, root = tmp_path / "dev.pem", tmp_path / "dev.key", tmp_path / "root.pem"
    pem.write_text(made["developer_certificate"])
    key.write_text(made["developer_private_key"])
    openssl("x509", "-inform", "DER", "-in", tmp_path / "BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE", "-out", root)
    assert accepted(server, pem, key, name="bootstrap", ca=root)
    assert not accepted(server, pem, key)
    rest("DELETE", f"/v3/trusted-certificates/{made['id']}", expect=204)
    assert rest("GET", f"/v3/developer-certificates/{made['id']}")[0] == 404
    assert not accepted(server, pem, key, name="bootstrap", ca=root)
    log = server.log.read_text()
    secret = "".join(made["developer_private_key"].splitlines()[1:-1])
    assert secret[:40] not in log and b"BEGIN PRIVATE" not in (server.dir / "drover.db").read_bytes()


@pytest.mark.sanitized
def test_trust_changes_while_the_server_runs(server, tmp_path):
    rest = server.rest()
    ours = Factory(tmp_path / "f", "our factory")
    cert, key = ours.device("x509-0")
    lwm2m_root = tmp_path / "root.pem"
    lwm2m_root.write_text(rest.get("/v3/server-credentials/lwm2m")["server_certificate"])
    assert not accepted(server, cert, key)
    row = rest("POST", "/v3/trusted-certificates",
               {"name": "factory", "service": "lwm2m", "certificate": ours.cert.read_text()}, expect=201)[1]
    assert row["certificate_fingerprint"] == openssl(
        "x509", "-in", ours.cert, "-noout", "-fingerprint", "-sha256").partition("=")[2].strip().replace(":", "").lower()
    assert row["subject"] == "CN=our factory" and row["valid"] is True and row["status"] == "ACTIVE"
    assert accepted(server, cert, key, ca=lwm2m_root)
    assert accepted(server, cert, key, ca=lwm2m_root, tls=True)
    assert not accepted(server, cert, key, name="bootstrap")
    assert rest("POST", "/v3/trusted-certificates",
                {"name": "again", "service": "lwm2m", "certificate": ours.cert.read_text()})[0] == 409
    assert rest("POST", "/v3/trusted-certificates", {"name": "x", "service": "lwm2m", "certificate": "junk"})[0] == 400
    assert rest("POST", "/v3/trusted-certificates", {"name": "x", "service": "http", "certificate": row["certificate"]})[0] == 400

    # a live device: inactive ends its association at once, and it cannot come back
    sim = Sim(coaps(server), 1, "--prefix", "x509-", "--scenario", "idle", "--duration", "100", "--cert", cert, "--key", key,
              log=tmp_path / "sim.log")
    try:
        devices_registered(rest, 1)
        shake = Handshake(server, cert, key)
        assert shake.up()
        rest("PUT", f"/v3/trusted-certificates/{row['id']}", {"status": "INACTIVE"}, expect=200)
        wait_for("the connection to be closed", lambda: shake.process.poll() is not None, timeout=5)
        shake.stop()
        assert not accepted(server, cert, key)
        rest("PUT", f"/v3/trusted-certificates/{row['id']}", {"status": "ACTIVE", "name": "renamed"}, expect=200)
        assert accepted(server, cert, key)
        assert rest.get(f"/v3/trusted-certificates/{row['id']}")["name"] == "renamed"
    finally:
        sim.kill()
    server.stop()
    server.start()
    assert accepted(server, cert, key)
    page = server.rest().get("/v3/trusted-certificates?device_execution_mode__neq=1&name__eq=renamed&include=total_count")
    assert page["total_count"] == 1 and page["data"][0]["id"] == row["id"]


def test_one_certificate_is_revoked_and_the_others_stay(server, tmp_path):
    rest = server.rest()
    ours = Factory(tmp_path / "f", "factory")
    rest("POST", "/v3/trusted-certificates", {"name": "f", "service": "lwm2m", "certificate": ours.cert.read_text()}, expect=201)
    bad, good = ours.device("bad-0"), ours.device("good-0")
    shakes = [Handshake(server, *bad), Handshake(server, *good)]
    assert all(s.up() for s in shakes)
    server.cli("cert", "revoke", bad[0])
    wait_for("the revoked one to be closed", lambda: shakes[0].process.poll() is not None, timeout=5)
    assert shakes[1].process.poll() is None
    for s in shakes:
        s.stop()
    assert not accepted(server, *bad) and accepted(server, *good)
    rows = rest.get("/v3/drover/device-certificates")["data"]
    assert [(r["endpoint_name"], r["status"]) for r in rows] == [("bad-0", "revoked")]
    server.stop()
    server.start()
    assert not accepted(server, *bad) and accepted(server, *good)


def test_an_authority_belongs_to_one_account(server, tmp_path):
    ours = Factory(tmp_path / "f", "factory")
    cert, key = ours.device("d-0")
    server.rest()("POST", "/v3/trusted-certificates",
                  {"name": "f", "service": "lwm2m", "certificate": ours.cert.read_text()}, expect=201)
    account, key_id = second_account(server)
    other = Rest(*server.address("http"), api_key(account, key_id, server.key[-32:]))
    assert other.get("/v3/trusted-certificates")["data"] == []
    status, _ = other("POST", "/v3/trusted-certificates", {"name": "mine", "service": "lwm2m", "certificate": ours.cert.read_text()})
    assert status == 409
    first = server.rest().get("/v3/trusted-certificates")["data"][0]["id"]
    for method, body in (("GET", None), ("PUT", {"status": "INACTIVE"}), ("DELETE", None)):
        assert other(method, f"/v3/trusted-certificates/{first}", body)[0] == 404
    other("POST", "/v3/drover/device-certificates/revoke", {"certificate": cert.read_text()}, expect=200)
    assert accepted(server, cert, key)  # not theirs to revoke
    # a certificate that names another account is refused
    wrong = ours.device("d-1", subject=f"/OU={wire_id(account)}")
    right = ours.device("d-2", subject=f"/OU={server.account}")
    assert not accepted(server, *wrong) and accepted(server, *right)
    mine = Factory(tmp_path / "g", "another")
    other("POST", "/v3/trusted-certificates", {"name": "f", "service": "lwm2m", "certificate": mine.cert.read_text()}, expect=201)
    sim_cert, sim_key = mine.device("their-0")
    sim = Sim(coaps(server), 1, "--prefix", "their-", "--scenario", "idle", "--duration", "60", "--cert", sim_cert, "--key", sim_key,
              log=tmp_path / "sim.log")
    try:
        devices_registered(other, 1)
        assert server.rest().get("/v3/devices")["total_count"] == 0
    finally:
        sim.kill()


def test_server_certificates_are_ours_and_renewed(server, tmp_path):
    rest = server.rest()
    both = rest.get("/v3/server-credentials")
    assert both["bootstrap"]["url"].endswith(f"?aid={server.account}") and both["lwm2m"]["url"].startswith("coaps://")
    roots = {}
    for name in ("bootstrap", "lwm2m"):
        one = rest.get(f"/v3/server-credentials/{name}")
        assert one["server_uri"] == both[name]["url"] and one["server_certificate"] == both[name]["certificate"]
        roots[name] = tmp_path / f"{name}.pem"
        roots[name].write_text(one["server_certificate"])
    own = {c["name"]: c for c in rest.get("/v3/drover/server-certificates")["data"]}
    ours = Factory(tmp_path / "f", "factory")
    rest("POST", "/v3/trusted-certificates", {"name": "f", "service": "lwm2m", "certificate": ours.cert.read_text()}, expect=201)
    device = ours.device("d-0")
    assert accepted(server, *device, ca=roots["lwm2m"])
    assert not accepted(server, *device, ca=roots["bootstrap"])
    after = {c["name"]: c for c in rest("POST", "/v3/drover/server-certificates/renew", {}, expect=200)[1]["data"]}
    assert own["server-root"] == after["server-root"] and own["lwm2m-server"] != after["lwm2m-server"]
    assert accepted(server, *device, ca=roots["lwm2m"])
    listed = server.cli("cert", "ls")[1]
    assert after["bootstrap-root"]["fingerprint"] in listed
    server.stop()
    assert own["bootstrap-root"]["fingerprint"] in run("droverd", "check", server.dir)[1]


def test_keys_are_sealed_at_rest_and_old_ones_become_so(server):
    key = "a1" * 16
    server.cli("psk", "add", "sealed-device-000001", "--key-file", "-", stdin=key + "\n")
    server.stop()
    for file in server.dir.glob("drover.db*"):
        assert bytes.fromhex(key) not in file.read_bytes()
    # a database of an older version: the key as it is
    with sqlite3.connect(server.dir / "drover.db") as db:
        db.execute("UPDATE psk SET key = ?, sealed = 0", (bytes.fromhex(key),))
    db.close()
    assert bytes.fromhex(key) in (server.dir / "drover.db").read_bytes()
    server.start()
    server.stop()
    for file in server.dir.glob("drover.db*"):
        assert bytes.fromhex(key) not in file.read_bytes(), file
    # another master key opens nothing, and says so
    master = server.dir / "keys" / "master.key"
    old = master.read_text()
    master.write_text("00" * 32 + "\n")
    code, _, err = run("droverd", "--data", server.dir, "--coaps", "127.0.0.1:0", "--http", "127.0.0.1:0", "--metrics", "off",
                       check=False)
    assert code == 3 and "master key" in err
    master.write_text(old)
    server.start()
    assert server.rest()("GET", "/v2/device-shared-keys/sealed-device-000001")[0] == 200


def modes(folder):
    return {f.stat().st_mode & 0o777 for f in folder.iterdir()}


def test_a_factory_makes_devices_that_get_in(server, tmp_path):
    out = tmp_path / "batch"
    server.cli("factory", "--out", out, "--prefix", "fab-", "--count", "3", "--service", "lwm2m")
    assert sorted(f.name for f in out.iterdir()) == ["authority.key", "authority.pem", "devices-0.csv", "fab-0.pem",
                                                     "fab-1.pem", "fab-2.pem"]
    assert modes(out) == {0o600} and out.stat().st_mode & 0o777 == 0o700
    sim = Sim(coaps(server), 1, "--prefix", "fab-", "--scenario", "idle", "--duration", "60", "--cert", out / "fab-0.pem",
              "--key", out / "fab-0.pem", log=tmp_path / "sim.log")
    try:
        devices_registered(server.rest(), 1)
    finally:
        sim.kill()
    # the next batch has the same authority; nothing is written over
    server.cli("factory", "--out", out, "--prefix", "fab-", "--first", "3", "--count", "2", "--service", "lwm2m")
    assert len(server.rest().get("/v3/trusted-certificates")["data"]) == 1
    assert server.cli("factory", "--out", out, "--prefix", "fab-", "--count", "1", check=False)[0] == 1
    assert accepted(server, out / "fab-4.pem", out / "fab-4.pem")

    keys = tmp_path / "keys"
    server.cli("factory", "--out", keys, "--prefix", "psk-", "--count", "2", "--psk")
    assert modes(keys) == {0o600}
    listed = {p["endpoint_name"] for p in server.rest().get("/v2/device-shared-keys")["data"]}
    assert listed == {"psk-0", "psk-1"}


def test_enrolments_by_command_line(server, tmp_path):
    out = tmp_path / "batch"
    server.cli("factory", "--out", out, "--prefix", "claim-", "--count", "5", "--enroll")
    lines = server.cli("enroll", "ls")[1].splitlines()
    assert len(lines) == 5
    print_ = openssl("x509", "-in", out / "claim-0.pem", "-noout", "-fingerprint", "-sha256").partition("=")[2].strip()
    assert any(f"A-{print_}" in line for line in lines)
    trusted = server.rest().get("/v3/trusted-certificates")["data"]
    assert [t["enrollment_mode"] for t in trusted] == [True]
    code, text, _ = server.cli("enroll", "import", out / "devices-0.csv", check=False)
    assert code == 1 and "5 refused" in text
    server.cli("enroll", "rm", lines[0].split()[0])
    again = server.cli("enroll", "add", lines[0].split()[1])[1].strip()
    assert server.cli("enroll", "add", lines[0].split()[1], check=False)[0] == 1
    assert server.rest().get(f"/v3/device-enrollments/{again}")["claimed_at"] is None
    for bad in ("A-00", "B-" + ":".join(["00"] * 32), "A-" + ":".join(["0g"] * 32)):
        assert server.rest()("POST", "/v3/device-enrollments", {"enrollment_identity": bad})[0] == 400
    # a bulk job of another kind of body, and one that is no form
    assert server.rest().raw("POST", "/v3/device-enrollments-bulk-uploads", b"x", {"Content-Type": "text/csv"})[0] == 400
