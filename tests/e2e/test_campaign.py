# SPDX-License-Identifier: Apache-2.0
"""Campaigns over simulated fleets: waves, gates, retries, and what the server says about each device."""
import datetime
import os

import harness
import pytest
from updates import Author, Campaign

FLEET = 50
TIMEOUTS = {"deliver": 20, "check": 2, "download": 30, "install": 3}


class Fleet:
    """Devices 0 … n-1, registered one after the other, so that their ids are in this order."""

    def __init__(self, server, make_sim, tmp_path, devices, *options):
        self.server, self.rest = server, server.rest()
        self.author = Author(tmp_path / "author")
        self.sim = make_sim(server, devices, "--scenario", "fota", "--window", 1, "--duration", 600,
                            "--update-cert", self.author.cert, *options)
        data = []
        while len(data) < devices:
            data = harness.devices_registered(self.rest, devices)["data"]
        by_name = {d["endpoint_name"]: d["id"] for d in data}
        self.ids = [by_name[f"sim-{i}"] for i in range(devices)]

    def campaign(self, version="1.1.0", size=20_000, **more):
        _, manifest = self.author.upload(self.rest, os.urandom(size), version)
        return Campaign(self.rest, manifest, **{"x_timeouts": TIMEOUTS, **more})

    def versions(self):
        """{index: version that the device shows}"""
        channel, asked = harness.Channel(self.server), {}
        for i, device in enumerate(self.ids):
            asked[harness.device_request(self.rest, device, "GET", "/3/0/3")] = i
        versions = {i: harness.payload_text(channel.answer(a)) for a, i in asked.items()}
        channel.close()
        return versions


@pytest.fixture
def make_fleet(make_server, make_sim, tmp_path):
    def make(devices, *options):
        return Fleet(make_server("--shards", 1), make_sim, tmp_path, devices, *options)

    return make


@pytest.mark.sanitized
def test_a_gate_that_trips_keeps_the_next_wave_from_harm(make_fleet):
    fleet = make_fleet(FLEET, "--fota-faults", "reject=@1+4,broken=@7")
    waves = [{"count": 10, "error_percent": 20, "min_samples": 10}, {"rest": True}]
    c = fleet.campaign(x_waves=waves, x_retry={"attempts": 0}).start()
    held = c.until("the gate trips", lambda c: c["x_waves"][0]["status"] == "tripped")
    assert held["phase"] == "active" and held["x_waves"][0]["verdict"] == "3 of 10 devices failed"
    assert held["x_hold_reason"] and held["x_waves"][1]["status"] == "waiting"
    assert held["x_progress"] == {"total": 50, "in_flight": 0, "waiting": 40, "away": 0, "succeeded": 7, "failed": 3,
                                  "skipped": 0, "wave": held["x_progress"]["wave"]}
    assert c.statistics() == {"success": 7, "fail": 3, "skipped": 0, "info": 40}
    rows = c.devices()
    assert len(rows) == FLEET
    for i, device in enumerate(fleet.ids):
        row = rows[device]
        assert row["campaign"] == c.id and row["mechanism"] == "connector"
        assert row["x_wave"] == (1 if i < 10 else 2)
        expected = "pending" if i >= 10 else "failed_connector_channel_update" if i in (1, 4, 7) else "deployed"
        assert row["deployment_state"] == expected, i
        assert c.get(f"/campaign-device-metadata/{row['id']}") == row
    codes = {t["event_type"]: t["count"] for t in c.get("/statistics/fail/event_types")["data"]}
    assert codes == {"UPD2_FAIL_23": 2, "UPD2_FAIL_24": 1}
    assert c.get("/metrics")["pending_count"] == 40
    assert "signature" in c.explain(fleet.ids[1])["explanation"]
    assert "download failed" in c.explain(fleet.ids[7])["explanation"]
    assert "held: " in c.explain(fleet.ids[30])["explanation"]
    assert "new version" in c.explain(fleet.ids[0])["explanation"]
    _, said, _ = fleet.server.cli("campaign", "explain", c.id, fleet.ids[4])
    assert said.strip() == c.explain(fleet.ids[4])["explanation"]

    fleet.server.cli("campaign", "resume", c.id)
    end = c.stopped()
    assert (end["state"], end["x_waves"][1]["status"]) == ("autostopped", "passed")
    assert c.statistics() == {"success": 47, "fail": 3, "skipped": 0, "info": 0}
    assert fleet.versions() == {i: "1.0.0" if i in (1, 4, 7) else "1.1.0" for i in range(FLEET)}
    summary = fleet.sim.stop()
    assert (summary["updated"], summary["failed"], fleet.sim.process.returncode) == (47, 3, 0)
    assert summary["blocks"] == 47 * 20 + 10


