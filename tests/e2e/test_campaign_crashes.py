# SPDX-License-Identifier: Apache-2.0
"""kill -9 at each transition of a campaign: nothing is lost, and no device is updated twice.

The server dies by itself (DROVER_TEST_DIE, campaigns/fault.h) at the n-th moment of a kind: a transition decided, stored, a request
asked, answered, a write of the campaign begun, done. Then it is started again and the update has to end well. With DR_LONG=1 every
moment of a whole campaign is a place to die, else a few that lie apart.
"""
import hashlib
import os
import time

import pytest
from campaign_rig import Rig, random_image
from harness import Failed, Server, wait_for

LONG = os.environ.get("DR_LONG") == "1"
POINTS = {  # how many there are at least in a campaign of three devices; where to die in a short run
    "begun": (8, (2, 5)), "decided": (21, (2, 11)), "stored": (21, (4, 13, 19)), "asked": (12, (3, 7)),
    "answered": (12, (5, 9)), "done": (8, (1, 4, 6)),
}


class Crashing(Rig):
    """A server with ports that stay: devices and addresses of firmware outlive a crash."""

    def __init__(self, folder, die):
        host = f"127.{77 + os.getpid() % 100}.{os.getpid() // 100 % 250}.1"  # nobody takes its ports while it is dead
        server = Server(folder / "data", "--coap", f"{host}:0", "--http", f"{host}:0", "--grace", 0)
        server.start(env={"DROVER_TEST_DIE": die})
        server.options = ["--coap", "%s:%d" % server.address("coap"), "--http", "%s:%d" % server.address("http"),
                          "--grace", "0"]
        super().__init__(server, folder)

    def again(self, die=None):
        """It is dead: start it."""
        assert self.server.process.wait(20) == -9, self.server.tail()
        try:
            self.server.start(env={"DROVER_TEST_DIE": die} if die else None)
        except Failed:
            if not die or self.server.process.poll() != -9:
                raise
            return  # what it dies of comes before it is ready
        self.restarted()

    def dead(self):
        return self.server.process.poll() is not None

    def close(self):
        super().close()
        self.server.kill()


@pytest.fixture(name="crashing")
def fixture_crashing(tmp_path):
    made = []

    def make(die):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Crashing(folder, die))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


def devices_of(rig, version):
    new = {"next_version": version, "update_every": 0.2}
    return [rig.device("push", delivery=1, **new), rig.device("pull", delivery=0, **new),
            rig.device("pelion", pelion=True, delivery=1, **new)]


def begin(rig, devices, data):
    """The campaign; None when the server died over it."""
    try:
        return rig.campaign(devices, data)
    except (OSError, Failed):
        if not wait_for("its death", rig.dead, 5):
            raise
        return None


def found(rig):
    """The campaign whose creation or start may have been cut off."""
    there = rig.rest.get("/v3/update-campaigns")["data"]
    assert len(there) == 1, there
    if there[0]["phase"] == "draft":
        rig.rest("POST", f"/v3/update-campaigns/{there[0]['id']}/start", expect=202)
    return there[0]["id"]


def check(rig, campaign, devices, data):
    for d in devices:
        row = rig.wait_state(campaign, d, "deployed", 60)
        assert row["x_status"] == "succeeded", row
        assert d.installs == 1, (d.name, d.installs, rig.events(d))
        assert d.flash["version"] == "2.0.0" and d.images[-1] == hashlib.sha256(data).hexdigest()
        assert [code for code, _ in rig.events(d)].count("SYS_112") == 1, rig.events(d)
    stats = {s["id"]: s["count"] for s in rig.rest.get(f"/v3/update-campaigns/{campaign}/statistics")["data"]}
    assert stats == {"success": len(devices), "fail": 0, "skipped": 0, "info": 0}, stats


def crash_once(rig, whole):
    """One update of three devices with a crash; False: the moment did not come. @whole: until the campaign is over."""
    data = random_image(9000)
    devices = devices_of(rig, "2.0.0")
    campaign = begin(rig, devices, data)
    end = time.monotonic() + (20 if whole else 6)
    while not rig.dead() and time.monotonic() < end:
        time.sleep(0.02)
        if not whole and all(d.installs for d in devices):
            end = min(end, time.monotonic() + 1)
    died = rig.dead()
    if died:
        rig.again()
    if campaign is None:
        campaign = found(rig)
    check(rig, campaign, devices, data)
    if whole:
        wait_for("its end", lambda: rig.rest.get(f"/v3/update-campaigns/{campaign}")["state"] == "autostopped", 30)
    return died


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_each_transition(crashing, point):
    least, some = POINTS[point]
    for n in range(1, 1000) if LONG else some:
        rig = crashing(f"{point}:{n}")
        died = crash_once(rig, LONG and point in ("begun", "done"))
        rig.close()
        if LONG and not died:
            assert n > least, f"only {n - 1} moments '{point}'"
            return
        assert died, f"there is no {point}:{n}"


def test_three_crashes_in_one_campaign(crashing):
    """The second and third while it recovers from the one before."""
    data = random_image(9000)
    rig = crashing("stored:7")
    devices = devices_of(rig, "2.0.0")
    campaign = rig.campaign(devices, data)
    for die in ("stored:3", "answered:2", None):
        rig.again(die)
    check(rig, campaign, devices, data)
