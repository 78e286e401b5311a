# SPDX-License-Identifier: Apache-2.0
"""Devices over TLS and TCP: the simulator in both framings, libcoap's client, and what ends a connection."""
import shutil
import socket
import subprocess

import harness
import pytest

FRAMINGS = ["rfc8323", "pelion"]
CLIENT = shutil.which("coap-client-openssl")


@pytest.fixture
def both(make_server):
    """Two shards, plain CoAP too."""
    return make_server("--coap", "127.0.0.1:0", "--shards", "2")


def start(make_sim, server, devices, framing, *options):
    return make_sim(server, devices, "--framing", framing, *options, tcp=True)


def good(sim):
    summary = sim.wait()
    assert summary["registered"] == summary["devices"] and not summary["errors"]
    assert summary["retransmissions"] == 0  # nothing is lost, so nothing is sent again
    return summary


@pytest.mark.parametrize("framing", FRAMINGS)
def test_register_and_update(both, make_sim, framing):
    summary = good(start(make_sim, both, 40, framing, "--scenario", "update", "--duration", 2))
    assert summary["handshakes"] == summary["registrations"] == 40
    assert summary["requests"] > 300
    assert both.rest().get("/v3/devices?state__eq=registered")["total_count"] == 40


@pytest.mark.parametrize("framing", FRAMINGS)
def test_requests_and_notifications(both, make_sim, framing):
    rest = both.rest()
    rest("PUT", "/v2/subscriptions", [{"resource-path": ["/3303/0/5700"]}], expect=204)
    channel = harness.Channel(both)
    sim = start(make_sim, both, 6, framing, "--scenario", "notify", "--duration", 4, "--rate", 60)
    devices = [d["id"] for d in harness.devices_registered(rest, 6)["data"]]
    for device in devices:
        answer = channel.answer(harness.device_request(rest, device, "GET", "/3/0/0"))
        assert (answer["status"], harness.payload_text(answer)) == (200, "Drover")
    channel.until(lambda: len({n["ep"] for n in channel.notifications}) == 6)
    channel.close()
    assert good(sim)["notifications"] > 50


@pytest.mark.parametrize("framing", FRAMINGS)
def test_devices_come_back_on_another_connection(both, make_sim, framing):
    """A new connection may be another shard's: the registration follows."""
    sim = start(make_sim, both, 8, framing, "--scenario", "update", "--rate", 40, "--duration", 4,
                "--rebind-every", 1)
    summary = good(sim)
    assert summary["handshakes"] > 10
    assert summary["registrations"] == 8  # an Update was enough
    assert both.metrics()["drover_coap_connections_accepted_total"] > 10


@pytest.mark.parametrize("framing", FRAMINGS)
def test_plain_tcp(both, framing):
    host, port = both.address("coap")
    sim = harness.Sim(f"coap+tcp://{host}:{port}", 5, "--scenario", "update", "--duration", 1, "--framing", framing)
    assert good(sim)["requests"] > 50


def test_deleting_a_device_closes_its_connection(both, make_sim):
    sim = start(make_sim, both, 2, "rfc8323", "--scenario", "idle", "--duration", 30)
    rest = both.rest()
    devices = harness.devices_registered(rest, 2)["data"]
    harness.wait_for("two connections", lambda: both.metrics()["drover_coap_connections"] == 2)
    before = both.metrics()["drover_coap_connections_accepted_total"]
    rest("DELETE", f"/v3/devices/{devices[0]['id']}", expect=204)
    # the simulated device notices and begins anew
    harness.wait_for("a new connection",
                     lambda: both.metrics()["drover_coap_connections_accepted_total"] > before)
    sim.stop()
    harness.wait_for("none left", lambda: both.metrics()["drover_coap_connections"] == 0)


@pytest.mark.skipif(CLIENT is None, reason="libcoap's client is not installed")
def test_libcoap_registers(both, tmp_path):
    """A foreign client over coaps+tcp: Register, and a read of its link list by whoever is not allowed to."""
    keys = tmp_path / "keys.csv"
    keys.write_text("foreign,foreign," + b"7777777777777777".hex() + "\n")
    both.cli("psk", "import", keys)
    host, port = both.address("coaps")
    base = [CLIENT, "-v", "0", "-B", "5", "-k", "7777777777777777", "-u", "foreign"]
    uri = f"coaps+tcp://{host}:{port}"
    done = subprocess.run([*base, "-m", "post", "-t", "40", "-e", "</3/0>,</1/0>",
                           f"{uri}/rd?ep=foreign&lt=300&lwm2m=1.1&b=T"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    page = harness.devices_registered(both.rest(), 1)
    assert page["data"][0]["endpoint_name"] == "foreign"
    done = subprocess.run([*base, "-m", "get", f"{uri}/rd"], capture_output=True, text=True, timeout=30, check=False)
    assert "4.05" in done.stdout + done.stderr


def test_a_second_server_finds_the_port_taken(both, make_server):
    host, port = both.address("coaps")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.connect((host, port))
    other = make_server("--coaps", f"{host}:{port}", start=False, name="other")
    with pytest.raises(harness.Failed, match="ended with 4"):
        other.start()
