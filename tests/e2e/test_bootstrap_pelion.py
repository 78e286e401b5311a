# SPDX-License-Identifier: Apache-2.0
"""Bootstrap of an unmodified Pelion client, as its scripted double does it: who is let in, and lost messages. What is
written stands in test_pelion_checklist.py; the numbers are those of its rows."""
import harness
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from pelion import Authority, Peer

MODES = ["dtls", "tls"]


class World:
    """A server, and a factory whose certificates its account trusts for bootstrap."""

    def __init__(self, folder):
        self.dir = folder
        self.factory = Authority(folder / "pki", "factory-root")
        self.server = harness.Server(folder / "data").start()
        self.rest = self.server.rest()
        self.root = folder / "bootstrap-root.pem"
        self.root.write_text(self.rest.get("/v3/server-credentials/bootstrap")["server_certificate"])
        self.trusted = self.trust(self.factory)
        self.peers = []
        self.count = 0

    def trust(self, authority, expect=201, **more):
        body = {"name": authority.path.stem, "service": "bootstrap", "certificate": authority.path.read_text(), **more}
        return self.rest("POST", "/v3/trusted-certificates", body, expect=expect)[1]

    def peer(self, mode, *options, ep=None, by=None, aid=None, log="peer.log", **cert):
        """A device fresh from the factory; not connected yet."""
        self.count += 1
        ep = ep or f"boot-{self.count:04}"
        crt, key = (by or self.factory).issue(f"device-{self.count}", cn=ep, **cert)
        host, port = self.server.address("bootstrap")
        query = f"aid={self.server.account}" if aid is None else aid
        peer = Peer("--bootstrap", f"{host}:{port}", "--mode", mode, "--ep", ep, "--aid", self.server.account,
                    "--boot-cert", crt, "--boot-key", key, "--boot-ca", self.root, "--ack-timeout", 1000,
                    *(["--boot-query", query] if query else []), *options, log=self.dir / log)
        peer.ep = ep
        self.peers.append(peer)
        return peer

    def device(self, ep):
        rows = self.rest.get(f"/v3/devices?filter=endpoint_name%3D{ep}")["data"]
        return rows[0] if rows else None

    def close(self):
        for peer in self.peers:
            peer.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("pelion-bootstrap"))
    yield made
    made.close()


def up(peer):
    """Bootstrap and register, as the client does by itself; the two events."""
    peer.say("opt auto 1").say("bootstrap")
    done = peer.expect("bootstrapped", timeout=30)
    return done, peer.expect("registered", timeout=30)


@pytest.mark.parametrize("deaf", [1, 3])
def test_row_05_messages_are_lost(world, deaf):
    peer = world.peer("dtls")
    peer.say(f"opt deaf {deaf}")
    assert up(peer)[0]["good"]


@pytest.mark.parametrize("mode", MODES)
def test_row_10_claims_are_held_against_the_certificate(world, mode):
    stranger = world.peer(mode, aid=f"aid={'0' * 32}")
    stranger.say("bootstrap")
    refused = stranger.expect("refused", timeout=20)
    assert refused["code"] in (403, "4.03"), refused
    assert world.device(stranger.ep) is None


@pytest.mark.parametrize("mode", MODES)
def test_row_32_first_to_claim(world, mode):
    claimed = Authority(world.dir / f"claims-{mode}", f"claims-{mode}")
    trusted = world.trust(claimed, enrollment_mode=True)
    peer = world.peer(mode, by=claimed, aid="")  # it knows no account
    peer.say("opt auto 1").say("bootstrap")
    peer.expect("refused", timeout=20)
    crt = x509.load_pem_x509_certificate((claimed.dir / f"device-{world.count}.crt").read_bytes())
    identity = "A-" + ":".join(f"{b:02X}" for b in crt.fingerprint(hashes.SHA256()))
    denied = world.rest.get(f"/v3/device-enrollment-denials?trusted_certificate_id__eq={trusted['id']}")["data"]
    assert [d["endpoint_name"] for d in denied] == [peer.ep]
    row = world.rest("POST", "/v3/device-enrollments", {"enrollment_identity": identity}, expect=201)[1]
    done, _ = up(peer)
    assert done["good"]
    found = world.rest.get(f"/v3/device-enrollments/{row['id']}")
    assert found["enrolled_device_id"] == done["l"] and found["claimed_at"]


@pytest.mark.parametrize("mode", MODES)
def test_row_33_several_factories_and_what_is_not_trusted_any_more(world, mode):
    second = Authority(world.dir / f"second-{mode}", f"second-{mode}")
    foreign = world.peer(mode, by=second)
    foreign.say("bootstrap")
    foreign.expect("failed", timeout=30, what="connect")
    row = world.trust(second)
    peer = world.peer(mode, by=second)
    assert up(peer)[0]["good"]
    device = world.device(peer.ep)
    assert device["ca_id"] == row["id"] and device["device_execution_mode"] == 5
    assert device["bootstrap_expiration_date"] == "2049-12-31" and device["bootstrapped_timestamp"]
    world.rest("DELETE", f"/v3/trusted-certificates/{row['id']}", expect=204)
    late = world.peer(mode, by=second)
    late.say("bootstrap")
    late.expect("failed", timeout=30, what="connect")
    assert world.device(late.ep) is None