def test_a_device_that_never_comes_back_is_silent(make_fleet):
    fleet = make_fleet(6, "--fota-faults", "dead=@2,oldversion=@3")
    waves = [{"count": 5, "silent_percent": 10, "min_samples": 5}, {"rest": True}]
    c = fleet.campaign(x_waves=waves, x_retry={"attempts": 0}).start()
    held = c.until("the gate trips", lambda c: c["x_waves"][0]["status"] == "tripped")
    assert "not heard again" in held["x_waves"][0]["verdict"]
    rows = c.devices()
    assert [rows[fleet.ids[i]]["x_code"] for i in (2, 3)] == ["SYS_104", "SYS_111"]
    assert "No word" in c.explain(fleet.ids[2])["explanation"]
    assert "old version" in c.explain(fleet.ids[3])["explanation"]
    assert rows[fleet.ids[5]]["deployment_state"] == "pending"
    summary = fleet.sim.stop()
    assert summary["registered"] == 5 and fleet.sim.process.returncode == 1  # the last one has not been updated


def test_pause_begins_with_no_more_and_resume_goes_on(make_fleet):
    fleet = make_fleet(10, "--fota-faults", "slow=100%")  # 10 blocks, 0.2 s each
    c = fleet.campaign(size=10_000, x_limits={"max_in_flight": 4}).start()
    c.until("some are under way", lambda c: c["x_progress"]["in_flight"] == 4)
    fleet.server.cli("campaign", "pause", c.id)
    assert c.get()["x_control"] == "hold"
    paused = c.until("those end", lambda c: c["x_progress"]["in_flight"] == 0)["x_progress"]
    assert (paused["succeeded"], paused["waiting"]) == (4, 6)
    waiting = next(d for d, row in c.devices().items() if row["x_status"] == "queued")
    assert "paused" in c.explain(waiting)["explanation"]
    fleet.server.cli("campaign", "resume", c.id)
    c.done()
    assert c.statistics()["success"] == 10


def test_stop_leaves_what_has_not_begun(make_fleet):
    fleet = make_fleet(10, "--fota-faults", "slow=100%")
    c = fleet.campaign(x_limits={"max_in_flight": 3}).start()
    c.until("some download", lambda c: c["x_progress"]["in_flight"] == 3)
    fleet.server.cli("campaign", "stop", c.id)
    assert c.stopped()["state"] == "userstopped"
    states = [row["deployment_state"] for row in c.devices().values()]
    assert states.count("deployed") == 3 and states.count("manifestremoved") == 7
    assert sorted(fleet.versions().values()).count("1.0.0") == 7


def test_an_attempt_that_failed_is_made_again_by_itself(make_fleet):
    fleet = make_fleet(5, "--fota-faults", "broken=@1,corrupt=@3,once")
    c = fleet.campaign(x_retry={"attempts": 2, "backoff_seconds": 1}).start()
    c.done()
    attempts = [c.devices()[device]["x_attempts"] for device in fleet.ids]
    assert attempts == [0, 1, 0, 1, 0]
    assert c.statistics()["success"] == 5


def test_an_operator_tries_again_what_failed(make_fleet):
    fleet = make_fleet(5, "--fota-faults", "reject=@1,broken=@2,once")
    c = fleet.campaign(x_retry={"attempts": 0}, autostop=False).start()
    c.until("two failed", lambda c: (c["x_progress"]["succeeded"], c["x_progress"]["failed"]) == (3, 2))
    fleet.server.cli("campaign", "retry", c.id)
    c.until("all succeeded", lambda c: c["x_progress"]["succeeded"] == 5)
    c.post("stop")
    c.stopped()
    assert c.statistics() == {"success": 5, "fail": 0, "skipped": 0, "info": 0}


