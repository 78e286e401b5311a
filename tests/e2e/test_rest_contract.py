# SPDX-License-Identifier: Apache-2.0
"""The REST contract as clients see it on the wire: routes, keys, errors, paging, filters, the channel, device calls."""
import datetime
import json
import re
import socket
import threading
import time
import urllib.parse

import pytest
from harness import (ROOT, Channel, Failed, Rest, Server, Sim, coaps, device_request, devices_registered, payload_text,
                     wait_for)

DEVICES = 30
ID = "0" * 31 + "1"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z$")
HEX32 = re.compile(r"^[0-9a-f]{32}$")


class World:
    """A server with a fleet, and one device that sleeps for ever."""

    def __init__(self, folder):
        self.server = Server(folder / "data", "--awake", "1").start()
        master = self.server.import_psks(DEVICES)
        self.server.import_psks(1, prefix="sleepy-")
        options = ("--psk-master-file", master, "--lifetime", "3600", "--duration", "600")
        self.sim = Sim(coaps(self.server), DEVICES, "--scenario", "idle", *options)
        sleepy = Sim(coaps(self.server), 1, "--prefix", "sleepy-", "--queue-mode", "--scenario", "idle", *options)
        self.rest = self.server.rest()
        try:
            devices_registered(self.rest, DEVICES + 1)
            page = self.rest.get("/v3/devices?limit=1000")
        finally:
            sleepy.kill()
        self.ids = {d["endpoint_name"]: d["id"] for d in page["data"]}
        self.asleep_at = time.monotonic() + 2

    def new_key(self, **body):
        return self.rest("POST", "/v3/api-keys", {"name": "test", **body}, expect=201)[1]

    def close(self):
        self.sim.kill()
        self.server.kill()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("contract"))
    yield w
    w.close()


@pytest.fixture
def fresh(world):
    """A key of its own and its connection: the channel of one test does not see that of another."""
    made = world.new_key()
    rest = world.server.rest(made["key"])
    yield rest
    rest.close()
    world.rest("DELETE", f"/v3/api-keys/{made['id']}")


def all_routes():
    """(method, role, pattern) of every route in the source."""
    entry = re.compile(r"\{REST_(GET|POST|PUT|DELETE|PATCH),\s*REST_(\w+),\s*\"([^\"]+)\"", re.S)
    found = set()
    for file in sorted((ROOT / "rest").glob("*.c")):
        found |= set(entry.findall(file.read_text()))
    found = sorted(r for r in found if r[2] != "/metrics")  # on a port of its own
    assert len(found) >= 40
    return found


ROUTES = all_routes()


def path_of(pattern):
    return pattern.replace("{*}", "1/0/1").replace("{}", ID)


# ---- routes and keys ----


@pytest.mark.sanitized
def test_every_route_wants_a_key(world):
    revoked = world.new_key()
    world.rest("DELETE", f"/v3/api-keys/{revoked['id']}", expect=204)
    inactive = world.new_key(status="INACTIVE")
    bad = [None, "Bearer", "Bearer ", "Basic YTpi", "Bearer ak_1", f"Bearer {world.server.key[:-1]}",
           f"Bearer {world.server.key}0", f"Bearer {world.server.key[:-1]}%", world.server.key,
           f"Bearer {revoked['key']}", f"Bearer {inactive['key']}", "Bearer " + "x" * 111, "Bearer " + "é" * 20]
    rest = Rest(*world.server.address("http"), None)
    for method, role, pattern in ROUTES:
        for value in bad if role != "OPEN" else []:
            head = {} if value is None else {"Authorization": value.encode()}
            status, data = rest.raw(method, path_of(pattern), headers=head)
            assert status == 401, (method, pattern, value)
            assert rest.headers["www-authenticate"].startswith("Bearer")
            if pattern.startswith("/v2"):
                assert data == b"UNAUTHORIZED" and rest.headers["content-type"].startswith("text/plain")
            else:
                assert json.loads(data)["code"] == 401
    rest.close()


