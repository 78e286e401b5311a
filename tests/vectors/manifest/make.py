#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the manifests of this folder and the seeds of the fuzz targets anew: make.py BIN-FOLDER

Keys come from openssl, manifests from `drover manifest`, faults from changing octets here. index.tsv has a line for
each file: name, expected ("accept" or the check that refuses). Signatures are random, so every run differs.
"""
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / "fuzz" / "corpus"
BIN = pathlib.Path(sys.argv[1]).resolve() / "drover"
URL = "http://update.example.com/fw.bin"


def main():
    work = pathlib.Path(tempfile.mkdtemp())
    index = []

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, cwd=work, capture_output=True)

    def drover(*args):
        subprocess.run([str(BIN), "manifest", *map(str, args)], check=True, cwd=work, capture_output=True)

    def put(name, data, expected):
        (HERE / name).write_bytes(data)
        index.append(f"{name}\t{expected}\n")

    for who in ("signer", "other"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{who}.key.pem")
        openssl("req", "-new", "-x509", "-key", f"{who}.key.pem", "-subj", "/CN=test", "-days", "36500", "-outform", "DER",
                "-out", f"{who}.cert.der")
    rng = random.Random(1)
    old = bytes(rng.randrange(256) for _ in range(3000))
    new = old[:700] + b"changed here" + old[712:2000] + bytes(rng.randrange(256) for _ in range(150)) + old[1900:]
    (work / "old.bin").write_bytes(old)
    (work / "new.bin").write_bytes(new)
    for name in ("signer.cert.der", "signer.key.pem", "other.cert.der", "old.bin", "new.bin"):
        shutil.copy(work / name, HERE / name)
    drover("create-delta", "--old", "old.bin", "--new", "new.bin", "-o", "delta.bin")
    (work / "vendor.bin").write_bytes(b"\x00\xffvendor")

    def create(name, *args, key="signer", vendor="example.com", model="widget-1000", payload="new.bin"):
        drover("create", "-k", f"{key}.key.pem", "--cert", f"{key}.cert.der", "-d", vendor, "-m", model, "-u", URL,
               "-p", payload, *args, "-o", name)
        return (work / name).read_bytes()

    v1 = ("--format", "v1", "-v", "1700000000")
    v3 = ("--format", "v3", "-v", "1.2.3")
    suit = ("--format", "suit", "-v", "7")
    good = {
        "v1-raw.bin": create("a", *v1, "--description", "Größe", "-r", "3"),
        "v1-delta.bin": create("a", *v1, "--payload-format", "bsdiff-stream", payload="delta.bin"),
        "v3-raw.bin": create("a", *v3),
        "v3-signed-image.bin": create("a", *v3, "--sign-image", "-r", "2147483647"),
        "v3-delta.bin": create("a", *v3, "--payload-format", "arm-patch-stream", payload="delta.bin"),
        "v3-vendor-data.bin": create("a", *v3, "--vendor-data", "vendor.bin"),
        "v3-combined.bin": create("a", *v3, "--payload-format", "combined"),
        "v3-encrypted.bin": create("a", *v3, "--payload-format", "encrypted-raw", "--encrypted-digest", "5a" * 32,
                                   "--encrypted-size", "3200"),
        "suit-fetch.suit": create("a", *suit),
        "suit-es256.suit": create("a", *suit, "--es256", "--invoke"),
        "suit-slots.suit": create("a", *suit, "--slot", f"{URL}2,old.bin"),
        "suit-severed.suit": create("a", *suit, "--description", "fixes things", "--sever-install"),
        "suit-precursor.suit": create("a", *suit, "--precursor", "old.bin"),
    }
    for name, data in good.items():
        put(name, data, "accept")
    put("v3-key-trailer.bin", good["v3-encrypted.bin"] + b"\x81\x10" + bytes(range(16)), "accept")
    put("v3-key-trailer-short.bin", good["v3-encrypted.bin"] + b"\x81\x0f" + bytes(15), "malformed")
    put("v1-other-signer.bin", create("a", *v1, key="other"), "unknown-signer")
    put("v3-other-signer.bin", create("a", *v3, key="other"), "signature")
    put("suit-other-signer.suit", create("a", *suit, key="other"), "signature")
    put("v1-vendor.bin", create("a", *v1, vendor="example.org"), "vendor")
    put("v3-vendor.bin", create("a", *v3, vendor="example.org"), "vendor")
    put("suit-vendor.suit", create("a", *suit, vendor="example.org"), "vendor")
    put("v3-class.bin", create("a", *v3, model="widget-2000"), "class")
    put("v1-older.bin", create("a", "--format", "v1", "-v", "1650000000"), "version")
    put("v3-older.bin", create("a", "--format", "v3", "-v", "1.1.0"), "version")
    put("suit-older.suit", create("a", "--format", "suit", "-v", "0"), "version")
    put("v3-component.bin", create("a", *v3, "--component", "METER"), "component")
    for name in ("v1-raw.bin", "v3-raw.bin", "suit-fetch.suit"):
        stem, suffix = name.split("-")[0], name.split(".")[1]
        data = good[name]
        put(f"{stem}-cut.{suffix}", data[:-1], "malformed")
        put(f"{stem}-longer.{suffix}", data + b"\x00", "malformed")
    at = good["v1-raw.bin"].index(URL.encode())
    put("v1-tampered.bin", good["v1-raw.bin"][:at] + b"x" + good["v1-raw.bin"][at + 1:], "manifest-hash")
    at = good["v3-raw.bin"].index(URL.encode())
    put("v3-tampered.bin", good["v3-raw.bin"][:at] + b"x" + good["v3-raw.bin"][at + 1:], "signature")
    at = good["suit-fetch.suit"].index(URL.encode())
    put("suit-tampered.suit", good["suit-fetch.suit"][:at] + b"x" + good["suit-fetch.suit"][at + 1:], "manifest-digest")
    at = good["suit-severed.suit"].rindex(b"fixes")
    put("suit-severed-tampered.suit", good["suit-severed.suit"][:at] + b"F" + good["suit-severed.suit"][at + 1:],
        "severed-digest")
    (HERE / "index.tsv").write_text("".join(index))
    shutil.copy(work / "delta.bin", HERE / "delta.bin")

    def seeds(target, files):
        folder = CORPUS / target
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)

    every = {line.split("\t")[0]: (HERE / line.split("\t")[0]).read_bytes() for line in index}
    seeds("manifest_v1", {n: d for n, d in every.items() if n.startswith("v1-")})
    seeds("manifest_v3", {n: d for n, d in every.items() if n.startswith("v3-")})
    seeds("suit", {n: d for n, d in every.items() if n.startswith("suit-")})
    base = bytes(i * 7 & 255 for i in range(1024))
    (work / "base.bin").write_bytes(base)
    delta = {}
    for name, image in {"same": base, "grown": base + b"tail" * 20, "shrunk": base[:100], "moved": base[500:] + base[:500],
                        "patched": base[:300] + b"!" + base[301:]}.items():
        (work / "image.bin").write_bytes(image)
        drover("create-delta", "--old", "base.bin", "--new", "image.bin", "-b", "128", "--skip-size-check", "-o", "x.bin")
        delta[name] = b"\x00" + (work / "x.bin").read_bytes()
    delta["make-text"] = b"\x01\x40" + b"the quick brown fox jumps over the lazy dog " * 8
    delta["cut"] = delta["grown"][:-3]
    delta["longer"] = delta["grown"] + b"\x00"
    seeds("delta", delta)
    shutil.rmtree(work)


main()
