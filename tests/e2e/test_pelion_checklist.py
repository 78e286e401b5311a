# SPDX-License-Identifier: Apache-2.0
"""Everything an unmodified Pelion client needs of the server, row by row of docs/pelion-checklist.md, with a scripted
client that behaves as the real one does. The number in a test's name is its row."""
import time

import harness
import pytest
from pelion import Authority, Peer

PSK = "00112233445566778899aabbccddeeff"


class World:
    """A server with certificates of a test's own authorities, and its devices."""

    def __init__(self, folder):
        self.dir = folder
        self.servers = Authority(folder / "pki", "server-root")
        self.devices = Authority(folder / "pki", "device-root")
        cert, key = self.servers.issue("lwm2m-server", server=True, cn="lwm2m")
        self.server = harness.Server(folder / "data", "--coaps-cert", cert, "--coaps-key", key, "--coaps-ca",
                                     self.devices.path)
        self.server.start()
        self.peers = []
        self.count = 0

    @property
    def account(self):
        return self.server.account

    def address(self):
        host, port = self.server.address("coaps")
        return f"{host}:{port}"

    def peer(self, *options, mode="dtls", ep=None, cert=None, aid=None, log=True):
        """A device with a certificate of the device authority; not connected yet."""
        self.count += 1
        ep = ep or f"dev-{self.count:04}"
        crt, key = cert or self.devices.issue(f"device-{self.count}", cn=ep, ou=self.account)
        peer = Peer("--server", self.address(), "--mode", mode, "--ep", ep, "--aid", aid or self.account, "--cert",
                    crt, "--key", key, "--ca", self.servers.path, "--ack-timeout", 1000, *options,
                    log=self.dir / "peer.log" if log else None)
        peer.ep = ep
        self.peers.append(peer)
        return peer

    def up(self, *options, **named):
        """A device that is registered; its id is in peer.id."""
        peer = self.peer(*options, **named)
        peer.connected, peer.registered = peer.connect()
        peer.id = peer.registered["location"].split("/")[-1]
        return peer

    def rest(self):
        return self.server.rest()

    def value(self, peer, path, timeout=10):
        """A value by way of the REST interface: (status, text)."""
        rest = self.rest()
        channel = harness.Channel(self.server)
        answer = channel.answer(harness.device_request(rest, peer.id, "GET", path), timeout)
        channel.close()
        return answer["status"], harness.payload_text(answer)

    def close(self):
        for peer in self.peers:
            peer.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("pelion"))
    yield made
    made.close()


MODES = ["dtls"]
both = pytest.mark.parametrize("mode", MODES)


@both
def test_row_08_registers_and_gets_the_long_location(world, mode):
    peer = world.up(mode=mode)
    assert peer.connected["suite"] == "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8"
    assert peer.registered["location"] == f"rd/{world.account}/{peer.id}"
    assert peer.registered["max_age"] == -1
    assert peer.registered["blocks"] > 1
    row = world.rest().get(f"/v3/devices/{peer.id}")
    assert (row["endpoint_name"], row["endpoint_type"], row["state"]) == (peer.ep, "default", "registered")