def test_a_read_only_key_reads_and_changes_nothing(world):
    made = world.new_key(role="read-only")
    rest = world.server.rest(made["key"])
    for method, role, pattern in ROUTES:
        if role == "WRITE":
            status, data = rest.raw(method, path_of(pattern))
            assert status == 403, (method, pattern)
            if pattern.startswith("/v2"):
                assert data == b"FORBIDDEN"
            else:
                assert json.loads(data)["type"] == "access_denied"
    assert rest.get("/v3/devices?limit=2")["total_count"] == DEVICES + 1
    assert rest.get("/v3/api-keys/me")["id"] == made["id"]
    assert rest("GET", "/v3/devices", expect=200)
    rest.close()


def test_other_methods_are_405_with_allow(world):
    by_path = {}
    for method, _, pattern in ROUTES:
        by_path.setdefault(path_of(pattern), set()).add(method)
    for path, allowed in by_path.items():
        # another pattern may match the same path
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"} - allowed:
            status, data = world.rest.raw(method, path)
            assert status == 405, (method, path, status)
            allow = {m.strip() for m in world.rest.headers["allow"].split(",")}
            assert allowed <= allow and method not in allow, (method, path, allow)
            if path.startswith("/v2"):
                assert data == b"METHOD_NOT_ALLOWED"
            elif method != "HEAD":
                assert json.loads(data)["type"] == "method_not_supported"


def test_a_trailing_slash_changes_nothing(world):
    waits = {"/v2/notification/pull"}
    for method, _, pattern in ROUTES:
        path = path_of(pattern)
        if method != "GET" or path in waits or pattern == "/v3/drover/backup":
            continue
        status, _ = world.rest.raw(method, path)
        assert status < 500 or path == "/readyz", (path, status)
        assert world.rest.raw(method, path + "/")[0] == status, path
        if path.startswith("/v3"):
            assert world.rest.raw(method, "/" + path.replace("/v3/", "/v3//"))[0] == status, path
    one = world.ids["sim-7"]
    assert world.rest.get(f"/v3/devices/{one}/")["id"] == one
    assert world.rest("PUT", f"/v3/devices/{one}/", {"name": "slash"}, expect=200)[1]["name"] == "slash"
    assert world.rest.raw("HEAD", "/v3/devices/") == (200, b"")
    assert int(world.rest.headers["content-length"]) > 100


def test_request_ids_and_the_error_envelope(world):
    seen = set()
    for path in ("/v3/devices", f"/v3/devices/{ID}", "/v3/nothing", "/nothing", "/", "/v2/nothing", "/v2/endpoints/x"):
        status, data = world.rest.raw("GET", path)
        request_id = world.rest.headers["x-request-id"]
        assert HEX32.match(request_id) and request_id not in seen
        seen.add(request_id)
        if path.startswith("/v2"):
            assert status == 404 and re.fullmatch(rb"[A-Z_]+", data)
        elif status != 200:
            value = json.loads(data)
            assert (status, value["code"], value["object"], value["type"]) == (404, 404, "error", "not_found")
            assert value["request_id"] == request_id and value["message"] and value["fields"] == []
            assert world.rest.headers["content-type"] == "application/json"
    status, value = world.rest("POST", "/v3/devices", {"name": "x" * 129, "custom_attributes": {"1": "digit"}})
    assert (status, value["type"]) == (400, "validation_error")
    assert {f["name"].split(".")[0].split("[")[0] for f in value["fields"]} == {"name", "custom_attributes"}
    assert all(f["message"] for f in value["fields"])


