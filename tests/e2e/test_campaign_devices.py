# SPDX-License-Identifier: Apache-2.0
"""Updates end to end: a real server, scripted devices that take updates in every way, and fail in every way."""
import hashlib
import os

import pytest
from campaign_rig import random_image, running
from harness import wait_for

LONG = os.environ.get("DR_LONG") == "1"
SUCCESS, FAILED = "deployed", "failed_connector_channel_update"
ONCE = {"x_retry": {"attempts": 0}}


@pytest.fixture(name="rig", scope="module")
def module_rig(tmp_path_factory):
    with running(tmp_path_factory.mktemp("campaigns")) as rig:
        yield rig


def codes(rig, device):
    return [code for code, _ in rig.events(device)]


def test_each_way_of_delivery(rig):
    data = random_image(50_001)
    new = {"next_version": "2.0.0"}
    push = rig.device("way-push", delivery=1, **new)
    coap = rig.device("way-coap", delivery=0, schemes=(0,), **new)
    http = rig.device("way-http", delivery=0, schemes=(2, 9), **new)
    both = rig.device("way-both", delivery=2, schemes=(0, 1, 2, 3), **new)
    pelion = rig.device("way-pelion", pelion=True, **new)
    pelion_coap = rig.device("way-pelion-coap", pelion=True, delivery=1, **new)
    devices = [push, coap, http, both, pelion, pelion_coap]
    campaign = rig.campaign(devices, data)
    digest = hashlib.sha256(data).hexdigest()
    for d in devices:
        rig.wait_state(campaign, d, SUCCESS)
        assert (d.deliveries, d.installs, d.images) == (1, 1, [digest]), d.name
        assert codes(rig, d)[-1] == "SYS_112", d.name
    host, port = rig.server.address("coap")
    assert not push.urls
    assert coap.urls[0].startswith(f"coap://{host}:{port}/fw/") and coap.blocks == 98
    assert http.urls[0].startswith("http://") and http.blocks == 0
    assert pelion.urls == http.urls and len(pelion.manifests) == 1
    assert pelion_coap.urls == http.urls and pelion_coap.blocks == 98  # by Proxy-Uri
    assert "UPD1_STATE_2" in codes(rig, push) and "UPD1_OK_1" in codes(rig, push)
    assert [c for c in codes(rig, pelion) if c.startswith("UPD2")] == [f"UPD2_STATE_{n}" for n in (3, 4, 6, 7, 8)]
    # it ends by itself, but is seen running for as long as Pelion's tools need
    if not LONG:
        return
    c = wait_for("the end", lambda: (lambda c: c["phase"] == "stopped" and c)(
        rig.rest.get(f"/v3/update-campaigns/{campaign}")), 30)
    assert c["state"] == "autostopped"
    counts = {s["id"]: s["count"] for s in rig.rest.get(f"/v3/update-campaigns/{campaign}/statistics")["data"]}
    assert counts == {"success": 6, "fail": 0, "skipped": 0, "info": 0}


def test_an_image_larger_than_a_request_is_pushed(rig):
    data = random_image(3 * 1024 * 1024 + 5)
    d = rig.device("large", delivery=1, next_version="2.0.0")
    campaign = rig.campaign([d], data)
    rig.wait_state(campaign, d, SUCCESS, 60)
    assert d.images == [hashlib.sha256(data).hexdigest()] and d.deliveries == 1 and d.blocks == 3073


def test_power_cuts_on_the_way(rig):
    data = random_image(40_000)
    new = {"next_version": "2.0.0"}
    devices = [
        rig.device("cut-push", delivery=1, reboots={"push 20": 1}, **new),
        rig.device("cut-coap", delivery=0, schemes=(0,), reboots={"block 30": 1}, **new),
        rig.device("cut-http", delivery=0, schemes=(2,), reboots={"downloading": 1}, **new),
        rig.device("cut-downloaded", delivery=0, schemes=(0,), reboots={"downloaded": 1}, **new),
        rig.device("cut-installing", delivery=0, schemes=(0,), reboots={"installing": 1}, **new),
        rig.device("cut-pelion", pelion=True, delivery=1, reboots={"block 30": 2}, **new),
        rig.device("cut-pelion-delivered", pelion=True, reboots={"delivered": 1}, **new),
    ]
    campaign = rig.campaign(devices, data, x_retry={"attempts": 3, "backoff_seconds": 1})
    for d in devices:
        rig.wait_state(campaign, d, SUCCESS, 90)
        assert d.installs == 1 and d.images[-1] == hashlib.sha256(data).hexdigest(), d.name


