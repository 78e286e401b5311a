# SPDX-License-Identifier: Apache-2.0
"""The unmodified Pelion SDK for JavaScript against a server with simulated devices."""
import os
import pathlib
import shutil
import subprocess

import pytest
from harness import ROOT, devices_registered

VERSION = "2.6.10"
FOLDER = ROOT / "build" / "jssdk"
STEPS = pathlib.Path(__file__).parent / "sdk" / "steps.js"


@pytest.fixture(scope="session")
def sdk_folder():
    """A folder in which the SDK is installed; made once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not on this machine")
    if (FOLDER / "node_modules" / "mbed-cloud-sdk" / "package.json").exists():
        return FOLDER
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text('{"name": "sdk", "version": "1.0.0", "private": true}\n')
    try:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1",
                        "--fetch-timeout=20000", f"mbed-cloud-sdk@{VERSION}"],
                       cwd=FOLDER, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as e:
        pytest.skip(f"mbed-cloud-sdk {VERSION} cannot be installed here: {e}")
    return FOLDER


@pytest.mark.parametrize("step", ["directory", "connect", "account", "certificates"])
def test_sdk(sdk_folder, server, make_sim, step):
    make_sim(server, 5, "--scenario", "notify", "--rate", "20", "--duration", "300", "--lifetime", "600")
    devices_registered(server.rest(), 5)
    env = {**os.environ, "MBED_CLOUD_SDK_HOST": server.env()["DROVER_URL"], "MBED_CLOUD_SDK_API_KEY": server.key}
    done = subprocess.run(["node", str(STEPS), step], env=env, cwd=sdk_folder, capture_output=True, text=True,
                          timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr[-4000:]
