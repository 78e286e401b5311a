# SPDX-License-Identifier: Apache-2.0
"""/v3/update-campaigns as REST clients see it; no device takes part."""
import json

import pytest
from harness import ROOT, wait_for

pytestmark = pytest.mark.sanitized
VECTORS = ROOT / "tests" / "vectors" / "manifest"
PATH = "/v3/update-campaigns"


def make(rest, **fields):
    status, c = rest("POST", PATH, {"device_filter": "device_class__eq=none", **fields})
    assert status == 201, c
    return c


def fields_of(error):
    return {f["name"] for f in error["fields"]}


def test_a_campaign_is_made_read_changed_listed_and_deleted(server):
    rest = server.rest()
    c = make(rest, name="one", description="first",
             x_waves=[{"percent": 10.5, "error_percent": 5, "on_error": "stop"}])
    assert (c["object"], c["phase"], c["state"]) == ("update-campaign", "draft", "draft")
    assert c["root_manifest_id"] is None and c["root_manifest_url"] is None
    assert [w["percent"] for w in c["x_waves"] if "percent" in w] == [10.5]
    assert len(c["x_waves"]) == 2  # what is left over is a wave, too
    status, again = rest("GET", f"{PATH}/{c['id']}")
    assert status == 200 and again["name"] == "one"
    status, changed = rest("PUT", f"{PATH}/{c['id']}", {"name": "two", "x_waves": []})
    assert status == 200 and changed["name"] == "two" and changed["description"] == "first"
    assert len(changed["x_waves"]) == 1  # no waves: all at once
    other = make(rest, name="other")
    status, page = rest("GET", f"{PATH}?phase__eq=draft&order=ASC&include=total_count")
    assert status == 200 and [x["name"] for x in page["data"]] == ["two", "other"]
    assert page["total_count"] == 2
    assert rest("DELETE", f"{PATH}/{other['id']}")[0] == 204
    assert rest("GET", f"{PATH}/{other['id']}")[0] == 404
    assert [x["id"] for x in rest("GET", PATH)[1]["data"]] == [c["id"]]


@pytest.mark.parametrize("body,field", [
    ({}, "device_filter"),
    ({"device_filter": "nonsense__eq=1"}, "device_filter"),
    ({"device_filter": "device_class__eq=a", "when": "soon"}, "when"),
    ({"device_filter": "device_class__eq=a", "root_manifest_id": "12"}, "root_manifest_id"),
    ({"device_filter": "device_class__eq=a", "x_waves": {}}, "x_waves"),
    ({"device_filter": "device_class__eq=a", "x_waves": [1]}, "x_waves"),
    ({"device_filter": "device_class__eq=a", "x_waves": [{"percent": 101}]}, "percent"),
    ({"device_filter": "device_class__eq=a", "campaign_strategy": "luck"}, "campaign_strategy"),
    ({"device_filter": "device_class__eq=a", "autostop": 3}, "autostop"),
])
def test_a_wrong_body_says_what_is_wrong(server, body, field):
    status, error = server.rest()("POST", PATH, body)
    assert status == 400 and error["type"] == "validation_error", error
    assert field in fields_of(error)


def test_actions_fit_the_phase(server):
    rest = server.rest()
    c = make(rest)
    one = f"{PATH}/{c['id']}"
    status, error = rest("POST", f"{one}/start")
    assert status == 400 and fields_of(error) == {"root_manifest_id"}  # it has no manifest
    assert rest("POST", f"{one}/resume")[0] == 409
    assert rest("POST", f"{PATH}/{'0' * 31}1/start")[0] == 404
    assert rest("POST", f"{PATH}/nothing/start")[0] == 404


