# SPDX-License-Identifier: Apache-2.0
"""`drover manifest`, offline: round trips, verdicts, and the upstream tool in both directions."""
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

import pytest

import harness

URL = "http://update.example.com/fw.bin"
VENDOR = "cfbff0d1-9375-5685-968c-48ce8b15ae17"  # example.com
CLASS = "696aad72-78a0-53fe-8edc-82df1ecc3ce8"  # widget-1000
VENV = harness.ROOT / "build" / "interop" / "venv"
FORMATS = {"v1": "1700000000", "v3": "1.2.3", "suit": "7"}


class Tool:
    """drover manifest in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *args, ok=True):
        done = subprocess.run([str(harness.BIN / "drover"), "manifest", *map(str, args)], cwd=self.folder,
                              capture_output=True, text=True, timeout=60, check=False)
        if ok is not None:
            assert (done.returncode == 0) == ok, (args, done.returncode, done.stdout, done.stderr)
        return done

    def file(self, name, data=None):
        path = self.folder / name
        if data is not None:
            path.write_bytes(data)
        return path

    def create(self, output, fmt, *args, payload="new.bin"):
        self("create", "--format", fmt, "-v", FORMATS[fmt], "-u", URL, "-p", payload, "-o", output, *args)
        return output

    def verify(self, name, *args, cert=".update-certificates/default.der"):
        done = self("verify", name, "--cert", cert, *args, ok=None)
        lines = done.stdout.splitlines()
        assert len(lines) == 1, done
        word = lines[0].split()[0]
        assert word in ("accepted", "refused:"), lines
        assert done.returncode == (0 if word == "accepted" else 1), done
        return "accepted" if word == "accepted" else lines[0].split(": ")[1]


@pytest.fixture
def tool(tmp_path):
    made = Tool(tmp_path)
    rng = random.Random(3)
    old = rng.randbytes(6000) + b"PELION/BSDIFF001" + rng.randbytes(4000)
    made.file("old.bin", old)
    made.file("new.bin", old[:2000] + b"something new" + old[2100:])
    made("init", "-d", "example.com", "-m", "widget-1000")
    return made


def openssl(folder, *args):
    subprocess.run(["openssl", *map(str, args)], cwd=folder, check=True, capture_output=True)


def make_other(tool):
    openssl(tool.folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "other.key.pem")
    openssl(tool.folder, "req", "-new", "-x509", "-key", "other.key.pem", "-subj", "/CN=x", "-outform", "DER", "-out",
            "other.der")


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_is_created_is_accepted_and_shown(tool, fmt):
    name = tool.create("m", fmt, "--description", "what is new")
    assert tool.verify(name, "--vendor", VENDOR, "--class", CLASS, "--payload", "new.bin", "--component",
                       "MAIN") == "accepted"
    shown = json.loads(tool("parse", name, "--json").stdout)
    assert shown["format"] == fmt
    assert shown["vendor_id"] == VENDOR and shown["class_id"] == CLASS
    payload = shown["payloads"][0]
    assert payload["uri"] == URL
    assert payload["digest"] == hashlib.sha256(tool.file("new.bin").read_bytes()).hexdigest()
    assert payload["size"] == tool.file("new.bin").stat().st_size
    # the bare public key does as well
    tool("public-key", ".update-certificates/default.key.pem", "-o", "pub.bin")
    assert len(tool.file("pub.bin").read_bytes()) == 65
    tool("verify", name, "--public-key", "pub.bin")


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_a_device_refuses_is_refused_with_its_check(tool, fmt):
    name = tool.create("m", fmt)
    make_other(tool)
    assert tool.verify(name, cert="other.der") == ("unknown-signer" if fmt == "v1" else "signature")
    assert tool.verify(name, "--vendor", CLASS) == "vendor"
    assert tool.verify(name, "--class", VENDOR) == "class"
    newer = {"v1": "1700000001", "v3": "1.2.4", "suit": "8"}[fmt]
    assert tool.verify(name, "--current-version", newer) == "version"
    same = tool.verify(name, "--current-version", FORMATS[fmt])
    assert same == ("accepted" if fmt == "suit" else "version")
    assert tool.verify(name, "--payload", "old.bin") in ("payload-size", "payload-digest")
    if fmt == "v3":
        assert tool.verify(name, "--component", "METER") == "component"
    data = tool.file(name).read_bytes()
    tool.file("cut", data[:-1])
    assert tool.verify("cut") == "malformed"
    tool.file("longer", data + b"\0")
    assert tool.verify("longer") == "malformed"
    at = data.index(URL.encode())
    tool.file("tampered", data[:at] + b"x" + data[at + 1:])
    assert tool.verify("tampered") == {"v1": "manifest-hash", "v3": "signature", "suit": "manifest-digest"}[fmt]


def test_verify_needs_a_key_and_files_that_are_there(tool):
    tool.create("m", "v3")
    assert tool("verify", "m", ok=False).returncode == 2
    assert tool("verify", ok=False).returncode == 2
    assert tool("verify", "m", "--cert", "missing.der", ok=False).returncode == 1
    assert tool("verify", "m", "--cert", ".update-certificates/default.der", "--current-version", "x",
                ok=False).returncode == 2
    assert tool("parse", "new.bin", ok=False).returncode == 1


def test_private_keys_stay_in_their_file(tool):
    path = tool.file(".update-certificates/default.key.pem")
    assert path.stat().st_mode & 0o077 == 0
    key = subprocess.run(["openssl", "ec", "-in", path, "-text", "-noout"], capture_output=True, text=True,
                         check=True).stdout
    secret = bytes.fromhex("".join(key.split("priv:")[1].split("pub:")[0].split()).replace(":", "")).lstrip(b"\0")
    for fmt in FORMATS:
        tool.create(f"m.{fmt}", fmt)
    for file in tool.folder.rglob("*"):
        if file.is_file() and file != path:
            data = file.read_bytes()
            assert secret not in data and secret.hex().encode() not in data.lower(), file
    done = tool("init", "-d", "example.com", "-m", "widget-1000", ok=False)
    assert "--force" in done.stderr


def test_init_makes_a_c_file_that_compiles(tool):
    subprocess.run(["cc", "-Wall", "-Werror", "-c", "update_default_resources.c", "-o", "r.o"], cwd=tool.folder, check=True)
    text = tool.file("update_default_resources.c").read_text()
    fingerprint = hashlib.sha256(tool.file(".update-certificates/default.der").read_bytes()).digest()
    assert ", ".join(f"0x{b:02x}" for b in fingerprint[:8]) in text
    settings = json.loads(tool.file(".manifest_tool.json").read_text())
    assert settings["vendorId"] == VENDOR and settings["private-key"] == ".update-certificates/default.key.pem"


def test_init_in_the_second_layout_is_found_by_create(tmp_path):
    tool = Tool(tmp_path)
    tool("init", "-d", "example.com", "-m", "widget-1000", "--layout", "2")
    tool.file("new.bin", b"x" * 100)
    tool.create("m", "v3")
    assert tool.verify("m", "--vendor", VENDOR, cert=".manifest-dev-tool/dev.cert.der") == "accepted"


def test_input_json_of_the_first_tool(tool):
    tool.file("input.json", json.dumps({
        "encryptionMode": "none-ecc-secp256r1-sha256", "vendorId": VENDOR.replace("-", ""), "classId": CLASS,
        "payloadUri": "http://path.to/payload.bin", "payloadFile": "new.bin", "description": "Description of the update",
        "certificates": [{"uri": "http://path.to/certificate.der", "file": ".update-certificates/default.der"}],
        "precursorDigest": "5a" * 32, "priority": 3, "vendorInfo": "3003020101",
        "resource": {"resource": {"manifest": {"timestamp": 1700000000}}}}).encode())
    tool("create", "-i", "input.json", "-o", "m")
    shown = json.loads(tool("parse", "m", "--json").stdout)
    assert shown["format"] == "v1" and shown["version"] == 1700000000 and shown["priority"] == 3
    assert shown["description"] == "Description of the update" and shown["vendor_data"] == "3003020101"
    assert shown["signatures"][0]["certificate_uri"] == "http://path.to/certificate.der"
    assert tool.verify("m", "--payload", "new.bin") == "accepted"
    tool.file("psk.json", json.dumps({"encryptionMode": "none-psk-aes-128-ccm-sha256"}).encode())
    assert "encryptionMode" in tool("create", "-i", "psk.json", "-o", "x", ok=False).stderr
    assert not tool.file("x").exists()


YAML = """# an update
vendor:
  domain: example.com
