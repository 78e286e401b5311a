# SPDX-License-Identifier: Apache-2.0
"""Images and manifests over REST: forms, chunks, downloads, limits, crashes."""
import base64
import hashlib
import os
import pathlib
import re
import subprocess

import pytest
from harness import ROOT, wait_for
from updates import add_image, form, post

pytestmark = pytest.mark.sanitized
VECTORS = ROOT / "tests" / "vectors" / "manifest"


def path_of(url):
    return re.sub(r"^https?://[^/]+", "", url)


def chunk(rest, job, data, md5=None, at=None):
    head = {"Content-Type": "binary/octet-stream",
            "Content-MD5": md5 or base64.b64encode(hashlib.md5(data).digest()).decode()}
    if at is not None:
        head["Content-Range"] = f"bytes {at}-{at + len(data) - 1}/*" if isinstance(at, int) else at
    return rest.raw("POST", f"/v3/firmware-images/upload-jobs/{job}/chunks", data, head)


def test_an_image_is_what_was_uploaded(server):
    rest = server.rest()
    data = os.urandom(3_000_017)
    image = add_image(rest, data)
    assert image["object"] == "firmware-image" and image["name"] == ""
    assert image["datafile_checksum"] == hashlib.sha256(data).hexdigest()
    assert image["datafile_size"] == len(data) and image["datafile_encryption"] is False
    host, port = server.address("http")
    assert image["datafile"].startswith(f"http://{host}:{port}/")
    nobody = server.rest(key="none")
    nobody.key = None
    assert nobody.raw("GET", path_of(image["datafile"])) == (200, data)
    assert rest.get(f"/v3/firmware-images/{image['id']}") == image
    files = list((server.dir / "images").iterdir())
    assert [f.name for f in files] == [image["id"]] and files[0].stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("parts", [
    [("name", b"n", None, None), ("datafile", b"bytes", "a", None), ("description", b"d", None, None)],
    [("datafile", b"bytes", "a", "application/octet-stream"), ("name", b"n", None, "text/plain"),
     ("description", b"d", None, "text/plain")],
    [("name", b"n", None, None), ("datafile_encryption", b"False", None, None), ("description", b"d", None, None),
     ("datafile", b"bytes", "dir/a", None)],
])
def test_parts_in_any_order_with_and_without_types(server, parts):
    status, image = post(server.rest(), "/v3/firmware-images/", *parts)
    assert status == 201 and (image["name"], image["description"], image["datafile_size"]) == ("n", "d", 5)


@pytest.mark.parametrize("parts", [
    [("name", b"n", None, None)],
    [("datafile", b"x", "a", None), ("datafile", b"y", "a", None)],
    [("datafile", b"x", "a" * 167, None)],
    [("datafile", b"x", "a", None), ("name", b"n" * 129, None, None)],
    [("datafile", b"x", "a", None), ("name", b"\xff", None, None)],
])
def test_forms_that_are_refused_leave_no_file(server, parts):
    status, _ = post(server.rest(), "/v3/firmware-images", *parts)
    assert status == 400
    wait_for("no file", lambda: not list((server.dir / "images").iterdir()), 5)


def test_other_bodies_are_refused(server):
    rest = server.rest()
    assert rest.raw("POST", "/v3/firmware-images", b"{}", {"Content-Type": "application/json"})[0] == 400
    body, kind = form(("datafile", b"x" * 100, "a", None))
    assert rest.raw("POST", "/v3/firmware-images", body[:-20], {"Content-Type": kind})[0] == 400
    huge = {"Content-Type": kind, "Content-Length": str(200 << 20)}
    assert rest.raw("POST", "/v3/firmware-images", b"", huge)[0] == 413
    assert server.rest(key="none")("POST", "/v3/firmware-images", {})[0] == 401
    rest.close()
    wait_for("no file", lambda: not list((server.dir / "images").iterdir()), 5)


@pytest.mark.parametrize("header,status,first,last", [
    ("bytes=0-9", 206, 0, 9), ("bytes=990-", 206, 990, 999), ("bytes=-5", 206, 995, 999),
    ("bytes=500-99999", 206, 500, 999), ("bytes=5-4", 200, 0, 999), ("bytes=0-1,3-4", 200, 0, 999),
    ("lines=1-2", 200, 0, 999),
])
def test_ranges(server, header, status, first, last):
    data = os.urandom(1000)
    rest = server.rest()
    path = path_of(add_image(rest, data)["datafile"])
    rest.key = None
    got, body = rest.raw("GET", path, headers={"Range": header})
    assert (got, body) == (status, data[first:last + 1])
    if status == 206:
        assert rest.headers["content-range"] == f"bytes {first}-{last}/1000"


