# SPDX-License-Identifier: Apache-2.0
"""The unmodified Pelion SDK for Python against a server with simulated devices."""
import os
import pathlib
import subprocess

import pytest
from harness import ROOT, devices_registered

VERSION = "2.2.0"
VENV = ROOT / "build" / "venv-sdk"
STEPS = pathlib.Path(__file__).parent / "sdk" / "steps.py"


@pytest.fixture(scope="session")
def sdk_python():
    """The interpreter of a virtual environment that has the SDK; made once."""
    python = VENV / "bin" / "python"
    probe = [str(python), "-c", "import mbed_cloud"]
    if python.exists() and subprocess.run(probe, check=False, capture_output=True).returncode == 0:
        return python
    try:
        subprocess.run(["/usr/bin/python3", "-m", "venv", str(VENV)], check=True, capture_output=True, timeout=60)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--retries", "1", "--timeout", "20",
                        f"mbed-cloud-sdk=={VERSION}"], check=True, capture_output=True, timeout=180)
        subprocess.run(probe, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as e:
        pytest.skip(f"mbed-cloud-sdk {VERSION} cannot be installed here: {e}")
    return python


@pytest.fixture
def fleet(server, make_sim):
    make_sim(server, 5, "--scenario", "notify", "--rate", "20", "--duration", "300", "--lifetime", "600")
    devices_registered(server.rest(), 5)
    return server


@pytest.mark.parametrize("step", [
    "directory", "connect", "subscribe", "account", "psk", "foundation", "certificates", "enrolments",
])
def test_sdk(sdk_python, fleet, step, tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith("MBED_CLOUD_SDK")}
    host = fleet.env()["DROVER_URL"]
    env.update(MBED_CLOUD_SDK_HOST=host, MBED_CLOUD_SDK_API_KEY=fleet.key)
    done = subprocess.run([str(sdk_python), str(STEPS), step], env=env, cwd=tmp_path, capture_output=True, text=True,
                          timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr[-4000:]
