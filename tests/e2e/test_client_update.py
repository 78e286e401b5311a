# SPDX-License-Identifier: Apache-2.0
"""drover-client takes updates from a real server: campaigns, refusals, cuts of power, images that fail."""
import json
import os
import uuid

import pytest

import harness
from harness import wait_for
from test_client import Client, KEY
from test_firmware import add_image, post

VENDOR, MODEL = "example.com", "mcu"
MANY = os.environ.get("DR_LONG") is not None


class Author:
    """Who signs: an update key and certificate in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        harness.run("drover", "manifest", "init", "--domain", VENDOR, "--model", MODEL, "--dir", folder)
        self.key = folder / ".update-certificates" / "default.key.pem"
        self.cert = folder / ".update-certificates" / "default.der"
        self.vendor = uuid.uuid5(uuid.NAMESPACE_DNS, VENDOR)
        self.class_id = uuid.uuid5(self.vendor, MODEL)

    def image(self, version, body=b"", size=20000, **more):
        """An image of drover-client as bytes."""
        name = self.folder / f"{version}.img"
        text = self.folder / "body"
        text.write_bytes(body + (b"%s " % version.encode()) * (size // 6))
        options = [x for k, v in more.items() for x in (f"--{k}", v) if x is not True]
        harness.run("drover", "client-image", "create", "-v", version, "-k", self.key, "-b", text, "-o", name,
                    *options)
        return name.read_bytes()

    def manifest(self, version, url, payload, **more):
        """A manifest of version 3 as bytes."""
        name, file = self.folder / "manifest", self.folder / "payload"
        file.write_bytes(payload)
        options = {"vendor-id": self.vendor, "class-id": self.class_id, "key": self.key, **more}
        harness.run("drover", "manifest", "create", "--format", "v3", "-u", url, "-p", file, "-v", version, "-o", name,
                    *[x for k, v in options.items() for x in (f"--{k}", v)])
        return name.read_bytes()


@pytest.fixture
def author(tmp_path):
    return Author(tmp_path / "author")


@pytest.fixture
def make_device(tmp_path, author):
    """make_device(server, *options, name=) → a running client that trusts the author."""
    made = []

    def make(server, *options, name="mcu-1"):
        key = tmp_path / f"{name}.hex"
        key.write_text(KEY + "\n")
        server.cli("psk", "add", name, "--key-file", key, check=False)
        client = Client(tmp_path / f"dev-{name}", "--server", harness.coaps(server), "--psk-identity", name,
                        "--psk-key-file", key, "--update-key", author.cert, "--vendor-id", author.vendor,
                        "--class-id", author.class_id, *options)
        made.append(client)
        return client

    yield make
    for client in made:
        client.kill()


class Campaign:
    """One manifest for one device."""

    def __init__(self, rest, author, version, image, name="mcu-1", manifest=None, **more):
        self.rest = rest
        url = add_image(rest, image)["datafile"] if image is not None else "http://127.0.0.1:1/none"
        data = manifest or author.manifest(version, url, image, **more)
        status, m = post(rest, "/v3/firmware-manifests", ("datafile", data, "manifest.bin", None))
        assert status == 201, m
        status, c = rest("POST", "/v3/update-campaigns", {
            "device_filter": f"endpoint_name__eq={name}", "root_manifest_id": m["id"], "name": version})
        assert status == 201, c
        self.path = f"/v3/update-campaigns/{c['id']}"
        status, answer = rest("POST", f"{self.path}/start")
        assert status == 202, answer

    def device(self):
        rows = self.rest.get(f"{self.path}/campaign-device-metadata")["data"]
        return rows[0] if rows else {}

    def ends(self, state, timeout=60):
        return wait_for(f"device {state}", lambda: self.device().get("deployment_state") == state and self.device(),
                        timeout)


def test_campaign_updates_a_device(server, author, make_device):
    device = make_device(server)
    device.registered()
    rest = server.rest()
    campaign = Campaign(rest, author, "1.1.0", author.image("1.1.0"))
    campaign.ends("deployed", 30)
    assert device.registrations() == 2
    assert device.err[0] == "drover-client: runs 1.0.0, built in"
    assert device.err[-1] == "drover-client: runs 1.1.0 from slot A, on trial"
