# SPDX-License-Identifier: Apache-2.0
"""A server, scripted devices, and updates for them."""
import contextlib
import json
import os
import subprocess

from harness import BIN, Failed, Server, wait_for
from lwm2m_device import Fleet


def form(*parts):
    """(body, content type); a part is (name, bytes, filename or None)."""
    body = b""
    for name, value, filename in parts:
        body += f'--XyZ\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += f'; filename="{filename}"'.encode() if filename is not None else b""
        body += b"\r\n\r\n" + value + b"\r\n"
    return body + b"--XyZ--\r\n", "multipart/form-data; boundary=XyZ"


class Rig:
    """One server with plain CoAP, one fleet."""

    def __init__(self, server, tmp_path):
        self.server, self.tmp = server, tmp_path
        self.rest = server.rest()
        self.fleet = Fleet(server.address("coap"))
        self.serial = 0
        self.drover("init", "--domain", "example.com", "--model", "box")

    def drover(self, *args):
        """`drover manifest …` in the folder of the test."""
        done = subprocess.run([str(BIN / "drover"), "manifest", *map(str, args)], cwd=self.tmp, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"drover manifest {args}: {done.stderr}")

    def close(self):
        self.fleet.stop()

    def restarted(self):
        self.rest = self.server.rest()

    def upload(self, path, *parts):
        body, kind = form(*parts)
        status, data = self.rest.raw("POST", path, body, {"Content-Type": kind})
        if status != 201:
            raise Failed(f"POST {path}: {status} {data}")
        return json.loads(data)

    def image(self, data):
        return self.upload("/v3/firmware-images", ("datafile", data, "fw.bin"))

    def manifest(self, data, version, url):
        self.serial += 1
        payload, out = self.tmp / f"fw-{self.serial}.bin", self.tmp / f"m-{self.serial}.bin"
        payload.write_bytes(data)
        self.drover("create", "-u", url, "-p", payload, "-v", version, "-o", out, "--format", "v3")
        return self.upload("/v3/firmware-manifests", ("datafile", out.read_bytes(), "m.bin"))

    def device(self, name, **how):
        """Registered, with its id."""
        d = self.fleet.device(name, **how)
        wait_for(f"{name} registers", lambda: d.registrations, 20)
        page = self.rest.get(f"/v3/devices?filter=endpoint_name__eq%3D{name}")
        d.device_id = page["data"][0]["id"]
        return d

    def campaign(self, devices, data, version="2.0.0", start=True, url=None, **spec):
        """An update of these devices; the campaign's id."""
        image = self.image(data)
        m = self.manifest(data, version, url or image["datafile"])
        ids = ",".join(d.device_id for d in devices)
        body = {"name": f"update-{self.serial}", "device_filter": f"id__in={ids}", "root_manifest_id": m["id"], **spec}
        c = self.rest("POST", "/v3/update-campaigns", body, expect=201)[1]
        if start:
            self.rest("POST", f"/v3/update-campaigns/{c['id']}/start", expect=202)
        return c["id"]

    def rows(self, campaign):
        """{device id: its row}"""
        page = self.rest.get(f"/v3/update-campaigns/{campaign}/campaign-device-metadata?limit=1000")
        return {r["device_id"]: r for r in page["data"]}

    def row(self, campaign, device):
        return self.rows(campaign).get(device.device_id)

    def wait_row(self, campaign, device, what, timeout=60):
        """Until the row of the device fulfils what(row)."""

        def there():
            row = self.row(campaign, device)
            return row if row and what(row) else None

        try:
            return wait_for("row of " + device.name, there, timeout, 0.2)
        except Failed as e:
            raise Failed(f"{e}: {self.row(campaign, device)}; states {device.states_seen}; errors {device.errors}") from e

    def wait_state(self, campaign, device, state, timeout=60):
        return self.wait_row(campaign, device, lambda r: r["deployment_state"] == state, timeout)

    def events(self, device):
        """Update events of a device, oldest first: (code, description)."""
        page = self.rest.get(f"/v3/device-events?limit=1000&device_id__eq={device.device_id}")
        return [(e["event_type"], e["description"]) for e in page["data"] if e["event_type_category"] == "update"]


@contextlib.contextmanager
def running(folder):
    """A rig in a folder, for tests that share it; registrations end without grace."""
    server = Server(folder / "data", "--coap", "127.0.0.1:0", "--grace", 0)
    server.start()
    rig = Rig(server, folder)
    try:
        yield rig
    finally:
        rig.close()
        server.kill()


def random_image(size):
    return os.urandom(size)
