# SPDX-License-Identifier: Apache-2.0
"""The simulator itself: its command line, and every scenario through both stacks against the server."""
import json
import subprocess

import harness
import pytest

STACKS = ["own", "libcoap"]
MEMBERS = {"devices", "registered", "handshakes", "handshakes_per_s", "registrations", "registrations_per_s",
           "requests", "requests_per_s", "p50_ms", "p99_ms", "cpu_s", "saturated", "retransmissions", "errors",
           "seconds"}


def call(*args):
    return harness.run("drover-sim", *args, check=False)


def summary_of(sim):
    summary = sim.wait()
    assert MEMBERS <= summary.keys()
    assert summary["registered"] == summary["devices"]
    assert not summary["errors"]
    return summary


def test_help_goes_to_standard_output():
    code, out, err = call("--help")
    assert code == 0 and not err
    for option in ("--server", "--devices", "--scenario", "--stack", "--loss", "--json"):
        assert option in out


@pytest.mark.parametrize("args", [
    [], ["--server", "coap://127.0.0.1:5683"], ["--server", "coaps://127.0.0.1:1", "--devices", "1"],
    ["--server", "coap://127.0.0.1:1", "--devices", "0"], ["--nonsense"],
    ["--server", "coap://127.0.0.1:1", "--devices", "1", "--scenario", "none"],
    ["--server", "coap://127.0.0.1:1", "--devices", "1", "--loss", "2"]], ids=" ".join)
def test_bad_usage_is_two_and_one_message(args):
    code, out, err = call(*args)
    assert code == 2 and not out
    assert len(err.strip().splitlines()) in (1, 2)


def test_a_server_that_is_not_there_is_one(tmp_path):
    sim = harness.Sim("coap://127.0.0.1:9", 2, "--scenario", "register", log=tmp_path / "log")
    with pytest.raises(subprocess.TimeoutExpired):
        sim.process.wait(3)
    sim.process.terminate()
    out, _ = sim.process.communicate(timeout=10)
    assert sim.process.returncode == 1
    summary = json.loads(out.strip().splitlines()[-1])
    assert MEMBERS <= summary.keys()
    assert summary["registered"] == 0


@pytest.mark.parametrize("stack", STACKS)
def test_register(server, make_sim, stack):
    summary = summary_of(make_sim(server, 30, "--scenario", "register", "--stack", stack))
    assert summary["registrations"] == summary["handshakes"] == summary["requests"] == 30
    assert server.rest().get("/v3/devices?state__eq=registered")["total_count"] == 30


@pytest.mark.parametrize("stack", STACKS)
def test_idle(server, make_sim, stack):
    summary = summary_of(make_sim(server, 30, "--scenario", "idle", "--duration", 3, "--lifetime", 4,
                                  "--stack", stack))
    assert summary["requests"] > 0  # each updates after at least half of its lifetime


@pytest.mark.parametrize("stack", STACKS)
def test_update(server, make_sim, stack):
    summary = summary_of(make_sim(server, 30, "--scenario", "update", "--duration", 2, "--stack", stack))
    assert summary["requests"] > 300
    assert 0 < summary["p50_ms"] <= summary["p99_ms"]


@pytest.mark.parametrize("stack", STACKS)
def test_churn(server, make_sim, stack):
    summary = summary_of(make_sim(server, 20, "--scenario", "churn", "--duration", 2, "--rate", 100,
                                  "--stack", stack))
    assert summary["registrations"] > 40
    assert summary["handshakes"] == summary["registrations"]


@pytest.mark.parametrize("stack", STACKS)
def test_notify(server, make_sim, stack):
    rest = server.rest()
    rest("PUT", "/v2/subscriptions", [{"resource-path": ["/3303/0/5700"]}], expect=204)
    channel = harness.Channel(server)
    sim = make_sim(server, 10, "--scenario", "notify", "--duration", 3, "--rate", 100, "--stack", stack)
    channel.until(lambda: len({n["ep"] for n in channel.notifications}) == 10)
    channel.close()
    assert summary_of(sim)["notifications"] > 50


@pytest.mark.parametrize("stack", STACKS)
def test_request(server, make_sim, stack):
    sim = make_sim(server, 5, "--scenario", "request", "--duration", 5, "--stack", stack)
    rest = server.rest()
    devices = [d["id"] for d in harness.devices_registered(rest, 5)["data"]]
    channel = harness.Channel(server)
    for device in devices:
        answer = channel.answer(harness.device_request(rest, device, "GET", "/3/0/0"))
        assert (answer["status"], harness.payload_text(answer)) == (200, "Drover")
    channel.close()
    assert summary_of(sim)["requests"] >= 5


@pytest.mark.parametrize("security", ["psk", "x509"])
def test_bootstrap(make_server, make_sim, tmp_path, security):
    server = make_server("--bootstrap", "127.0.0.1:0")
    server.rest()("POST", "/v3/drover/bootstrap-policies", {"name": "all", "security": security}, expect=201)
    master = server.import_psks(20)
    uri = "coaps://{}:{}".format(*server.address("bootstrap"))
    sim = harness.Sim(uri, 20, "--psk-master-file", master, "--bootstrap", "--scenario", "idle", "--duration", 1,
                      log=tmp_path / "sim.log")
    summary = sim.wait()
    assert summary["bootstraps"] == 20 and not summary["errors"]
    # with a certificate each they go no further, since all devices of a simulator share one
    assert (summary["registered"], summary["handshakes"]) == ((20, 40) if security == "psk" else (0, 20))
    state = "registered" if security == "psk" else "bootstrapped"
    assert server.rest().get(f"/v3/devices?state__eq={state}")["total_count"] == 20


def test_bootstrap_only_leaves_the_second_server_alone(make_server, tmp_path):
    server = make_server("--bootstrap", "127.0.0.1:0")
    master = server.import_psks(20)
    uri = "coaps://{}:{}".format(*server.address("bootstrap"))
    options = ["--psk-master-file", master, "--bootstrap-only", "--scenario", "register"]
    sim = harness.Sim(uri, 10, *options, "--loss", 0.02, "--seed", 4, log=tmp_path / "sim.log")
    summary = sim.wait()
    assert summary["bootstraps"] == summary["requests"] == 10 and summary["registered"] == 0
    # a key that the server does not have
    sim = harness.Sim(uri, 1, *options, "--first", 50, log=tmp_path / "sim.log")
    assert sim.wait(check=False)["bootstraps"] == 0 and sim.process.returncode == 1


def test_faults(server, make_sim):
    sim = make_sim(server, 20, "--scenario", "update", "--rate", 50, "--duration", 5, "--loss", 0.03, "--dup", 0.05,
                   "--reorder", 0.05, "--reboot-rate", 0.02, "--rebind-every", 0.5, "--seed", 3)
    summary = sim.wait()
    assert summary["registered"] == 20
    assert summary["retransmissions"] > 0
    assert summary["handshakes"] > 20


def test_a_wrong_key_is_an_error(server, make_sim):
    sim = make_sim(server, 2, "--scenario", "register", import_keys=False)
    summary = sim.wait(check=False)
    assert sim.process.returncode == 1
    assert summary["registered"] == 0
    assert summary["errors"]["handshake failed"] == 10
