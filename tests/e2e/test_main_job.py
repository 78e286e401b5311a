# SPDX-License-Identifier: Apache-2.0
"""Devices connect over DTLS; an operator lists, reads, writes, executes and observes them over REST."""
import json
import time

import pytest
from harness import Channel, device_request, devices_registered, payload_text

pytestmark = pytest.mark.sanitized


@pytest.fixture
def fleet(server, make_sim):
    make_sim(server, 5, "--scenario", "idle", "--duration", "300", "--lifetime", "600")
    rest = server.rest()
    page = devices_registered(rest, 5)
    return server, rest, {d["endpoint_name"]: d["id"] for d in page["data"]}


def test_devices_register_and_are_listed(fleet):
    _, rest, devices = fleet
    assert sorted(devices) == [f"sim-{i}" for i in range(5)]
    page = rest.get("/v3/devices?endpoint_name__eq=sim-3")
    assert page["total_count"] == 1
    device = page["data"][0]
    assert device["id"] == devices["sim-3"]
    assert device["state"] == "registered"
    assert rest.get(f"/v3/devices/{device['id']}")["endpoint_name"] == "sim-3"


def test_read_write_execute(fleet):
    server, rest, devices = fleet
    channel = Channel(server)
    device = devices["sim-0"]
    answer = channel.answer(device_request(rest, device, "GET", "/1/0/1"))
    assert (answer["status"], payload_text(answer)) == (200, "600")
    answer = channel.answer(device_request(rest, device, "PUT", "/1/0/1", "900"))
    assert (answer["status"], answer["payload"]) == (200, "")
    answer = channel.answer(device_request(rest, device, "GET", "/1/0/1"))
    assert payload_text(answer) == "900"
    answer = channel.answer(device_request(rest, device, "POST", "/1/0/8"))
    assert answer["status"] == 200
    channel.close()


def test_a_resource_that_the_device_does_not_have(fleet):
    _, rest, devices = fleet
    status, text = rest("POST", f"/v2/device-requests/{devices['sim-0']}?async-id=x1",
                        {"method": "GET", "uri": "/9999/0/1"})
    assert (status, text) == (400, "RESOURCE_NOT_FOUND")


def test_observe_brings_notifications(fleet):
    server, rest, devices = fleet
    channel = Channel(server)
    device = devices["sim-1"]
    status, value = rest("PUT", f"/v2/subscriptions/{device}/3303/0/5700")
    assert status in (200, 202)
    if status == 202:
        assert channel.answer(value["async-response-id"])["status"] == 200
    got = channel.until(lambda: [n for n in channel.notifications
                                 if n["ep"] == device and n["path"] == "/3303/0/5700"])
    assert float(payload_text(got[0])) > -100
    rest("GET", f"/v2/subscriptions/{device}/3303/0/5700", expect=200)
    rest("DELETE", f"/v2/subscriptions/{device}/3303/0/5700", expect=204)
    rest("GET", f"/v2/subscriptions/{device}/3303/0/5700", expect=404)
    channel.close()


def test_the_command_line_does_the_same(fleet):
    server, _, devices = fleet
    out = server.cli("device", "ls", "--filter", "endpoint_name__eq=sim-2", "--json")[1]
    assert json.loads(out)["id"] == devices["sim-2"]
    assert server.cli("device", "read", devices["sim-2"], "/1/0/1")[1] == "600\n"
    assert "/3/0" in server.cli("device", "resources", devices["sim-2"])[1]
    code, _, err = server.cli("device", "get", "0" * 32, check=False)
    assert (code, "404" in err) == (3, True)


def test_the_command_line_says_what_is_wrong(fleet, tmp_path):
    server, _, _ = fleet
    code, _, err = server.cli("enroll", "add", "A-00", check=False)
    assert (code, "enrollment_identity: must be" in err) == (1, True), err
    code, _, err = server.cli("enroll", "import", tmp_path / "none.csv", check=False)
    assert (code, "none.csv': No such file" in err, "no answer" in err) == (1, True, False), err
    code, out, _ = server.cli("--help")
    assert code == 0 and all(line.count("[") == line.count("]") for line in out.splitlines()), out


def test_a_deleted_device_is_gone(fleet):
    _, rest, devices = fleet
    rest("DELETE", f"/v3/devices/{devices['sim-4']}", expect=204)
    rest("GET", f"/v3/devices/{devices['sim-4']}", expect=404)
    # its key is still there: it may have come back by now, as another device
    assert devices["sim-4"] not in [d["id"] for d in rest.get("/v3/devices?endpoint_name__eq=sim-4")["data"]]


def test_directory_and_queue_survive_a_restart(make_server, make_sim):
    server = make_server("--awake", "1")
    sim = make_sim(server, 3, "--scenario", "idle", "--duration", "300", "--lifetime", "3600", "--queue-mode")
    rest = server.rest()
    page = devices_registered(rest, 3)
    device = page["data"][0]["id"]
    sim.kill()
    time.sleep(1.5)  # the awake window is over: the request has to wait
    async_id = device_request(rest, device, "GET", "/1/0/1")
    server.stop()
    server.start()
    rest = server.rest()
    assert rest.get("/v3/devices?state__eq=registered")["total_count"] == 3
    channel = Channel(server)
    make_sim(server, 3, "--scenario", "idle", "--duration", "300", "--lifetime", "3600", "--queue-mode",
             import_keys=False)
    assert channel.answer(async_id, 90)["status"] == 200
    channel.close()