device:
  model-name: "widget-1000"
priority: 1
payload:
  url: http://update.example.com/fw.bin
  format: {format}
  file-path: {file}
component: MAIN
"""


def test_config_yaml_of_the_second_tool_with_a_delta(tool):
    tool("create-delta", "--old", "old.bin", "--new", "new.bin", "-o", "delta.bin")
    tool("apply-delta", "--old", "old.bin", "--delta", "delta.bin", "-o", "again.bin")
    assert tool.file("again.bin").read_bytes() == tool.file("new.bin").read_bytes()
    tool.file("c.yaml", YAML.format(format="arm-patch-stream", file="delta.bin").encode())
    tool("create", "-c", "c.yaml", "-v", "1.2.3", "-o", "m")
    assert tool.verify("m", "--precursor", "old.bin", "--payload", "delta.bin") == "accepted"
    assert tool.verify("m", "--precursor", "new.bin") == "precursor"
    shown = json.loads(tool("parse", "m", "--json").stdout)
    assert shown["installed_digest"] == hashlib.sha256(tool.file("new.bin").read_bytes()).hexdigest()
    for bad in ("vendor:\n\tdomain: x\n", "a: [1]\n", "a: 1\na: 2\n", "just text\n", "a:\n"):
        tool.file("bad.yaml", bad.encode())
        assert "bad.yaml" in tool("create", "-c", "bad.yaml", "-v", "1.2.3", "-o", "x", ok=False).stderr


def test_a_delta_that_saves_nothing_is_refused(tool):
    tool.file("other.bin", os.urandom(9000))
    assert "threshold" in tool("create-delta", "--old", "old.bin", "--new", "other.bin", "-o", "d", ok=False).stderr
    assert not tool.file("d").exists() and not tool.file("d.yaml").exists()
    tool.file("broken", b"PELION/BSDIFF001" + bytes(24))
    tool("apply-delta", "--old", "old.bin", "--delta", "broken", "-o", "x", ok=False)
    assert not tool.file("x").exists()


SIGN = """#!/bin/sh
[ "$1" = sha256 ] && [ "$2" = key-7 ] || exit 1
exec openssl dgst -sha256 -sign "$KEYFILE" -out "$4" "$3"
"""


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_external_tool_signs(tool, fmt, monkeypatch):
    tool.file("sign.sh", SIGN.encode()).chmod(0o755)
    monkeypatch.setenv("KEYFILE", str(tool.file(".update-certificates/default.key.pem")))
    sign = ("--signing-tool", "./sign.sh", "--signing-key-id")
    tool.create("m", fmt, *sign, "key-7")
    assert tool.verify("m") == "accepted"
    args = ("create", "--format", fmt, "-v", FORMATS[fmt], "-u", URL, "-p", "new.bin", "-o", "x", *sign)
    tool(*args, "another", ok=False)  # its exit code counts
    make_other(tool)
    monkeypatch.setenv("KEYFILE", str(tool.file("other.key.pem")))
    assert "does not verify" in tool(*args, "key-7", ok=False).stderr
    assert not tool.file("x").exists()


# ---- the upstream tool ----


@pytest.fixture(scope="session")
def upstream():
    """A function that runs a program of the PyPI package manifest-tool; skips where it cannot be had."""
    if not (VENV / "bin" / "manifest-tool").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.parent.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True, capture_output=True, timeout=120)
            subprocess.run([str(VENV / "bin" / "pip"), "install", "--quiet", "--retries", "1", "--timeout", "15",
                            "manifest-tool"], check=True,
                           capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as why:
            shutil.rmtree(VENV, ignore_errors=True)
            pytest.skip(f"manifest-tool cannot be installed here: {why}")

    def run(program, *args, cwd, ok=True):
        done = subprocess.run([str(VENV / "bin" / program), *map(str, args)], cwd=cwd, capture_output=True, text=True,
                              timeout=120, check=False)
        assert (done.returncode == 0) == ok, (args, done.stdout, done.stderr)
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize("fmt", ["v1", "v3"])
def test_upstream_takes_ours(tool, upstream, fmt):
    tool.create("m", fmt, "-r", "5")
    out = upstream("manifest-tool", "parse", "m", "-c", ".update-certificates/default.der", cwd=tool.folder)
    assert "Signature verified" in out and URL in out
    tool("public-key", ".update-certificates/default.der", "-o", "pub.bin")
    upstream("manifest-tool", "public-key", ".update-certificates/default.key.pem", "-o", "theirs.bin", cwd=tool.folder)
    assert tool.file("pub.bin").read_bytes() == tool.file("theirs.bin").read_bytes()
    make_other(tool)
    upstream("manifest-tool", "parse", "m", "-c", "other.der", cwd=tool.folder, ok=False)


def test_upstream_takes_our_signed_image_and_delta(tool, upstream):
    tool("create-delta", "--old", "old.bin", "--new", "new.bin", "-o", "delta.bin")
    tool.file("c.yaml", YAML.format(format="arm-patch-stream", file="delta.bin").encode())
    # their reader takes the .yaml that we wrote beside the delta
    upstream("manifest-tool", "create", "-c", "c.yaml", "-k", ".update-certificates/default.key.pem", "-v", "1.2.3", "-o", "t",
             cwd=tool.folder)
    tool("create", "-c", "c.yaml", "-v", "1.2.3", "-o", "m")
    ours, theirs = (tool.file(n).read_bytes() for n in ("m", "t"))
    assert ours[:-64] == theirs[:-64]  # all but the signature
    assert tool.verify("t", "--precursor", "old.bin", "--payload", "delta.bin") == "accepted"
    tool.create("s", "v3", "--sign-image")
    out = upstream("manifest-tool", "parse", "s", "-c", ".update-certificates/default.der", cwd=tool.folder)
    assert "Signature verified" in out


@pytest.mark.parametrize("fmt", ["v1", "v3"])
def test_ours_takes_upstream(tool, upstream, fmt):
    tool.file("c.yaml", YAML.format(format="raw-binary", file="new.bin").encode())
    key, cert = ".update-certificates/default.key.pem", ".update-certificates/default.der"
    if fmt == "v1":
        tool.file("c.yaml", YAML.format(format="raw-binary", file="new.bin").replace("component: MAIN\n", "").encode())
        upstream("manifest-tool", "create-v1", "-c", "c.yaml", "-k", key, "--update-certificate", cert, "-v", "1700000000",
                 "-o", "m", cwd=tool.folder)
    else:
        upstream("manifest-tool", "create", "-c", "c.yaml", "-k", key, "-v", "1.2.3", "-o", "m", cwd=tool.folder)
    assert tool.verify("m", "--vendor", VENDOR, "--class", CLASS, "--payload", "new.bin") == "accepted"
    assert tool.verify("m", "--current-version", FORMATS[fmt]) == "version"


def test_deltas_of_upstream_apply(tool, upstream):
    upstream("manifest-delta-tool", "-c", "old.bin", "-n", "new.bin", "-o", "delta.bin", cwd=tool.folder)
    tool("apply-delta", "--old", "old.bin", "--delta", "delta.bin", "-o", "again.bin")
    assert tool.file("again.bin").read_bytes() == tool.file("new.bin").read_bytes()


def test_developer_tool_and_ours_share_a_folder(tmp_path, upstream):
    tool = Tool(tmp_path)
    tool.file("new.bin", b"y" * 500)
    upstream("manifest-dev-tool", "init", cwd=tmp_path)
    upstream("manifest-dev-tool", "create", "-u", URL, "-p", "new.bin", "-v", "1.2.3", "-o", "t", cwd=tmp_path)
    cert = ".manifest-dev-tool/dev.cert.der"
    assert tool.verify("t", "--payload", "new.bin", cert=cert) == "accepted"
    tool("create", "-u", URL, "-p", "new.bin", "-v", "1.2.3", "-o", "m")  # with the settings found there
    assert tool.verify("m", cert=cert) == "accepted"
    assert pathlib.Path(tmp_path / "m").read_bytes()[:-64] == pathlib.Path(tmp_path / "t").read_bytes()[:-64]
