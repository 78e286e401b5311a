# SPDX-License-Identifier: Apache-2.0
"""Each row of the table of failures of campaigns, by name: what goes wrong, and the test that shows what happens then."""
import hashlib
import os
import pathlib
import re

import pytest
from campaign_rig import Rig, random_image, running
from harness import ROOT, Failed, Server, wait_for

LONG = os.environ.get("DR_LONG") == "1"
SUCCESS, FAILED = "deployed", "failed_connector_channel_update"
NEW = {"next_version": "2.0.0"}

# row of the table → where it is tested
ROWS = {
    "server crash or power cut": "tests/e2e/test_campaign_crashes.py::test_a_crash_at_each_transition",
    "device offline for weeks": "test_a_device_that_is_away_waits_without_a_slot",
    "device reboots mid-download": "tests/e2e/test_campaign_devices.py::test_power_cuts_on_the_way",
    "device re-registers mid-update": "test_a_push_begins_anew_after_a_registration",
    "manifest rejected": "test_a_rejected_manifest_trips_the_gate_and_is_never_sent_again",
    "same device in two campaigns": "test_a_device_in_two_campaigns",
    "image or manifest deleted": "test_image_and_manifest_stay_while_they_are_needed",
    "image lost or damaged on disk": "test_a_lost_image_holds_the_campaign_until_it_is_back",
    "clock change": "tests/unit/campaigns/test_gate.c::a_clock_that_was_moved_is_believed_later",
    "disk full": "test_a_full_disk_begins_nothing_and_loses_nothing",
    "two server processes": "test_a_second_server_does_not_start",
    "filter or group edited": "test_a_one_shot_campaign_keeps_to_its_snapshot",
    "device deleted": "test_a_deleted_device_ends_its_row",
    "device replaced": "test_a_device_with_a_new_identity_is_another_one",
    "updated by hand": "test_a_device_updated_by_hand_has_succeeded",
    "stronger control while stopping": "tests/integ/campaigns/test_engine.c::a_hard_stop_ends_all",
    "restore from a backup": "test_a_server_of_yesterday_believes_its_devices",
    "percent rounding, tiny fleets": "tests/unit/campaigns/test_gate.c::small_fleets_fill_the_first_waves",
}


@pytest.fixture(name="rig", scope="module")
def module_rig(tmp_path_factory):
    with running(tmp_path_factory.mktemp("failures")) as rig:
        yield rig


@pytest.fixture(name="own")
def own_rig(tmp_path):
    """A server that may be stopped, with ports that stay."""
    host = f"127.{78 + os.getpid() % 100}.{os.getpid() // 100 % 250}.2"
    server = Server(tmp_path / "data", "--coap", f"{host}:0", "--http", f"{host}:0")
    server.start()
    server.options = ["--coap", "%s:%d" % server.address("coap"), "--http", "%s:%d" % server.address("http")]
    rig = Rig(server, tmp_path)
    yield rig
    rig.close()
    server.kill()


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_its_test(row):
    file, _, name = ROWS[row].rpartition("::")
    text = (ROOT / file if file else pathlib.Path(__file__)).read_text(encoding="utf-8")
    assert re.search(rf"(def |START_TEST\(){name}\b", text), ROWS[row]


def campaign_of(rig, campaign):
    return rig.rest.get(f"/v3/update-campaigns/{campaign}")


def test_a_device_that_is_away_waits_without_a_slot(rig):
    away = rig.device("away", delivery=0, lifetime=3, **NEW)
    away.off()
    wait_for("it is gone", lambda: rig.rest.get(f"/v3/devices/{away.device_id}")["state"] == "deregistered", 20)
    here = rig.device("here", delivery=0, **NEW)
    campaign = rig.campaign([away, here], random_image(3000), x_limits={"max_in_flight": 1}, autostop=False)
    rig.wait_state(campaign, here, SUCCESS)  # the only slot was free for it
    row = rig.row(campaign, away)
    assert row["deployment_state"] == "pending" and away.deliveries == 0
    # it comes back with what the campaign brings: looked at anew, nothing is sent
    away.flash = {"version": "2.0.0"}
    away.on()
    row = rig.wait_row(campaign, away, lambda r: r["x_status"] in ("skipped", "succeeded"))
    assert row["deployment_state"] == SUCCESS and away.deliveries == 0


def test_a_push_begins_anew_after_a_registration(rig):
    data = random_image(60_000)
    d = rig.device("re-register", delivery=1, reboots={"push 30": 1}, **NEW)
    campaign = rig.campaign([d], data)
    rig.wait_state(campaign, d, SUCCESS, 90)
    assert d.images == [hashlib.sha256(data).hexdigest()] and d.installs == 1
    assert d.registrations == 3 and d.blocks >= 59 + 30