def test_failures_that_object_5_reports(rig):
    devices = {n: rig.device(f"result-{n}", delivery=n % 3, schemes=(0, 2), result=n,
                             fail_at="installed" if n == 8 else "downloaded") for n in range(2, 10)}
    campaign = rig.campaign(list(devices.values()), random_image(3000), **ONCE)
    for n, d in devices.items():
        row = rig.wait_state(campaign, d, FAILED)
        assert row["x_code"] == f"UPD1_FAIL_{n}", (n, row)
        assert row["x_reason"], row
    types = rig.rest.get(f"/v3/update-campaigns/{campaign}/statistics/fail/event_types")["data"]
    assert {t["event_type"]: t["count"] for t in types} == {f"UPD1_FAIL_{n}": 1 for n in range(2, 10)}


def test_failures_that_pelion_devices_report(rig):
    devices = {n: rig.device(f"pelion-result-{n}", pelion=True, result=n,
                             fail_at="delivered" if n in (23, 30) else "downloaded") for n in (23, 24, 30, 33, 40, 101)}
    campaign = rig.campaign(list(devices.values()), random_image(3000), **ONCE)
    for n, d in devices.items():
        row = rig.wait_state(campaign, d, FAILED)
        assert row["x_code"] == f"UPD{4 if n > 100 else 2}_FAIL_{n}", row


def test_a_failure_that_may_go_away_is_tried_again(rig):
    d = rig.device("again", delivery=0, schemes=(0,), result=4, next_version="2.0.0")
    campaign = rig.campaign([d], random_image(3000), x_retry={"attempts": 5, "backoff_seconds": 1})
    wait_for("first failure", lambda: ("/5/0/5", 4) in d.states_seen, 30)
    d.result = 0
    rig.wait_state(campaign, d, SUCCESS)
    assert d.deliveries >= 2 and d.installs == 1


def test_another_version_than_promised_is_no_success(rig):
    same = rig.device("rolled-back", delivery=0, schemes=(0,))
    other = rig.device("other-version", delivery=1, next_version="1.9.9")
    pelion = rig.device("pelion-rolled-back", pelion=True)
    campaign = rig.campaign([same, other, pelion], random_image(3000), x_timeouts={"install": 3}, **ONCE)
    for d in (same, other, pelion):
        row = rig.wait_state(campaign, d, FAILED, 30)
        assert d.installs == 1 and d.deliveries == 1, row


def test_devices_that_are_not_heard_again(rig):
    dead = rig.device("dead", delivery=0, schemes=(0,), silent_at="installing", lifetime=3)
    pelion = rig.device("dead-pelion", pelion=True, silent_at="installing", lifetime=3)
    good = rig.device("alive", delivery=0, schemes=(0,), next_version="2.0.0")
    campaign = rig.campaign([dead, pelion, good], random_image(3000), x_timeouts={"install": 2, "check": 2}, **ONCE)
    rig.wait_state(campaign, good, SUCCESS)
    for d in (dead, pelion):
        row = rig.wait_state(campaign, d, FAILED, 30)
        assert row["x_reason"].startswith("No word from the device"), row


def test_one_that_never_answers_holds_nobody_up(rig):
    mute = rig.device("mute", delivery=1)
    mute.mute = True
    good = rig.device("spoken", delivery=1, next_version="2.0.0")
    campaign = rig.campaign([mute, good], random_image(3000), x_limits={"max_in_flight": 2})
    rig.wait_state(campaign, good, SUCCESS)
    row = rig.row(campaign, mute)
    assert row["deployment_state"] == "pending" and mute.deliveries == 0
    rig.rest("POST", f"/v3/update-campaigns/{campaign}/stop", expect=202)
    rig.wait_state(campaign, mute, "manifestremoved", 30)


def test_no_way_in_common(rig):
    d = rig.device("https-only", delivery=0, schemes=(3,))
    campaign = rig.campaign([d], random_image(3000), **ONCE)
    row = rig.wait_row(campaign, d, lambda r: r["x_status"] in ("failed", "skipped"))
    assert d.deliveries == 0 and "in common" in row["x_reason"]
