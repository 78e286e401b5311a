# SPDX-License-Identifier: Apache-2.0
"""droverd as an operator meets it: exit codes, data folder, configuration, signals, backup, full disk."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import pytest
from harness import BIN, Channel, Failed, Server, device_request, devices_registered, run, wait_for

pytestmark = pytest.mark.sanitized


def droverd(*args, timeout=30, env=None):
    done = subprocess.run([str(BIN / "droverd"), *map(str, args)], capture_output=True, text=True, timeout=timeout,
                          check=False, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def test_init_prints_a_key_once_and_refuses_a_second_time(tmp_path):
    code, out, _ = droverd("init", "--data", tmp_path / "d", "--json")
    made = json.loads(out)
    assert code == 0
    assert made["api_key"].startswith("ak_1") and len(made["api_key"]) == 111
    assert len(made["account_id"]) == 32
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "d" / "keys" / "ticket.key").stat().st_mode & 0o777 == 0o600
    secret = made["api_key"][-32:].encode()
    for f in (tmp_path / "d").rglob("*"):
        assert not f.is_file() or secret not in f.read_bytes(), f"the secret of the key stands in {f}"
    code, out, err = droverd("init", "--data", tmp_path / "d")
    assert (code, out) == (3, "") and "database already" in err


@pytest.mark.parametrize("args,code,word", [
    (["--shards", "many"], 2, "shards"),
    (["--shards", "65"], 2, "0..64"),
    (["--no-such-key", "1"], 2, "no-such-key"),
    (["--shards"], 2, "needs a value"),
    (["word"], 2, "word"),
    (["--http", "example:80"], 2, "address:port"),
    (["--coaps", "off"], 2, "both off"),
    (["--public-coaps", "no port"], 2, "host:port"),
    (["--coaps-cert", "x.pem"], 2, "go together"),
])
def test_bad_options_are_refused_with_one_clear_line(tmp_path, args, code, word):
    got, out, err = droverd("--data", tmp_path, *args)
    assert (got, out) == (code, "")
    assert word in err and err.count("\n") == 1, err


def test_configuration_comes_from_file_environment_and_options(tmp_path):
    file = tmp_path / "c.conf"
    file.write_text("shards = 2\npool-threads = 3\ngrace = 5\n")
    code, out, _ = droverd("--data", tmp_path, "--config", file, "--grace", "7", "--check-config",
                           env={"DROVER_POOL_THREADS": "6", "DROVER_GRACE": "9"})
    values = dict(line.split(" = ", 1) for line in out.splitlines())
    assert code == 0
    assert (values["shards"], values["pool-threads"], values["grace"]) == ("2", "6", "7")
    file.write_text("shards = 2\nshard = 3\n")
    code, _, err = droverd("--data", tmp_path, "--config", file, "--check-config")
    assert code == 2 and "line 2" in err and "unknown key" in err


def test_a_folder_that_is_none(tmp_path):
    code, _, err = droverd("--data", tmp_path)
    assert code == 3 and "droverd init" in err


def test_a_second_server_says_who_holds_the_folder(server):
    began = time.monotonic()
    code, _, err = droverd("--data", server.dir, "--http", "127.0.0.1:0", "--coaps", "127.0.0.1:0", "--metrics", "off",
                           "--bootstrap", "off")
    assert code == 3 and f"process {server.process.pid}" in err
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", ["http", "coaps", "bootstrap"])
def test_an_address_in_use(make_server, server, kind):
    other = make_server(start=False, name="other")
    host, port = server.address(kind)
    code, _, err = droverd("--data", other.dir, "--http", "127.0.0.1:0", "--coaps", "127.0.0.1:0", "--bootstrap", "off",
                           "--metrics", "127.0.0.1:0", f"--{kind}", f"{host}:{port}")
    assert code == 4, err
    assert err.strip().splitlines()[-1].startswith("droverd: "), err


def test_ready_file_and_health(server):
    assert server.ready["pid"] == server.process.pid
    anonymous = server.rest(key="none")
    assert anonymous("GET", "/healthz")[0] == 200
    assert anonymous("GET", "/readyz")[0] == 200
    assert anonymous("GET", "/metrics")[0] in (401, 404)
    assert any(name.startswith("drover_") for name in server.metrics())
    server.stop()
    assert not (server.dir / "run" / "ready.json").exists()


def test_sighup_takes_what_may_change_and_keeps_the_rest(server):
    conf = server.dir / "drover.conf"
    conf.write_text("log-level = debug\n")
    server.process.send_signal(signal.SIGHUP)
    wait_for("reload in the log", lambda: "configuration reloaded" in server.tail(200))
    conf.write_text("log-level = chatty\n")
    server.process.send_signal(signal.SIGHUP)
    wait_for("refusal in the log", lambda: "configuration not reloaded" in server.tail(200))
    assert server.rest()("GET", "/v3/devices")[0] == 200


def test_secrets_do_not_reach_the_log(server, make_sim):
    make_sim(server, 2, "--scenario", "idle", "--duration", "60")
    devices_registered(server.rest(), 2)
    server.rest(key=server.key[:-1] + "x")("GET", "/v3/devices")
    key = run("drover", "psk", "derive", "--count", 1, "--master-file", server.dir.parent / "master.hex")[1]
    hexkey = key.strip().split(",")[2]
    log = server.log.read_text()
    assert hexkey not in log and server.key[-32:] not in log and server.key[-33:-1] not in log


def test_backup_and_restore(server, make_sim, tmp_path):
    make_sim(server, 3, "--scenario", "idle", "--duration", "60")
    devices_registered(server.rest(), 3)
    server.cli("backup", tmp_path / "b.db", "--with-keys")
    assert (tmp_path / "b.db").stat().st_mode & 0o777 == 0o600
    code, _, err = droverd("restore", tmp_path / "b.db", "--data", server.dir)
    assert code == 3 and "already" in err
    server.stop()
    assert run("droverd", "check", server.dir)[1].endswith("\nok\n")
    code, _, err = droverd("restore", tmp_path / "b.db", "--data", tmp_path / "again")
    assert code == 0, err
    again = Server(tmp_path / "again", init=False)
    again.key = server.key
    try:
        again.start()
        assert again.rest().get("/v3/devices")["total_count"] == 3
    finally:
        again.kill()
    for name in os.listdir(server.dir / "keys"):
        assert (server.dir / "keys" / name).read_bytes() == (tmp_path / "again" / "keys" / name).read_bytes()


def test_a_backup_without_keys_needs_them(server, tmp_path):
    server.cli("backup", tmp_path / "plain.db")
    master = (server.dir / "keys" / "master.key").read_bytes().strip()
    assert master not in (tmp_path / "plain.db").read_bytes()
    code, out, err = droverd("restore", tmp_path / "plain.db", "--data", tmp_path / "again")
    assert code == 0 and "holds no keys" in out, err
    code, _, err = droverd("--data", tmp_path / "again", "--coaps", "127.0.0.1:0", "--http", "127.0.0.1:0", "--metrics", "off")
    assert code == 3 and "master key" in err
    for name in os.listdir(server.dir / "keys"):
        (tmp_path / "again" / "keys" / name).write_bytes((server.dir / "keys" / name).read_bytes())
    again = Server(tmp_path / "again", init=False)
    again.key = server.key
    try:
        again.start()
        assert again.rest()("GET", "/v3/devices")[0] == 200
    finally:
        again.kill()


def test_old_events_are_removed(make_server, make_sim):
    server = make_server("--events-keep", "1")
    make_sim(server, 2, "--scenario", "register")
    rest = server.rest()
    devices_registered(rest, 2)
    before = rest.get("/v3/device-events")["total_count"]
    assert before >= 2
    server.stop()
    with sqlite3.connect(server.dir / "drover.db") as db:
        db.execute("UPDATE event SET id = id - (2 * 86400000 << 20) WHERE id = (SELECT min(id) FROM event)")
    db.close()
    server.start()
    rest = server.rest()
    wait_for("the old event to go", lambda: rest.get("/v3/device-events")["total_count"] == before - 1, timeout=30)


def test_restore_refuses_what_is_no_database(tmp_path):
    (tmp_path / "junk").write_bytes(os.urandom(100000))
    code, _, _ = droverd("restore", tmp_path / "junk", "--data", tmp_path / "d")
    assert code == 3
    assert not (tmp_path / "d" / "drover.db").exists()


def test_check_finds_damage(make_server):
    server = make_server()
    server.stop()
    file = server.dir / "drover.db"
    data = bytearray(file.read_bytes())
    for page in range(4096 * 3, len(data), 4096):
        data[page:page + 64] = b"\xff" * 64
    file.write_bytes(data)
    code, out, err = droverd("check", server.dir)
    assert code == 3, out + err


def test_a_database_of_a_newer_version_is_refused(make_server):
    server = make_server()
    server.stop()
    with sqlite3.connect(server.dir / "drover.db") as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(Failed, match="ended with 3"):
        server.start()
    assert "newer" in server.tail()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file system of its own: root only")
def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path, make_sim):
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(mount)], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("cannot mount a small file system here")
    server = Server(mount / "data", "--disk-min-free", "1")
    try:
        server.start()
        sim = make_sim(server, 3, "--scenario", "idle", "--duration", "120")
        rest = server.rest()
        devices = devices_registered(rest, 3)["data"]
        filler = mount / "filler"
        with open(filler, "wb") as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
                    f.flush()
            except OSError:
                pass

        def refused():
            status, _ = rest("PUT", f"/v3/devices/{devices[0]['id']}", {"description": "x" * 1000})
            return status == 503

        wait_for("503", refused, timeout=20)
        assert rest.get("/v3/devices")["total_count"] == 3
        filler.unlink()

        def taken():
            status, _ = rest("PUT", f"/v3/devices/{devices[0]['id']}", {"description": "after"})
            return status == 200

        wait_for("writes go on when there is space again", taken, timeout=30)
        assert "level=error" in server.log.read_text() or "level=warning" in server.log.read_text()
        sim.kill()
        server.stop()
        server.start()
        assert server.rest().get(f"/v3/devices/{devices[0]['id']}")["description"] == "after"
        server.stop()
        assert run("droverd", "check", server.dir)[1].endswith("\nok\n")
    finally:
        server.kill()
        subprocess.run(["umount", str(mount)], check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file system of its own: root only")
def test_a_data_folder_that_becomes_read_only(tmp_path, make_sim):
    mount = tmp_path / "ro"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(mount)], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("cannot mount a small file system here")
    server = Server(mount / "data")
    server.log = tmp_path / "ro.log"
    try:
        server.start()
        make_sim(server, 2, "--scenario", "idle", "--duration", "120")
        rest = server.rest()
        device = devices_registered(rest, 2)["data"][0]["id"]
        assert rest("PUT", f"/v3/devices/{device}", {"description": "before"})[0] == 200
        server.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
        with pytest.raises(Failed, match="ended with 3"):
            server.start()
        assert "read" in server.tail().lower()
        subprocess.run(["mount", "-o", "remount,rw", str(mount)], check=True)
        server.start()
        assert server.rest().get(f"/v3/devices/{device}")["description"] == "before"
    finally:
        server.kill()
        subprocess.run(["umount", str(mount)], check=False)


def test_kill_9_under_load_loses_nothing_acknowledged(make_server, make_sim, tmp_path):
    """Registrations and requests go on while the server dies at random moments."""
    server = make_server()
    server.import_psks(200)
    acknowledged = set()
    for round_ in range(4):
        sim = make_sim(server, 200, "--scenario", "churn", "--duration", "60", "--window", "32", import_keys=False)
        rest = server.rest()
        devices_registered(rest, 1)
        until = time.monotonic() + 0.5 + 0.4 * round_
        while time.monotonic() < until:
            page = rest.get("/v3/devices?limit=50")
            device = page["data"][len(acknowledged) % len(page["data"])]["id"]
            name = f"note-{len(acknowledged)}"
            if rest("PUT", f"/v3/devices/{device}", {"description": name})[0] == 200:
                acknowledged.add((device, name))
        server.kill()
        sim.kill()
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        server.start()
        rest = server.rest()
        latest = dict(sorted(acknowledged, key=lambda a: int(a[1].split("-")[1])))
        for device, name in latest.items():
            assert rest.get(f"/v3/devices/{device}")["description"] == name
    server.stop()
    assert run("droverd", "check", server.dir)[1].endswith("\nok\n")


def test_a_queued_request_survives_kill_9(make_server, make_sim):
    server = make_server("--awake", "1")
    sim = make_sim(server, 1, "--scenario", "idle", "--queue-mode", "--lifetime", "3600", "--duration", "300")
    rest = server.rest()
    device = devices_registered(rest, 1)["data"][0]["id"]
    sim.kill()
    time.sleep(1.5)
    ids = [device_request(rest, device, "GET", "/1/0/1") for _ in range(5)]
    server.kill()
    server.start()
    channel = Channel(server)
    make_sim(server, 1, "--scenario", "idle", "--queue-mode", "--lifetime", "3600", "--duration", "300",
             import_keys=False)
    for async_id in ids:
        assert channel.answer(async_id, 90)["status"] == 200
    channel.close()


def test_datagrams_that_are_none(make_server):
    server = make_server("--coap", "127.0.0.1:0")
    host, port = server.address("coap")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        for data in (b"", b"\0", b"\xff" * 40, b"\x40", b"\x49\x01\x00\x01" + b"x" * 9, b"\x40\x01\x12\x34\xf1\xff"):
            s.sendto(data, (host, port))
        s.sendto(b"\x40\x00\x12\x34", (host, port))  # ping
        seen = []
        try:
            while not seen or seen[-1] != b"\x70\x00\x12\x34":
                seen.append(s.recv(2048))
        except socket.timeout:
            pass
        assert seen and seen[-1] == b"\x70\x00\x12\x34", seen
    assert server.rest()("GET", "/v3/devices")[0] == 200