def test_head_etag_and_a_range_behind_the_end(server):
    data = os.urandom(1000)
    rest = server.rest()
    path = path_of(add_image(rest, data)["datafile"])
    assert rest.raw("HEAD", path) == (200, b"")
    assert rest.headers["content-length"] == "1000" and rest.headers["accept-ranges"] == "bytes"
    etag = rest.headers["etag"]
    assert rest.raw("GET", path, headers={"If-None-Match": etag})[0] == 304
    assert rest.raw("GET", path, headers={"Range": "bytes=0-1", "If-Range": '"other"'}) == (200, data)
    assert rest.raw("GET", path, headers={"Range": "bytes=0-1", "If-Range": etag}) == (206, data[:2])
    assert rest.raw("GET", path, headers={"Range": "bytes=1000-"})[0] == 416
    assert rest.headers["content-range"] == "bytes */1000"
    assert rest.raw("GET", path[:-1] + ("0" if path[-1] != "0" else "1"))[0] == 404


def test_delete_list_and_filters(server):
    rest = server.rest()
    a = add_image(rest, b"a" * 10, ("name", b"one", None, None))
    b = add_image(rest, b"b" * 20, ("name", b"two", None, None))
    assert [i["id"] for i in rest.get("/v3/firmware-images")["data"]] == [a["id"], b["id"]]
    for query in (f"name__eq=two", f"id__neq={a['id']}", "datafile_size__eq=20", f"datafile__eq={b['datafile']}",
                  f"datafile_checksum__in={b['datafile_checksum']}"):
        assert [i["id"] for i in rest.get(f"/v3/firmware-images?{query}")["data"]] == [b["id"]], query
    assert rest("GET", "/v3/firmware-images?nothing__eq=1&size__eq=2")[0] in (200, 400)
    rest("DELETE", f"/v3/firmware-images/{a['id']}", expect=204)
    rest("DELETE", f"/v3/firmware-images/{a['id']}", expect=404)
    assert rest.raw("GET", path_of(a["datafile"]))[0] == 404
    wait_for("one file", lambda: [f.name for f in (server.dir / "images").iterdir()] == [b["id"]], 5)


def test_upload_job_in_chunks(server):
    rest = server.rest()
    data = os.urandom(2_500_000)
    job = rest("POST", "/v3/firmware-images/upload-jobs", {"name": "big", "description": "d"}, expect=201)[1]
    assert rest.headers["location"].endswith(job["id"])
    assert job["status"] == "in_progress" and job["complete"] is False and job["firmware_image_id"] is None
    assert chunk(rest, job["id"], b"")[0] == 400
    for at in range(0, len(data), 1_000_000):
        assert chunk(rest, job["id"], b"wrong", base64.b64encode(bytes(16)).decode())[0] == 400
        assert chunk(rest, job["id"], data[at:at + 1_000_000])[0] == 201
    assert chunk(rest, job["id"], b"x", "not base64")[0] == 400
    page = rest.get(f"/v3/firmware-images/upload-jobs/{job['id']}/chunks?limit=2")
    assert [c["id"] for c in page["data"]] == [1, 2] and page["has_more"] is True
    page = rest.get(f"/v3/firmware-images/upload-jobs/{job['id']}/chunks?limit=2&after=2")
    assert [(c["id"], c["length"]) for c in page["data"]] == [(3, 500_000)]
    assert rest.get(f"/v3/firmware-images/upload-jobs/{job['id']}/chunks/2")["hash"] == \
        hashlib.md5(data[1_000_000:2_000_000]).hexdigest()
    assert chunk(rest, job["id"], b"")[0] == 201
    done = rest.get(f"/v3/firmware-images/upload-jobs/{job['id']}")
    assert done["complete"] is True and done["status"] == "success"
    assert chunk(rest, job["id"], b"more")[0] == 409
    image = rest.get(f"/v3/firmware-images/{done['firmware_image_id']}")
    assert image["name"] == "big" and image["datafile_checksum"] == hashlib.sha256(data).hexdigest()
    rest("DELETE", f"/v3/firmware-images/upload-jobs/{job['id']}", expect=204)
    rest("GET", f"/v3/firmware-images/upload-jobs/{job['id']}", expect=404)
    assert rest.raw("GET", path_of(image["datafile"])) == (200, data)