def test_statistics_and_devices_of_a_draft(server):
    rest = server.rest()
    one = f"{PATH}/{make(rest)['id']}"
    status, stats = rest("GET", f"{one}/statistics")
    assert status == 200
    assert {s["id"]: s["count"] for s in stats["data"]} == {
        "info": 0, "success": 0, "fail": 0, "skipped": 0}
    assert rest("GET", f"{one}/statistics/success")[1]["summary_status"] == "SUCCESS"
    assert rest("GET", f"{one}/statistics/luck")[0] == 404
    assert rest("GET", f"{one}/statistics/fail/event_types")[1]["data"] == []
    assert rest("GET", f"{one}/statistics/fail/event_types/upd4_fail_101")[0] == 404
    assert rest("GET", f"{one}/metrics")[0] == 404  # nothing to count before the start
    status, devices = rest("GET", f"{one}/campaign-device-metadata?limit=2")
    assert status == 200 and devices["data"] == [] and devices["has_more"] is False
    assert rest("GET", f"{one}/campaign-device-metadata?after=x")[0] == 400
    status, why = rest("GET", f"{one}/devices/{'0' * 31}1/explain")
    assert status == 200 and why["status"] == "absent"
    assert "has not looked" in why["explanation"]


def test_a_key_that_only_reads_changes_nothing(server):
    rest = server.rest()
    one = f"{PATH}/{make(rest)['id']}"
    _, key = rest("POST", "/v3/api-keys", {"name": "reader", "role": "read-only"})
    reader = server.rest(key=key["key"])
    assert reader("GET", one)[0] == 200
    assert reader("POST", f"{one}/start")[0] == 403
    assert reader("PUT", one, {"name": "x"})[0] == 403
    assert reader("DELETE", one)[0] == 403


def test_windows_and_limits_come_back(server):
    rest = server.rest()
    window = {"days": [1, 7], "from": "22:00", "to": "04:30", "time_zone": "Europe/Helsinki"}
    c = make(rest, x_window=window, x_limits={"bytes_per_second": 100000})
    assert {k: c["x_window"][k] for k in window} == window
    assert c["x_limits"]["bytes_per_second"] == 100000
    for zone in ("Europe/Atlantis", "../../etc/passwd", 3):
        status, error = rest("POST", PATH, {"device_filter": "device_class__eq=a",
                                            "x_window": {**window, "time_zone": zone}})
        assert status == 400 and "time_zone" in fields_of(error), error


def manifest_of(rest):
    with open(VECTORS / "v3-raw.bin", "rb") as f:
        data = f.read()
    body = (b'--XyZ\r\nContent-Disposition: form-data; name="datafile"; filename="m"\r\n\r\n' + data
            + b"\r\n--XyZ--\r\n")
    status, text = rest.raw("POST", "/v3/firmware-manifests", body,
                            {"Content-Type": "multipart/form-data; boundary=XyZ"})
    assert status == 201, text
    return json.loads(text)["id"]


def test_a_dry_run_says_what_the_start_does(server):
    rest = server.rest()
    names = [f"dry-{i}" for i in range(40)]
    for name in names:
        assert rest("POST", "/v3/devices", {"endpoint_name": name, "device_class": "dry",
                                            "account_id": None})[0] == 201
    filter_ = {"device_filter": "device_class__eq=dry"}
    status, draft = rest("POST", PATH, {**filter_, "x_waves": [{"count": 5}, {"percent": 30}]})
    assert status == 201
    one = f"{PATH}/{draft['id']}"
    status, error = rest("GET", f"{one}/dry-run")
    assert status == 400 and fields_of(error) == {"root_manifest_id"}
    assert rest("PUT", one, {"root_manifest_id": manifest_of(rest)})[0] == 200
    status, plan = rest("GET", f"{one}/dry-run?limit=30")
    assert status == 200 and plan["total_count"] == 40 and plan["has_more"] is True, plan
    assert len(plan["data"]) == 30
    status, more = rest("GET", f"{one}/dry-run?limit=30&after={plan['data'][-1]['id']}")
    assert more["waves"] == plan["waves"] and more["has_more"] is False
    waves = {d["id"]: d["wave"] for d in plan["data"] + more["data"]}
    assert len(waves) == 40
    # the manifest is for another class: nobody would be updated, and nobody is
    assert plan["wrong_kind_count"] == 40 and [w["update_count"] for w in plan["waves"]] == [0] * 3
    assert plan["waves"][0]["total_count"] == 5
    assert rest("POST", f"{one}/start")[0] == 202
    devices = wait_for("the snapshot", lambda: (rest(
        "GET", f"{one}/campaign-device-metadata?limit=100")[1]["data"] or None))
    assert {d["device_id"]: d["x_wave"] for d in devices} == waves
    assert {d["x_code"] for d in devices} == {"SYS_117"}