def test_errors_of_v2_are_bare_text(world):
    device = world.ids["sim-0"]
    url = f"/v2/device-requests/{device}?async-id="
    get = {"method": "GET", "uri": "/1/0/1"}
    for method, path, body, status, text in (
            ("POST", url + "a1", {"method": "GET", "uri": "/9999/0/1"}, 400, "RESOURCE_NOT_FOUND"),
            ("POST", url + "a1", "{", 400, "MALFORMED_JSON_CONTENT"),
            ("POST", url + "a1", "[]", 400, "MALFORMED_JSON_CONTENT"),
            ("POST", url + "a1", {"uri": "/1/0/1"}, 400, "MALFORMED_JSON_CONTENT"),
            ("POST", url + "a1", {"method": "get", "uri": 5}, 400, "MALFORMED_JSON_CONTENT"),
            ("POST", url + "a1", {**get, "payload-b64": "!"}, 400, "MALFORMED_JSON_CONTENT"),
            ("POST", f"/v2/device-requests/{device}", get, 400, "MALFORMED_ASYNC_ID"),
            ("POST", url, get, 400, "MALFORMED_ASYNC_ID"),
            ("POST", url + "a" * 41, get, 400, "MALFORMED_ASYNC_ID"),
            ("POST", url + "a%20b", get, 400, "MALFORMED_ASYNC_ID"),
            ("POST", f"/v2/device-requests/{ID}?async-id=a1", get, 404, "DEVICE_NOT_FOUND"),
            ("POST", "/v2/device-requests/sim-0?async-id=a1", get, 404, "DEVICE_NOT_FOUND"),
            ("GET", f"/v2/endpoints/{ID}", None, 404, "DEVICE_NOT_FOUND"),
            ("GET", f"/v2/endpoints/{ID}/1/0/1", None, 410, "DEVICE_NOT_FOUND"),
            ("GET", f"/v2/endpoints/{device}/9999/0/1", None, 404, "RESOURCE_NOT_FOUND"),
            ("PUT", f"/v2/subscriptions/{ID}/1/0/1", None, 404, "DEVICE_NOT_FOUND"),
            ("PUT", f"/v2/subscriptions/{device}/9999/0/1", None, 404, "URI_PATH_DOES_NOT_EXISTS"),
            ("POST", "/v2/device-shared-keys", "{", 400, "MALFORMED_JSON_CONTENT"),
            ("POST", "/v2/device-shared-keys", {"endpoint_name": "", "secret_hex": "4a" * 16}, 400,
             "INVALID_ENDPOINT_NAME"),
            ("POST", "/v2/device-shared-keys", {"endpoint_name": "a" * 65, "secret_hex": "4a" * 16}, 400,
             "INVALID_ENDPOINT_NAME"),
            ("POST", "/v2/device-shared-keys", {"endpoint_name": "a" * 16, "secret_hex": "4a" * 15}, 400,
             "INVALID_SECRET_HEX"),
            ("POST", "/v2/device-shared-keys", {"endpoint_name": "a" * 16, "secret_hex": "4a" * 33}, 400,
             "INVALID_SECRET_HEX"),
            ("POST", "/v2/device-shared-keys", {"endpoint_name": "a" * 16, "secret_hex": "4g" * 16}, 400,
             "INVALID_SECRET_HEX"),
            ("POST", "/v2/device-shared-keys", {"endpoint_name": "sim-0", "secret_hex": "4a" * 16}, 409,
             "KEY_ALREADY_EXISTS_FOR_ENDPOINT"),
            ("GET", "/v2/device-shared-keys?limit=0", None, 400, "INVALID_LIMIT"),
            ("GET", "/v2/device-shared-keys?limit=x", None, 400, "INVALID_LIMIT"),
            ("GET", "/v2/device-shared-keys?after=nonsense", None, 400, "TOKEN_NOT_FOUND"),
    ):
        got = world.rest.raw(method, path, body)
        assert got == (status, text.encode()), (method, path, body, got)
        assert world.rest.headers["content-type"].startswith("text/plain")
        assert world.rest.headers["x-request-id"]


# ---- lists ----


@pytest.mark.sanitized
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_page_walk_sees_everything_once(world, order):
    ids, after, pages = [], "", 0
    while True:
        page = world.rest.get(f"/v3/devices?limit=7&order={order}{after}")
        pages += 1
        assert (page["object"], page["limit"], page["order"]) == ("list", 7, order)
        assert page["total_count"] == DEVICES + 1
        assert page["after"] == (ids[-1] if ids else None)
        ids += [d["id"] for d in page["data"]]
        if not page["has_more"]:
            break
        assert len(page["data"]) == 7
        after = f"&after={ids[-1]}"
    assert pages == 5 and len(set(ids)) == DEVICES + 1
    assert ids == sorted(ids, reverse=order == "DESC")
    assert world.rest.get("/v3/devices?order=desc&limit=2")["data"][0]["id"] == max(ids)
    assert world.rest.get(f"/v3/devices?after={max(ids)}")["data"] == []
    exact = world.rest.get(f"/v3/devices?limit={DEVICES + 1}")
    assert len(exact["data"]) == DEVICES + 1 and exact["has_more"] is False


