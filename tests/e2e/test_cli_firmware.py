# SPDX-License-Identifier: Apache-2.0
"""`drover image` and `drover manifest upload`: what an operator types, up to a campaign that runs."""
import hashlib
import json
import os

import pytest
from campaign_rig import running

pytestmark = pytest.mark.sanitized


@pytest.fixture(name="rig", scope="module")
def module_rig(tmp_path_factory):
    with running(tmp_path_factory.mktemp("cli")) as rig:
        yield rig


def cli(rig, *args, code=0):
    got, out, err = rig.server.cli(*args, check=False)
    assert got == code, (args, got, out, err)
    return out, err


@pytest.mark.parametrize("size", [10_000, 33 * 1024 * 1024 + 7], ids=["form", "chunks"])
def test_an_image_is_added_listed_and_removed(rig, size):
    data = os.urandom(size)
    file = rig.tmp / f"image-{size}"
    file.write_bytes(data)
    made = json.loads(cli(rig, "image", "add", file, "--name", "n 1", "--description", "d", "--json")[0])
    assert made["datafile_checksum"] == hashlib.sha256(data).hexdigest() and made["datafile_size"] == size
    assert (made["name"], made["description"]) == ("n 1", "d")
    listed = [json.loads(line) for line in cli(rig, "image", "ls", "--json")[0].splitlines()]
    assert [i["id"] for i in listed] == [made["id"]]
    assert made["id"] in cli(rig, "image", "ls")[0]
    assert rig.rest.get("/v3/firmware-images/upload-jobs")["data"] == []
    cli(rig, "image", "rm", made["id"])
    cli(rig, "image", "rm", made["id"], code=3)
    cli(rig, "image", "rm", "nonsense", code=3)


def test_what_is_wrong_is_said(rig):
    assert "cannot read" in cli(rig, "image", "add", rig.tmp / "nothing", code=1)[1]
    cli(rig, "image", "add", code=2)
    cli(rig, "image", "add", "a", "b", code=2)
    cli(rig, "image", "rm", code=2)
    bad = rig.tmp / "bad.manifest"
    bad.write_bytes(b"junk")
    assert "no device can accept" in cli(rig, "manifest", "upload", bad, code=1)[1]
    assert rig.rest.get("/v3/firmware-manifests")["data"] == []


def test_from_a_file_to_an_updated_device(rig):
    data = os.urandom(20_000)
    payload, manifest = rig.tmp / "fw.bin", rig.tmp / "fw.manifest"
    payload.write_bytes(data)
    image = json.loads(cli(rig, "image", "add", payload, "--json")[0])
    rig.drover("create", "-u", image["datafile"], "-p", payload, "-v", "2.0.0", "-o", manifest, "--format", "v3")
    manifest_id = cli(rig, "manifest", "upload", manifest, "--name", "two")[0].strip()
    assert manifest_id in cli(rig, "manifest", "ls")[0]
    d = rig.device("by-hand", delivery=0, next_version="2.0.0")
    made = json.loads(cli(rig, "campaign", "create", "--filter", f"id__eq={d.device_id}", "--manifest", manifest_id,
                          "--json")[0])
    cli(rig, "campaign", "start", made["id"])
    rig.wait_state(made["id"], d, "deployed")
    assert d.images == [hashlib.sha256(data).hexdigest()]
    assert "needed by campaign" in cli(rig, "image", "rm", image["id"], code=1)[1]
    cli(rig, "manifest", "rm", manifest_id, code=1)