def test_clones_and_rollbacks_are_drafts_with_the_same_rules(server):
    rest = server.rest()
    first = make(rest, name="first", x_waves=[{"percent": 5}], approval_required=True)
    one = f"{PATH}/{first['id']}"
    status, clone = rest("POST", f"{one}/clone")
    assert status == 201 and clone["id"] != first["id"] and clone["phase"] == "draft"
    for field in ("name", "device_filter", "x_waves", "approval_required", "x_source"):
        assert clone[field] == first[field], field
    status, part = rest("POST", f"{one}/clone", {
        "name": "again", "x_source": {"campaign_id": first["id"], "devices": "failed"}})
    assert status == 201 and part["name"] == "again" and part["device_filter"] == ""
    assert part["x_source"] == {"campaign_id": first["id"], "devices": "failed"}
    status, error = rest("POST", f"{one}/rollback")
    assert status == 400 and fields_of(error) == {"root_manifest_id"}
    status, back = rest("POST", f"{one}/rollback", {"root_manifest_id": "0" * 31 + "7"})
    assert status == 201 and back["x_source"]["devices"] == "succeeded"
    assert back["root_manifest_id"] == "0" * 31 + "7"
    assert rest("POST", f"{PATH}/{'0' * 31}1/clone")[0] == 404
    assert rest("POST", f"{one}/clone", {"x_source": {"campaign_id": "x"}})[0] == 400


def test_another_key_has_to_approve(server):
    rest = server.rest()
    c = make(rest, approval_required=True, root_manifest_id=manifest_of(rest))
    one = f"{PATH}/{c['id']}"
    assert rest("POST", f"{one}/start")[0] == 202
    assert rest("GET", one)[1]["phase"] == "awaiting_approval"
    status, error = rest("POST", f"{one}/approve")
    assert status == 403 and "another API key" in error["message"]
    assert rest("POST", f"{one}/deny")[0] == 202
    assert rest("GET", one)[1]["phase"] == "draft"
    assert rest("POST", f"{one}/start")[0] == 202
    _, key = rest("POST", "/v3/api-keys", {"name": "second"})
    assert server.rest(key=key["key"])("POST", f"{one}/approve")[0] == 202
    assert rest("GET", one)[1]["phase"] != "awaiting_approval"


def test_the_command_line_plans_clones_and_rolls_back(server):
    rest = server.rest()
    c = make(rest, root_manifest_id=manifest_of(rest))
    assert "0 devices" in server.cli("campaign", "plan", c["id"])[1]
    clone = server.cli("campaign", "clone", c["id"], "--devices", "remaining")[1].strip()
    assert rest("GET", f"{PATH}/{clone}")[1]["x_source"]["devices"] == "remaining"
    back = server.cli("campaign", "rollback", c["id"], "--manifest", "0" * 31 + "7")[1].strip()
    assert rest("GET", f"{PATH}/{back}")[1]["x_source"]["devices"] == "succeeded"
    made = server.cli("campaign", "create", "--filter", "device_class__eq=a", "--window",
                      "22:00-04:30", "--time-zone", "Europe/Oslo", "--bytes", "5000")[1].strip()
    assert rest("GET", f"{PATH}/{made}")[1]["x_window"]["time_zone"] == "Europe/Oslo"
    assert server.cli("campaign", "create", "--filter", "a__eq=1", "--time-zone", "Europe/Oslo",
                      check=False)[0] == 2