def test_limits_are_clamped(world):
    for asked, got in (("1", 2), ("0", 2), ("-5", 2), ("1000", 1000), ("1001", 1000), ("999999999999", 1000),
                       ("", 50), ("many", 50)):
        page = world.rest.get(f"/v3/devices?limit={asked}")
        assert page["limit"] == got, asked
        assert len(page["data"]) == min(got, DEVICES + 1)
    for path in ("/v3/api-keys", "/v3/device-events"):
        page = world.rest.get(f"{path}?limit=1&include=total_count")
        assert page["limit"] == 2 and page["total_count"] >= 1
    assert world.rest("GET", "/v3/devices?after=nonsense")[0] == 400


def test_unknown_fields_and_parameters_are_ignored(world):
    page = world.rest.get("/v3/devices?filter=&properties=&colour=red&include=a%2C+total_count&x__y=1&limit=2&=&&a")
    assert page["total_count"] == DEVICES + 1
    one = world.ids["sim-1"]
    whole = world.rest.get(f"/v3/devices/{one}")
    status, got = world.rest("PUT", f"/v3/devices/{one}", {**whole, "description": "all of it", "colour": ["red"],
                                                           "id": ID, "account_id": ID, "endpoint_name": "other"})
    assert status == 200
    assert (got["id"], got["account_id"], got["endpoint_name"]) == (one, whole["account_id"], "sim-1")
    assert got["description"] == "all of it"
    status, key = world.rest("POST", "/v3/api-keys", {"name": "n", "shoe-size": 43, "groups": []})
    assert status == 201
    world.rest("DELETE", f"/v3/api-keys/{key['id']}", expect=204)


def packed(encodings, **conditions):
    """The `filter` parameter with its values encoded so many times."""
    def encode(text):
        for _ in range(encodings - 1):
            text = urllib.parse.quote(text, safe="")
        return text
    joined = "&".join(f"{k}={encode(v)}" for k, v in conditions.items())
    return "filter=" + urllib.parse.quote(joined, safe="")


def test_filters_direct_and_packed(world):
    one, two = world.ids["sim-2"], world.ids["sim-3"]
    odd = "a+b c&d=e"
    world.rest("PUT", f"/v3/devices/{one}", {"name": odd, "custom_attributes": {"site": odd, "n": "1"}}, expect=200)
    world.rest("PUT", f"/v3/devices/{two}", {"name": "plain", "custom_attributes": {"site": "x"}}, expect=200)

    def ids(query):
        page = world.rest.get("/v3/devices?limit=1000&" + query)
        assert page["total_count"] == len(page["data"]), query
        return {d["id"] for d in page["data"]}

    everything = set(world.ids.values())
    quote = urllib.parse.quote_plus
    for query, want in (
            (f"name={quote(odd)}", {one}),
            (f"name__eq={quote(odd)}", {one}),
            (packed(1, name__eq="plain"), {two}),
            (packed(2, name__eq=odd), {one}),
            (packed(2, name=odd, state="registered"), {one}),
            (packed(2, custom_attributes__site=odd), {one}),
            (f"custom_attributes__site__eq={quote(odd)}", {one}),
            ("custom_attributes__site__in=x,y", {two}),
            ("custom_attributes__site__neq=x&custom_attributes__n=1", {one}),
            (f"id__in={one},{two},{ID}", {one, two}),
            (f"id__nin={one},{two}", everything - {one, two}),
            (f"id__neq={one}", everything - {one}),
            (f"id__neq={one}&id__eq={one}", {one}),
            (packed(1, id__in=f"{one},{two}"), {one, two}),
            ("filter=endpoint_name__eq=sim-4&state__eq=registered", {world.ids["sim-4"]}),
            ("endpoint_name__in=sim-4,sim-5&endpoint_name__neq=sim-5", {world.ids["sim-4"]}),
            ("state__eq=deregistered", set()),
            ("state__nin=deregistered,unenrolled", everything),
            ("auto_update__eq=false", everything),
            ("device_execution_mode__eq=0&operator_suspended=false", everything),
            ("created_at__gte=2020-01-01T00:00:00Z", everything),
            ("created_at__lte=2020-01-01T00:00:00.000000Z", set()),
            ("created_at__gte=20200101T000000Z&created_at__lte=2999-12-31T23:59:59%2B02:00", everything),
            (packed(2, created_at__gte="2020-01-01T00:00:00Z"), everything),
    ):
        assert ids(query) == want, query
    newest = world.rest.get(f"/v3/devices/{max(everything)}")["created_at"]
    assert ids(f"created_at__lte={newest}") == everything and max(everything) in ids(f"created_at__gte={newest}")
    for query in ("nothing__eq=1", "name__almost=1", packed(1, nothing="1"), "created_at__gte=yesterday",
                  f"id__eq={ID[:-1]}x", "state__eq=asleep", "filter=nothing__in%3Da",
                  "id__in=" + ",".join([ID] * 257), "&".join(["name=a"] * 33)):
        status, value = world.rest("GET", "/v3/devices?" + query)
        assert (status, value["type"]) == (400, "validation_error"), query
        assert value["fields"][0]["name"] and value["fields"][0]["message"], query
    # an escape that is none stays as it is; one too many is taken off
    assert ids("filter=" + urllib.parse.quote("name=100%")) == set()
    assert ids("name=100%25") == set()


