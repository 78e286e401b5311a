# SPDX-License-Identifier: Apache-2.0
"""Firmware images, manifests and campaigns over REST, for tests, demo and benchmarks."""
import json
import pathlib

from harness import Failed, run, wait_for


def form(*parts):
    """(body, content type); a part is (name, value, filename or None, type or None)."""
    body = b""
    for name, value, filename, kind in parts:
        body += f'--XyZ\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += f'; filename="{filename}"'.encode() if filename is not None else b""
        body += f"\r\nContent-Type: {kind}".encode() if kind else b""
        body += b"\r\n\r\n" + value + b"\r\n"
    return body + b"--XyZ--\r\n", "multipart/form-data; boundary=XyZ"


def post(rest, path, *parts):
    body, kind = form(*parts)
    status, data = rest.raw("POST", path, body, {"Content-Type": kind})
    return status, json.loads(data)


def add_image(rest, data, *more):
    status, image = post(rest, "/v3/firmware-images", ("datafile", data, "fw.bin", None), *more)
    if status != 201:
        raise Failed(f"image: {status} {image}")
    return image


def add_manifest(rest, raw):
    status, manifest = post(rest, "/v3/firmware-manifests", ("datafile", raw, "m.bin", None))
    if status != 201:
        raise Failed(f"manifest: {status} {manifest}")
    return manifest


class Author:
    """Who makes and signs updates: a folder with a key."""

    def __init__(self, folder, domain="example.com", model="box"):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True)
        run("drover", "manifest", "init", "--domain", domain, "--model", model, cwd=self.dir)
        self.key = next(self.dir.rglob("*.key.pem"))
        self.cert = next(self.dir.rglob("*.der"))

    def sign(self, url, data, version):
        """A v3 manifest of the image @p data that lies at @p url."""
        payload, out = self.dir / "payload.bin", self.dir / f"{version}.manifest"
        payload.write_bytes(data)
        run("drover", "manifest", "create", "-u", url, "-p", payload, "-v", version, "-o", out,
            "--format", "v3", cwd=self.dir)
        return out.read_bytes()

    def upload(self, rest, data, version):
        """(image, manifest) as the server has them."""
        image = add_image(rest, data)
        return image, add_manifest(rest, self.sign(image["datafile"], data, version))


class Campaign:
    def __init__(self, rest, manifest, device_filter="state__eq=registered", **more):
        body = {"name": "campaign", "device_filter": device_filter, "root_manifest_id": manifest["id"], **more}
        self.rest = rest
        self.id = rest("POST", "/v3/update-campaigns", body, expect=201)[1]["id"]
        self.path = f"/v3/update-campaigns/{self.id}"

    def post(self, verb, expect=202):
        return self.rest("POST", f"{self.path}/{verb}", expect=expect)[1]

    def start(self):
        self.post("start")
        return self

    def get(self, tail=""):
        return self.rest.get(self.path + tail)

    def until(self, what, check, timeout=30):
        """Wait for check(campaign); the campaign."""
        return wait_for(what, lambda: (lambda c: c if check(c) else None)(self.get()), timeout, every=0.2)

    def stopped(self, timeout=60):
        return self.until("the end of the campaign", lambda c: c["phase"] == "stopped", timeout)

    def done(self, timeout=60):
        """Wait until nothing goes on with any device; the statistics. The campaign itself ends later."""
        def over():
            counts = self.statistics()
            return counts if counts["info"] == 0 and any(counts.values()) else None

        return wait_for("the end of all updates", over, timeout, every=0.1)

    def progress(self):
        return self.get()["x_progress"]

    def statistics(self):
        return {s["id"]: s["count"] for s in self.get("/statistics")["data"]}

    def devices(self):
        """{device id: metadata}, all pages."""
        rows, after = {}, ""
        while True:
            page = self.get(f"/campaign-device-metadata?limit=1000{after}")
            rows.update({d["device_id"]: d for d in page["data"]})
            if not page["has_more"]:
                return rows
            after = f"&after={page['data'][-1]['id']}"

    def explain(self, device):
        return self.get(f"/devices/{device}/explain")