def test_nothing_begins_outside_of_the_window(make_fleet):
    fleet = make_fleet(3)
    tomorrow = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)).isoweekday()
    closed = fleet.campaign(x_window={"days": [tomorrow], "from": "00:00", "to": "24:00"}).start()
    closed.until("it is active", lambda c: c["phase"] == "active")
    assert "window is closed" in closed.explain(fleet.ids[0])["explanation"]
    opened = fleet.campaign(x_window={"from": "00:00", "to": "24:00"}, x_conflict="queue", version="1.2.0")
    assert closed.progress()["waiting"] == 3
    closed.post("stop")
    assert closed.stopped()["state"] == "userstopped"
    opened.start()
    opened.done()
    assert set(fleet.versions().values()) == {"1.2.0"}


def test_older_and_forged_manifests_change_nothing(make_fleet, tmp_path):
    fleet = make_fleet(3, "--fw-version", "1.5.0")
    older = fleet.campaign("1.4.9", x_retry={"attempts": 0}).start()
    older.done()
    older.post("stop")
    older.stopped()
    assert {row["x_code"] for row in older.devices().values()} == {"UPD2_FAIL_27"}
    data = os.urandom(1000)
    _, manifest = Author(tmp_path / "forger").upload(fleet.rest, data, "9.9.9")
    forged = Campaign(fleet.rest, manifest, x_retry={"attempts": 0}).start()
    forged.done()
    assert {row["x_code"] for row in forged.devices().values()} == {"UPD2_FAIL_23"}
    assert set(fleet.versions().values()) == {"1.5.0"}
    summary = fleet.sim.stop()
    assert (summary["updated"], summary["blocks"]) == (0, 0)


@pytest.mark.parametrize("how", ["lwm2m", "lwm2m-push"])
def test_object_5_pulls_and_is_pushed(make_fleet, how):
    fleet = make_fleet(10, "--update-object", how, "--next-version", "1.1.0", "--fota-faults", "corrupt=@4")
    c = fleet.campaign(x_retry={"attempts": 0}).start()
    c.done()
    assert c.statistics() == {"success": 9, "fail": 1, "skipped": 0, "info": 0}
    assert c.devices()[fleet.ids[4]]["x_code"] == "UPD1_FAIL_5"
    assert fleet.versions() == {i: "1.0.0" if i == 4 else "1.1.0" for i in range(10)}
    assert (fleet.sim.stop()["blocks"] > 0) == (how == "lwm2m")


def test_a_bad_wire_and_small_blocks(make_fleet):
    fleet = make_fleet(5, "--loss", 0.01, "--dup", 0.03, "--reorder", 0.03, "--block", 512, "--seed", 5)
    c = fleet.campaign(x_timeouts={}).start()
    c.done(120)
    assert c.statistics()["success"] == 5
    assert fleet.sim.stop()["blocks"] >= 5 * 40


@pytest.mark.parametrize("stack", ["libcoap"])
def test_the_same_through_foreign_code(make_fleet, stack):
    fleet = make_fleet(10, "--stack", stack)
    c = fleet.campaign().start()
    c.done()
    assert c.statistics()["success"] == 10


def test_the_server_restarts_in_the_middle(make_server, make_sim, tmp_path):
    port = harness.free_port()
    server = make_server("--shards", 1, "--coaps", f"127.0.0.1:{port}")
    fleet = Fleet(server, make_sim, tmp_path, 10, "--fota-faults", "slow=100%")
    c = fleet.campaign(x_timeouts={"install": 60}).start()
    c.until("all download", lambda c: c["x_progress"]["in_flight"] == 10)
    server.stop()
    server.start()
    c.rest = fleet.rest = server.rest()
    c.done(240)
    assert c.statistics()["success"] == 10
    assert set(fleet.versions().values()) == {"1.1.0"}
    assert fleet.sim.stop()["blocks"] < 10 * 20 + 20  # none began anew