def test_a_rejected_manifest_trips_the_gate_and_is_never_sent_again(rig):
    devices = [rig.device(f"rejects-{i}", pelion=True, result=30, fail_at="delivered") for i in range(8)]
    campaign = rig.campaign(
        devices, random_image(3000), autostop=False, x_retry={"attempts": 5, "backoff_seconds": 1},
        x_limits={"max_in_flight": 1}, x_waves=[{"count": 2, "error_percent": 40, "min_samples": 2, "on_error": "hold"}])
    wait_for("the gate", lambda: campaign_of(rig, campaign)["x_hold_reason"], 30)
    rows = rig.rows(campaign)
    failed = [r for r in rows.values() if r["deployment_state"] == FAILED]
    assert {r["x_code"] for r in failed} == {"UPD2_FAIL_30"}
    assert len(failed) == 2 and sum(d.deliveries for d in devices) == 2, rows  # nobody else, nobody twice
    rig.rest("POST", f"/v3/update-campaigns/{campaign}/stop", expect=202)


def test_a_device_in_two_campaigns(rig):
    d = rig.device("shared", delivery=0, download_pause=0.2, block_size=256, **NEW)
    first = rig.campaign([d], random_image(3000))
    wait_for("the first works", lambda: d.downloads, 20)
    skip = rig.campaign([d], random_image(3000), version="2.0.1")
    queue = rig.campaign([d], random_image(3000), version="2.0.0", x_conflict="queue")
    row = rig.wait_row(skip, d, lambda r: r["x_status"] == "skipped")
    assert "another campaign" in row["x_reason"]
    if LONG:
        wait_for("conflict", lambda: campaign_of(rig, skip)["state"] == "conflict", 30)
    rig.wait_state(first, d, SUCCESS)
    row = rig.wait_row(queue, d, lambda r: r["x_status"] in ("skipped", "succeeded"), 30)
    assert d.deliveries == 1 and d.installs == 1  # it had the version by then


def test_image_and_manifest_stay_while_they_are_needed(rig):
    d = rig.device("needs", delivery=0, download_pause=0.2, block_size=256, **NEW)
    data = random_image(3000)
    image = rig.image(data)
    manifest = rig.manifest(data, "2.0.0", image["datafile"])
    campaign = rig.rest("POST", "/v3/update-campaigns", {
        "device_filter": f"id__eq={d.device_id}", "root_manifest_id": manifest["id"]}, expect=201)[1]["id"]
    rig.rest("POST", f"/v3/update-campaigns/{campaign}/start", expect=202)
    wait_for("it downloads", lambda: d.downloads, 20)
    for path in (f"/v3/firmware-images/{image['id']}", f"/v3/firmware-manifests/{manifest['id']}"):
        status, answer = rig.rest("DELETE", path)
        assert status == 409 and campaign in answer["message"]
    rig.wait_state(campaign, d, SUCCESS)


def test_a_lost_image_holds_the_campaign_until_it_is_back(own):
    data = random_image(3000)
    image = own.image(data)
    d = own.device("waits", delivery=0, **NEW)
    manifest = own.manifest(data, "2.0.0", image["datafile"])
    campaign = own.rest("POST", "/v3/update-campaigns", {
        "device_filter": f"id__eq={d.device_id}", "root_manifest_id": manifest["id"]}, expect=201)[1]["id"]
    file = own.server.dir / "images" / image["id"]
    # its bytes are not those of its row any more: nothing begins
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    own.rest("POST", f"/v3/update-campaigns/{campaign}/start", expect=202)
    wait_for("it is said", lambda: campaign_of(own, campaign)["phase"] == "stopped", 20)
    assert campaign_of(own, campaign)["autostop_reason"] and d.deliveries == 0
    if not LONG:  # the folder is looked at again after half a minute
        return
    # lost under a campaign that runs: found at the start of the server, and again when it is back
    file.write_bytes(data)
    d.download_pause, d.block_size = 0.3, 256
    campaign = own.campaign([d], data, "2.0.0", url=image["datafile"])
    wait_for("it downloads", lambda: d.blocks, 20)
    images = [f for f in (own.server.dir / "images").iterdir()]
    own.server.kill()
    kept = {f: f.read_bytes() for f in images}
    for f in images:
        f.unlink()
    own.server.start()
    own.restarted()
    wait_for("held", lambda: campaign_of(own, campaign)["x_hold_reason"], 20)
    assert d.installs == 0
    for f, content in kept.items():
        f.write_bytes(content)
    d.download_pause = 0
    own.wait_state(campaign, d, SUCCESS, 60)
    assert d.installs == 1


