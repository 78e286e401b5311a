# SPDX-License-Identifier: Apache-2.0
"""What the server says to a manifest that is uploaded is what `drover manifest verify --upload` says, but for the signer."""
import csv
import json
import re

import pytest
from campaign_rig import form
from harness import ROOT, run

VECTORS = ROOT.parent / "shared" / "data" / "manifest-vectors"
SIGNER = VECTORS / "keys" / "signer.cert.der"
# only a device, or who knows its keys, can tell these
OF_THE_SIGNER = {"signature", "unknown-signer", "installed-signature"}


def upload(rest, data):
    body, kind = form(("datafile", data, "m.bin"))
    status, text = rest.raw("POST", "/v3/firmware-manifests", body, {"Content-Type": kind})
    return status, json.loads(text)


@pytest.mark.parametrize("group", ["v1", "v3", "suit"])
def test_each_vector_gets_its_verdict(server, group):
    if not VECTORS.is_dir():
        pytest.skip("no vectors beside the sources")
    rest = server.rest()
    wrong, checked, refused = [], 0, 0
    with open(VECTORS / group / "index.tsv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [r for r in rows if (VECTORS / group / r["file"]).is_file()]  # some names are of files that are made from others
    for row in rows:
        path = VECTORS / group / row["file"]
        code, out, _ = run("drover", "manifest", "verify", path, "--cert", SIGNER, "--upload", check=False)
        check = "" if code == 0 else re.match(r"refused: ([^:]+)", out).group(1)
        status, answer = upload(rest, path.read_bytes())
        form_of_signature = " in DER form" in out or " instead of 64" in out
        good = check == "" or check in OF_THE_SIGNER and not form_of_signature
        checked += 1
        refused += not good
        if status != (201 if good else 400):
            wrong.append((row["file"], row["expected"], out.strip(), status, answer.get("message")))
        elif not good and path.stat().st_size and not answer["message"].startswith(f"no device can accept this manifest: {check}"):
            wrong.append((row["file"], out.strip(), answer["message"]))
    assert not wrong, wrong
    assert checked == len(rows) > 20 and 0 < refused < checked


def test_a_manifest_that_is_too_large_is_refused(server):
    rest = server.rest()
    status, answer = upload(rest, b"\x30\x82\xff\xff" + bytes(70000))
    assert status in (400, 413), answer
    assert rest.get("/v3/firmware-manifests")["data"] == []
