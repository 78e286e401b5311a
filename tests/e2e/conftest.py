# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402  pylint: disable=wrong-import-position


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitized: also run against the sanitized server")


@pytest.fixture
def make_server(tmp_path):
    """make_server(*options) → a started server; all are killed at the end."""
    made = []

    def make(*options, start=True, name="data"):
        server = harness.Server(tmp_path / name, *options)
        made.append(server)
        if start:
            server.start()
        return server

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def make_sim(tmp_path):
    """make_sim(server, devices, *options) → a running simulator with PSK devices whose keys the server has."""
    made = []

    def make(server, devices, *options, import_keys=True, tcp=False):
        master = tmp_path / "master.hex"
        master.write_text(harness.MASTER + "\n")
        if import_keys:
            server.import_psks(devices)
        sim = harness.Sim(harness.coaps(server, tcp), devices, "--psk-master-file", master, *options,
                          log=tmp_path / "sim.log")
        made.append(sim)
        return sim

    yield make
    for sim in made:
        sim.kill()