def job_of(rest, name="j"):
    return rest("POST", "/v3/firmware-images/upload-jobs", {"name": name, "description": ""}, expect=201)[1]["id"]


def image_of(rest, job):
    image = rest.get(f"/v3/firmware-images/upload-jobs/{job}")["firmware_image_id"]
    return rest.get(f"/v3/firmware-images/{image}")


def test_a_chunk_that_comes_again_is_stored_once(server):
    """With its place it is known by that; without, by the answer that nobody has had."""
    rest = server.rest()
    first, second = b"a" * 1000, b"b" * 1000
    job = job_of(rest)
    for at, data in ((0, first), (0, first), (1000, second), (1000, second), (2000, second)):
        status, body = chunk(rest, job, data, at=at)
        assert status == 201 and rest.headers["location"].endswith(f"/chunks/{at // 1000 + 1}"), body
    assert chunk(rest, job, first, at=0)[0] == 409  # long ago
    assert chunk(rest, job, first, at=5000)[0] == 409  # a gap
    assert chunk(rest, job, first, at=2000)[0] == 409  # other bytes in that place
    assert chunk(rest, job, first, at="bytes 0-5/*")[0] == 400
    assert chunk(rest, job, first, at="bytes 9-5/*")[0] == 400
    assert chunk(rest, job, first, at="lines 1-2/*")[0] == 400
    for _ in range(2):  # the end, too
        assert chunk(rest, job, b"")[0] == 201
    assert image_of(rest, job)["datafile_checksum"] == hashlib.sha256(first + second + second).hexdigest()

    # a client that says no place and has had its answer means it: images may have equal pieces
    job = job_of(rest)
    assert [chunk(rest, job, first)[0] for _ in range(3)] == [201] * 3
    assert chunk(rest, job, b"")[0] == 201
    assert image_of(rest, job)["datafile_size"] == 3000

    # after a crash nobody knows who had it
    job = job_of(rest)
    assert [chunk(rest, job, data)[0] for data in (first, second)] == [201, 201]
    server.kill()
    server.start()
    rest = server.rest()
    assert [chunk(rest, job, data)[0] for data in (second, second, b"")] == [201] * 3
    assert image_of(rest, job)["datafile_checksum"] == hashlib.sha256(first + second + second).hexdigest()


def test_sizes_are_configured(make_server):
    server = make_server("--image-max", 1, "--upload-max", 2, "--chunk-max", 1)
    rest = server.rest()
    big = os.urandom((1 << 20) + 1)
    assert post(rest, "/v3/firmware-images", ("datafile", big, "fw", None))[0] == 413
    add_image(rest, big[:-1])
    job = job_of(rest)
    assert chunk(rest, job, big)[0] == 413
    rest.close()
    assert [chunk(rest, job, big[:-1])[0] for _ in range(2)] == [201, 201]
    assert chunk(rest, job, b"x")[0] == 413
    rest.close()
    assert chunk(rest, job, b"")[0] == 201


def test_a_crash_keeps_what_was_acknowledged_and_sweeps_the_rest(server):
    rest = server.rest()
    image = add_image(rest, b"kept" * 1000)
    job = rest("POST", "/v3/firmware-images/upload-jobs", {}, expect=201)[1]["id"]
    assert chunk(rest, job, b"first")[0] == 201
    folder = server.dir / "images"
    server.kill()
    (folder / ("0" * 11 + "1" + "0" * 15 + "00001")).write_bytes(b"orphan")
    (folder / ("0" * 11 + "1" + "0" * 15 + "00002.tmp")).write_bytes(b"orphan")
    with open(folder / f"{job}.part", "ab") as f:
        f.write(b"torn")
    server.start()
    rest = server.rest()
    assert sorted(f.name for f in folder.iterdir()) == sorted([image["id"], f"{job}.part"])
    assert rest.raw("GET", path_of(image["datafile"])) == (200, b"kept" * 1000)
    assert chunk(rest, job, b"second")[0] == 201
    assert chunk(rest, job, b"")[0] == 201
    made = rest.get(f"/v3/firmware-images/upload-jobs/{job}")["firmware_image_id"]
    made = rest.get(f"/v3/firmware-images/{made}")
    assert rest.raw("GET", path_of(made["datafile"])) == (200, b"firstsecond")