def test_times_have_a_fraction_and_are_never_empty(world):
    def walk(value, where):
        if isinstance(value, dict):
            for k, v in value.items():
                if v is not None and (k.endswith(("_at", "timestamp")) or k == "date_time"):
                    assert TIME.match(v), (where, k, v)
                walk(v, where)
        elif isinstance(value, list):
            for v in value:
                walk(v, where)

    for path in ("/v3/devices", "/v3/device-events", "/v3/devicelog", "/v3/api-keys", "/v3/api-keys/me",
                 "/v3/accounts/me", "/v2/device-shared-keys"):
        walk(world.rest.get(path), path)
    device = world.rest.get(f"/v3/devices/{world.ids['sim-0']}")
    at = datetime.datetime.strptime(device["created_at"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert abs(int(device["id"][:12], 16) / 1000 - at.replace(tzinfo=datetime.timezone.utc).timestamp()) < 2
    assert HEX32.match(device["id"]) and HEX32.match(device["account_id"])
    assert device["state"] == "registered" and device["mechanism"] == "connector"
    assert device["groups"] == [] and device["device_execution_mode"] == 0


def test_api_keys_are_shown_once(world):
    made = world.new_key()
    assert len(made["key"]) == 111 and made["key"].startswith("ak_1") and made["status"] == "ACTIVE"
    for shown in (world.rest.get(f"/v3/api-keys/{made['id']}"),
                  world.rest.get(f"/v3/api-keys?key__eq={urllib.parse.quote(made['key'])}")["data"][0]):
        assert shown["key"] == made["key"][:-32] and shown["id"] == made["id"]
    rest = world.server.rest(made["key"])
    assert rest.get("/v3/api-keys/me")["id"] == made["id"]
    reset = world.rest("POST", f"/v3/api-keys/{made['id']}/reset-secret", expect=200)[1]
    assert len(reset["key"]) == 111 and reset["key"] != made["key"]
    assert rest("GET", "/v3/devices")[0] == 401
    world.rest("DELETE", f"/v3/api-keys/{made['id']}", expect=204)
    assert world.server.rest(reset["key"])("GET", "/v3/devices")[0] == 401
    world.rest("DELETE", f"/v3/api-keys/{made['id']}", expect=404)


# ---- the notification channel ----


def in_background(call):
    """Run it in a thread; a function that gives what it returned."""
    result = []
    thread = threading.Thread(target=lambda: result.append(call()), daemon=True)
    thread.start()

    def join(timeout=20):
        thread.join(timeout)
        if not result:
            raise Failed("the call did not return")
        return result[0]

    return join


@pytest.mark.sanitized
def test_one_poll_at_a_time_and_delete_lets_it_go(world, fresh):
    assert fresh.raw("GET", "/v2/notification/channel")[0] == 404
    assert fresh.raw("GET", "/v2/notification/callback")[0] == 404
    assert fresh.raw("DELETE", "/v2/notification/pull") == (200, b"ALREADY_DELETED")
    other = world.server.rest(fresh.key)
    first = in_background(lambda: other.raw("GET", "/v2/notification/pull"))
    wait_for("the channel", lambda: fresh.raw("GET", "/v2/notification/channel")[0] == 200)
    assert fresh.get("/v2/notification/channel") == {"delivery_mechanism": "LONG_POLLING"}
    status, data = fresh.raw("GET", "/v2/notification/pull")
    assert status == 409 and re.fullmatch(rb"[A-Z_]+", data)
    began = time.monotonic()
    assert fresh.raw("DELETE", "/v2/notification/pull") == (200, b"REMOVED")
    assert first()[0] in (204, 410)
    assert time.monotonic() - began < 3
    assert fresh.raw("DELETE", "/v2/notification/pull") == (200, b"ALREADY_DELETED")
    other.close()


def test_a_poll_of_a_key_that_goes_is_let_go(world):
    made = world.new_key()
    other = world.server.rest(made["key"])
    poll = in_background(lambda: other.raw("GET", "/v2/notification/pull"))
    time.sleep(0.3)
    world.rest("DELETE", f"/v3/api-keys/{made['id']}", expect=204)
    assert poll()[0] in (204, 401, 410)
    assert other.raw("GET", "/v2/notification/pull")[0] == 401


def open_poll(world, key):
    """A long poll on a bare socket, on its way."""
    s = socket.create_connection(world.server.address("http"))
    s.sendall(f"GET /v2/notification/pull HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return s


def test_a_client_that_hangs_up_loses_nothing(world, fresh):
    device = world.ids["sim-4"]
    channel = Channel(world.server, fresh.key)
    for i in range(12):
        poll = open_poll(world, fresh.key)
        time.sleep(0.05)
        if i % 2:
            poll.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        poll.close()
        if i % 3 == 0:
            time.sleep(0.05)
        answer = channel.answer(device_request(fresh, device, "GET", "/1/0/1"), 20)
        assert (answer["status"], payload_text(answer)) == (200, "3600")
    assert not channel.answers
    channel.close()


def test_the_queue_is_there_from_the_first_poll_and_before(world, fresh):
    device = world.ids["sim-5"]
    asked = [device_request(fresh, device, "GET", path) for path in ("/1/0/1", "/3/0/2", "/3/0/9999")]
    time.sleep(0.5)
    channel = Channel(world.server, fresh.key)
    got = [channel.answer(a, 20) for a in asked]
    assert [(a["status"], payload_text(a)) for a in got] == [(200, "3600"), (200, "sim-5"), (404, "")]
    assert all(set(a) <= {"id", "status", "payload", "ct", "max-age", "error"} for a in got)
    assert got[0]["ct"] == "text/plain" and isinstance(got[0]["max-age"], int)
    # no poll is open now: what happens meanwhile waits
    asked = [device_request(fresh, device, "PUT", "/1/0/1", "3601"), device_request(fresh, device, "POST", "/1/0/8"),
             device_request(fresh, device, "GET", "/1/0/1"), device_request(fresh, device, "PUT", "/1/0/1", "3600")]
    time.sleep(0.5)
    got = [channel.answer(a, 20) for a in asked]
    assert [(a["status"], payload_text(a)) for a in got] == [(200, ""), (200, ""), (200, "3601"), (200, "")]
    assert not channel.notifications
    channel.close()


def test_device_requests_keep_their_order(world, fresh):
    device = world.ids["sim-6"]
    channel = Channel(world.server, fresh.key)
    asked = [device_request(fresh, device, "PUT", "/1/0/1", str(1000 + i)) for i in range(20)]
    order = []
    while len(order) < len(asked):
        channel.poll()
        order += list(channel.answers)
        channel.answers.clear()
    assert order == asked
    answer = channel.answer(device_request(fresh, device, "GET", "/1/0/1"))
    assert payload_text(answer) == "1019"
    channel.close()


@pytest.mark.sanitized
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_answers_that_were_not_delivered_come_again_after_a_restart(make_server, make_sim, end):
    server = make_server()
    make_sim(server, 1, "--scenario", "idle", "--duration", "300")
    rest = server.rest()
    device = devices_registered(rest, 1)["data"][0]["id"]
    channel = Channel(server)
    told = device_request(rest, device, "GET", "/3/0/2")
    channel.answer(told)
    time.sleep(0.5)  # that it was delivered is noted behind
    untold = [device_request(rest, device, "GET", "/3/0/2") for _ in range(3)]
    time.sleep(0.5)  # answered, and nobody polls
    getattr(server, end)()
    server.start()
    channel = Channel(server)
    channel.until(lambda: len(channel.answers) >= len(untold), 20)
    assert set(channel.answers) == set(untold)
    assert all(payload_text(a) == "sim-0" for a in channel.answers.values())
    channel.close()
    time.sleep(0.5)
    getattr(server, end)()
    server.start()
    with pytest.raises(socket.timeout):  # none is left: the poll waits
        server.rest(timeout=2).raw("GET", "/v2/notification/pull")


# ---- calls on endpoints ----


def test_endpoint_calls(world, fresh):
    device = world.ids["sim-8"]
    links = fresh.get(f"/v2/endpoints/{device}")
    assert isinstance(links, list) and {"/1/0", "/3/0", "/3303/0"} <= {link["uri"] for link in links}
    assert all(set(link) == {"uri", "rt", "type", "obs"} and isinstance(link["obs"], bool) for link in links)
    url = f"/v2/endpoints/{device}"
    assert fresh.raw("GET", url + "/3/0/2?cacheOnly=true") == (205, b"")
    channel = Channel(world.server, fresh.key)
    status, value = fresh("GET", url + "/3/0/2")
    assert status == 202 and list(value) == ["async-response-id"]
    answer = channel.answer(value["async-response-id"])
    assert (answer["status"], payload_text(answer)) == (200, "sim-8")
    status, value = fresh("PUT", url + "/1/0/1", "4000")
    assert status == 202 and channel.answer(value["async-response-id"])["status"] == 200
    status, value = fresh("POST", url + "/1/0/8")
    assert status == 202 and channel.answer(value["async-response-id"])["status"] == 200
    for method in ("GET", "PUT", "POST", "DELETE"):
        assert fresh.raw(method, url + "/1/0/1?noResp=true") == (409, b"NO_RESPONSE_NOT_SUPPORTED")
    # an observed resource is answered from the cache
    status, value = fresh("PUT", f"/v2/subscriptions/{device}/1/0/1")
    assert status in (200, 202)
    if status == 202:
        assert channel.answer(value["async-response-id"])["status"] == 200

    def cached():
        status, data = fresh.raw("GET", url + "/1/0/1?cacheOnly=true")
        return data if status == 200 else None

    assert wait_for("a cached value", cached, 10) == b"4000"
    assert fresh.headers["content-type"] == "text/plain"
    assert re.fullmatch(r"max-age=\d+", fresh.headers["cache-control"])
    fresh("DELETE", f"/v2/subscriptions/{device}/1/0/1", expect=204)
    channel.close()


def test_subscriptions_belong_to_a_key(world, fresh):
    device = world.ids["sim-9"]
    url = f"/v2/subscriptions/{device}"
    assert fresh.raw("GET", url)[0] == 404
    channel = Channel(world.server, fresh.key)
    for path in ("/3303/0/5700", "/1/0/1"):
        status, value = fresh("PUT", url + path)
        assert status == 202 and channel.answer(value["async-response-id"])["status"] == 200
        assert fresh.raw("PUT", url + path) == (200, b"")
        assert fresh.raw("GET", url + path) == (200, b"")
    status, data = fresh.raw("GET", url)
    assert (status, sorted(data.split())) == (200, [b"/1/0/1", b"/3303/0/5700"]) and data.endswith(b"\n")
    assert fresh.headers["content-type"].startswith("text/uri-list")
    assert world.rest.raw("GET", url)[0] == 404
    assert world.rest.raw("GET", url + "/1/0/1")[0] == 404
    world.rest("DELETE", url + "/1/0/1", expect=204)  # of another key: there is nothing to take away
    assert fresh.raw("GET", url + "/1/0/1") == (200, b"")
    fresh("DELETE", url + "/3303/0/5700", expect=204)
    assert fresh.raw("GET", url + "/3303/0/5700")[0] == 404
    fresh("DELETE", url, expect=204)
    assert fresh.raw("GET", url)[0] == 404
    assert fresh.raw("DELETE", url + "/1/0/1")[0] == 204
    channel.close()


@pytest.mark.sanitized
def test_presubscriptions_apply_at_once_and_after_registering_again(make_server, make_sim):
    server = make_server()
    sim = make_sim(server, 2, "--scenario", "idle", "--duration", "300")
    rest = server.rest()
    ids = {d["endpoint_name"]: d["id"] for d in devices_registered(rest, 2)["data"]}
    device = ids["sim-0"]
    channel = Channel(server)
    wanted = [{"endpoint-name": device[:-1] + "*", "resource-path": ["/3303/0/5700", "/1/0/1"]},
              {"endpoint-name": device, "resource-path": ["/3/0/*"]}]
    rest("PUT", "/v2/subscriptions", wanted, expect=204)
    assert rest.get("/v2/subscriptions") == wanted

    def value(path):
        return [n for n in channel.notifications if n["ep"] == device and n["path"] == path]

    channel.until(lambda: value("/3303/0/5700") and value("/1/0/1"), 20)
    assert payload_text(value("/1/0/1")[0]) == "300"
    channel.notifications.clear()
    sim.kill()
    sim = make_sim(server, 2, "--scenario", "idle", "--duration", "300", "--lifetime", "400", import_keys=False)
    channel.until(lambda: value("/3303/0/5700") and value("/1/0/1"), 20)
    assert payload_text(value("/1/0/1")[-1]) == "400"
    for bad in ("{}", "[5]", [{"resource-path": "x"}], [{"endpoint-name": 5}], "[", [{"resource-path": ["/1"] * 257}],
                [{"endpoint-name": "a" * 65}], [{}] * 1025):
        status, text = rest("PUT", "/v2/subscriptions", bad)
        assert status == 400 and isinstance(text, str), bad
    assert rest.get("/v2/subscriptions") == wanted
    server.stop()
    server.start()
    rest = server.rest()
    assert rest.get("/v2/subscriptions") == wanted
    rest("PUT", "/v2/subscriptions", [], expect=204)
    assert rest.get("/v2/subscriptions") == []
    rest("PUT", "/v2/subscriptions", wanted, expect=204)
    rest("DELETE", "/v2/subscriptions", expect=204)
    assert rest.get("/v2/subscriptions") == []
    channel.close()


# ---- requests that wait ----


def test_a_device_has_twenty_places_and_ids_are_unique(world, fresh):
    """One request with the shortest expiry goes in first; then the queue fills; then it expires."""
    device = world.ids["sleepy-0"]
    time.sleep(max(0.0, world.asleep_at - time.monotonic()))
    url = f"/v2/device-requests/{device}?async-id="
    get = {"method": "GET", "uri": "/1/0/1"}
    for query in ("&retry=11", "&retry=-1", "&retry=x", "&expiry-seconds=59", "&expiry-seconds=2592001",
                  "&expiry-seconds=soon"):
        assert fresh.raw("POST", url + "q" + query, get)[0] == 400, query
    posted = time.monotonic()
    assert fresh.raw("POST", url + "first&retry=0&expiry-seconds=60", get) == (202, b"")
    assert fresh.raw("POST", url + "first", get)[0] == 400  # pending
    for i in range(19):
        assert fresh.raw("POST", url + f"n-{i}&retry=10&expiry-seconds=2592000", get) == (202, b""), i
    assert fresh.raw("POST", url + "n-19", get) == (400, b"QUEUE_IS_FULL")
    assert fresh.raw("GET", f"/v2/endpoints/{device}/3/0/2") == (429, b"QUEUE_IS_FULL")
    other = world.new_key()
    rest = world.server.rest(other["key"])
    assert rest.raw("POST", url + "first", get) == (400, b"QUEUE_IS_FULL")
    channel = Channel(world.server, fresh.key)
    answer = channel.answer("first", 75)
    assert (answer["status"], answer["error"], answer["payload"]) == (429, "REQUEST_EXPIRED", "")
    assert time.monotonic() - posted >= 59
    assert fresh.raw("POST", url + "first", get) == (202, b"")  # room and name are free again
    world.rest("DELETE", f"/v3/devices/{device}", expect=204)
    for async_id in ["first"] + [f"n-{i}" for i in range(19)]:
        assert channel.answer(async_id, 20)["status"] in (404, 410, 429, 503)
    channel.close()
