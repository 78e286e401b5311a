# SPDX-License-Identifier: Apache-2.0
"""/v3/update-campaigns as REST clients see it; no device takes part."""
import pytest

pytestmark = pytest.mark.sanitized
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