def test_damaged_bytes_are_not_served(server):
    rest = server.rest()
    image = add_image(rest, b"good" * 1000)
    (server.dir / "images" / image["id"]).write_bytes(b"evil" * 1000)
    assert rest.raw("GET", path_of(image["datafile"]))[0] == 500


def test_another_account_sees_nothing_of_it(server):
    rest = server.rest()
    image = add_image(rest, b"mine")
    assert server.rest(key="none")("GET", f"/v3/firmware-images/{image['id']}")[0] == 401


def manifest(tmp_path):
    def drover(*args):
        return subprocess.run([str(pathlib.Path(os.environ.get("DROVER_BIN", ROOT / "build" / "bin")) / "drover"),
                               "manifest", *map(str, args)], cwd=tmp_path, capture_output=True, text=True, check=False)
    done = drover("init", "--domain", "example.com", "--model", "box")
    assert done.returncode == 0, done.stderr
    (tmp_path / "fw.bin").write_bytes(b"firmware" * 100)
    done = drover("create", "-u", "http://127.0.0.1/fw", "-p", "fw.bin", "-v", "1.2.3", "-o", "m.bin", "--format", "v3")
    assert done.returncode == 0, done.stderr
    return (tmp_path / "m.bin").read_bytes()


def test_manifests(server, tmp_path):
    rest = server.rest()
    raw = manifest(tmp_path)
    status, m = post(rest, "/v3/firmware-manifests", ("datafile", raw, "m.bin", None))
    assert status == 201, m
    assert m["manifest_schema_version"] == 3 and m["delivered_payload_size"] == 800
    assert m["delivered_payload_digest"] == hashlib.sha256(b"firmware" * 100).hexdigest()
    assert m["delivered_payload_type"] == "full" and m["key_table"] is None and len(m["device_class"]) == 32
    status, n = post(rest, "/v3/firmware-manifests/", ("name", b"n", None, None), ("key_table", b"keys", "k", None),
                     ("datafile", raw, "m.bin", "application/octet-stream"))
    assert status == 201 and n["name"] == "n"
    assert rest.raw("GET", path_of(n["datafile"])) == (200, raw)
    assert rest.raw("GET", path_of(n["key_table"])) == (200, b"keys")
    assert rest.get(f"/v3/firmware-manifests?name__eq=n")["data"] == [n]
    for bad in (b"junk", raw[:-1], raw + b"\x81\x10" + bytes(16)):
        status, error = post(rest, "/v3/firmware-manifests", ("datafile", bad, "m.bin", None))
        assert status == 400 and "no device can accept" in error["message"], error
    assert post(rest, "/v3/firmware-manifests", ("name", b"n", None, None))[0] == 400
    rest("DELETE", f"/v3/firmware-manifests/{m['id']}", expect=204)
    rest("GET", f"/v3/firmware-manifests/{m['id']}", expect=404)


def test_what_a_campaign_needs_stays(server, tmp_path):
    rest = server.rest()
    raw = manifest(tmp_path)
    image = add_image(rest, b"firmware" * 100)
    m = post(rest, "/v3/firmware-manifests", ("datafile", raw, "m.bin", None))[1]
    c = rest("POST", "/v3/update-campaigns", {"name": "c", "device_filter": "state__eq=registered",
             "root_manifest_id": m["id"], "campaign_strategy": "continuous", "autostop": False}, expect=201)[1]
    rest("POST", f"/v3/update-campaigns/{c['id']}/start", expect=202)
    status, error = rest("DELETE", f"/v3/firmware-images/{image['id']}")
    assert status == 409 and c["id"] in error["message"]
    rest("DELETE", f"/v3/firmware-manifests/{m['id']}", expect=409)
    rest("POST", f"/v3/update-campaigns/{c['id']}/stop")
    wait_for("stopped", lambda: rest.get(f"/v3/update-campaigns/{c['id']}")["phase"] == "stopped", 60)
    rest("DELETE", f"/v3/update-campaigns/{c['id']}", expect=204)
    rest("DELETE", f"/v3/firmware-images/{image['id']}", expect=204)
    rest("DELETE", f"/v3/firmware-manifests/{m['id']}", expect=204)