def test_a_full_disk_begins_nothing_and_loses_nothing(own):
    d = own.device("patient", delivery=0, download_pause=0.3, block_size=256, **NEW)
    campaign = own.campaign([d], random_image(3000))
    wait_for("it downloads", lambda: d.blocks, 20)
    own.server.kill()
    try:
        own.server.start("--disk-min-free", 1048576)
        own.restarted()
        assert own.rest("POST", "/v3/update-campaigns", {"device_filter": "state__eq=registered"})[0] == 503
        assert own.rows(campaign)[d.device_id]["deployment_state"] != SUCCESS
    except Failed:
        assert own.server.process.poll() == 3  # or it does not even start
    d.download_pause = 0
    own.server.kill()
    own.server.start()
    own.restarted()
    own.wait_state(campaign, d, SUCCESS, 60)
    assert d.installs == 1


def test_a_second_server_does_not_start(own):
    second = Server(own.server.dir, "--coap", "127.0.0.1:0", init=False)
    with pytest.raises(Failed):
        second.start(timeout=10)
    second.kill()
    assert own.rest.get("/v3/update-campaigns")["data"] == []


def test_a_one_shot_campaign_keeps_to_its_snapshot(rig):
    inside = rig.device("snapshot-in", delivery=0, **NEW)
    data = random_image(3000)
    image = rig.image(data)
    manifest = rig.manifest(data, "2.0.0", image["datafile"])

    def start(strategy):
        c = rig.rest("POST", "/v3/update-campaigns", {
            "device_filter": "endpoint_name__like=snapshot-", "campaign_strategy": strategy, "autostop": False,
            "root_manifest_id": manifest["id"]})
        if c[0] != 201:  # no such operator: by name
            c = rig.rest("POST", "/v3/update-campaigns", {
                "device_filter": "endpoint_name__in=snapshot-in,snapshot-late", "campaign_strategy": strategy,
                "autostop": False, "root_manifest_id": manifest["id"]}, expect=201)
        rig.rest("POST", f"/v3/update-campaigns/{c[1]['id']}/start", expect=202)
        return c[1]["id"]

    once = start("one-shot")
    rig.wait_state(once, inside, SUCCESS)
    late = rig.device("snapshot-late", delivery=0, **NEW)
    assert list(rig.rows(once)) == [inside.device_id] and late.deliveries == 0
    always = start("continuous")
    rig.wait_state(always, late, SUCCESS, 60)
    rig.rest("POST", f"/v3/update-campaigns/{always}/stop")


def test_a_deleted_device_ends_its_row(rig):
    d = rig.device("deleted", delivery=0, download_pause=0.3, block_size=256, update_every=60, **NEW)
    campaign = rig.campaign([d], random_image(3000))
    wait_for("it downloads", lambda: d.blocks, 20)
    rig.rest("DELETE", f"/v3/devices/{d.device_id}", expect=204)
    d.off()
    rig.wait_state(campaign, d, "deregistered", 30)


def test_a_device_with_a_new_identity_is_another_one(rig):
    old = rig.device("replaced", delivery=0, silent_at="downloading")
    campaign = rig.campaign([old], random_image(3000), autostop=False)
    wait_for("it is delivered", lambda: old.deliveries, 20)
    rig.rest("DELETE", f"/v3/devices/{old.device_id}", expect=204)
    new = rig.device("replaced", delivery=0, **NEW)
    assert new.device_id != old.device_id
    rig.wait_state(campaign, old, "deregistered", 30)
    assert list(rig.rows(campaign)) == [old.device_id] and new.deliveries == 0


def test_a_device_updated_by_hand_has_succeeded(rig):
    d = rig.device("by-hand", delivery=0, schemes=(0,), result=9)  # refuses what the campaign brings
    campaign = rig.campaign([d], random_image(3000), autostop=False, x_retry={"attempts": 0})
    rig.wait_state(campaign, d, FAILED)
    d.off()
    d.flash = {"version": "2.0.0"}
    d.on()
    row = rig.wait_state(campaign, d, SUCCESS, 30)
    assert row["x_status"] == "succeeded" and d.installs == 0


def test_a_server_of_yesterday_believes_its_devices(own):
    d = own.device("ahead", delivery=0, download_pause=0.3, block_size=256, **NEW)
    campaign = own.campaign([d], random_image(3000))
    wait_for("it downloads", lambda: d.blocks, 20)
    backup = own.tmp / "backup"
    own.server.cli("backup", backup)
    d.download_pause = 0
    own.wait_state(campaign, d, SUCCESS)
    own.server.stop()
    for f in own.server.dir.glob("drover.db*"):
        f.unlink()
    (own.server.dir / "drover.db").write_bytes(backup.read_bytes())
    own.server.start()
    own.restarted()
    own.wait_state(campaign, d, SUCCESS, 60)  # its registration says so
    assert d.installs == 1 and d.deliveries == 1
