# SPDX-License-Identifier: Apache-2.0
"""The Debian package holds programs that run and a service file that systemd understands."""
import shutil
import subprocess

import pytest
from harness import BIN, ROOT


@pytest.mark.skipif(BIN != ROOT / "build" / "bin", reason="packages the normal build only")
def test_the_package_can_be_unpacked_and_runs(tmp_path):
    made = subprocess.run([str(ROOT / "tools" / "package")], capture_output=True, text=True, check=True, timeout=120)
    file = ROOT / made.stdout.strip().splitlines()[-1]
    subprocess.run(["dpkg-deb", "-x", str(file), str(tmp_path)], check=True)
    out = subprocess.run([str(tmp_path / "usr/bin/droverd"), "--version"], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("droverd ")
    out = subprocess.run([str(tmp_path / "usr/bin/drover"), "init", "--data", str(tmp_path / "data")],
                         capture_output=True, text=True, check=True)
    assert "API key" in out.stdout
    fields = subprocess.run(["dpkg-deb", "-f", str(file), "Depends"], capture_output=True, text=True, check=True).stdout
    assert "libssl3" in fields and "libsqlite3-0" in fields
    if shutil.which("systemd-analyze"):
        unit = (tmp_path / "lib/systemd/system/drover.service")
        unit.write_text(unit.read_text().replace("/usr/bin/", str(tmp_path / "usr/bin") + "/"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True,
                              check=False)
        assert "Unknown" not in done.stderr and "Failed" not in done.stderr, done.stderr
