# SPDX-License-Identifier: Apache-2.0
"""The scripted Pelion client (tests/peers/pelion_peer) as a process, and the certificates that it needs."""
import datetime
import json
import os
import pathlib
import select
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from harness import BIN, Failed

PROGRAM = pathlib.Path(os.environ.get("DROVER_PELION_PEER", BIN.parent / "tests" / "peers" / "pelion_peer"))
EPOCH = datetime.datetime(1970, 1, 1)
FAR = datetime.datetime(2049, 12, 31)


class Peer:
    """One device. say() a command, expect() an event."""

    def __init__(self, *options, log=None):
        self.err = open(log, "ab") if log else subprocess.DEVNULL  # pylint: disable=consider-using-with
        self.process = subprocess.Popen([str(PROGRAM), *map(str, options)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.err)
        self.buffer = b""
        self.seen = []  # all events, in order
        self.next = 0  # first one that no expect() has passed

    def say(self, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()
        return self

    def _read(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], max(seconds, 0))
        if not ready:
            return
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            raise Failed(f"the peer ended with {self.process.wait(5)}; it saw {self.seen[-5:]}")
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        self.seen += [json.loads(line) for line in lines]

    def expect(self, event_name, /, timeout=20, **members):
        """The next event of that name with these members; others before it are passed over."""
        end = time.monotonic() + timeout
        at = self.next
        while True:
            while at < len(self.seen):
                event = self.seen[at]
                at += 1
                if event["ev"] == event_name and all(event.get(k) == v for k, v in members.items()):
                    self.next = at
                    return event
            if time.monotonic() > end:
                raise Failed(f"no event '{event_name}' {members} in {timeout} s; since then: {self.seen[self.next:][-12:]}")
            self._read(end - time.monotonic())

    def collect(self, seconds):
        """Whatever comes in that time."""
        end = time.monotonic() + seconds
        start = len(self.seen)
        while time.monotonic() < end:
            self._read(end - time.monotonic())
        return self.seen[start:]

    def events(self, name):
        return [e for e in self.seen if e["ev"] == name]

    def connect(self):
        """Connect, register; the events."""
        self.say("connect")
        connected = self.expect("connected")
        return connected, self.expect("registered")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


def _name(**parts):
    oids = {"CN": NameOID.COMMON_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "L": NameOID.LOCALITY_NAME,
            "O": NameOID.ORGANIZATION_NAME}
    return x509.Name([x509.NameAttribute(oids[k], v) for k, v in parts.items() if v is not None])


class Authority:
    """A root of P-256 and what it signs, as PEM files in a folder."""

    def __init__(self, folder, name, start=EPOCH, end=FAR, parent=None):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.start, self.end = start, end
        self.subject = _name(CN=name, O="Test")
        self.cert = (x509.CertificateBuilder().subject_name(self.subject)
                     .issuer_name(parent.subject if parent else self.subject).public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                     .not_valid_before(start).not_valid_after(end)
                     .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                     .sign(parent.key if parent else self.key, hashes.SHA256()))
        self.path = self.dir / f"{name}.pem"
        self.path.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))

    def below(self, name):
        """An intermediate authority."""
        return Authority(self.dir, name, parent=self)

    def issue(self, file, server=False, cn=None, ou=None, l=None, start=None, end=None):
        """(certificate file, key file)"""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        cert = (x509.CertificateBuilder().subject_name(_name(CN=cn, OU=ou, L=l)).issuer_name(self.subject)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(start or self.start).not_valid_after(end or self.end)
                .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                .sign(self.key, hashes.SHA256()))
        cert_path, key_path = self.dir / f"{file}.crt", self.dir / f"{file}.key"
        cert_path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return cert_path, key_path
