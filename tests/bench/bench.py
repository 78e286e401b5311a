#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench [NAME…] [--json FILE]: each bench side by side with a limit or a peer, in one run on this machine.

Machines are noisy: read the ratios and the CPU an operation, and look at steal and at "saturated" (then the load generator
was the limit and the rate says nothing of the server).
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402
import updates  # noqa: E402
from harness import ROOT, Server  # noqa: E402

BENCH = ROOT / "build" / "tests" / "bench"
WORK = ROOT / "build" / "bench"
COLUMNS = [("case", "case", "{}"), ("devices", "devices", "{:,}"), ("ops_per_s", "ops/s", "{:,.0f}"),
           ("server_cpu_us_per_op", "server CPU µs/op", "{:.2f}"), ("p50_ms", "p50 ms", "{:.2f}"),
           ("p99_ms", "p99 ms", "{:.2f}"), ("ratio_to_limit", "× limit", "{:.3f}"),
           ("cpu_ratio_to_limit", "CPU × limit", "{:.3f}"),
           ("ratio_to_libcoap", "× libcoap", "{:.1f}"), ("ratio_to_updates", "× updates", "{:.2f}"),
           ("cpu_ratio_to_updates", "CPU × updates", "{:.2f}"), ("seconds", "s", "{:.1f}"),
           ("server_cpu_s", "server CPU s", "{:.2f}"), ("bookkeeping_pct", "bookkeeping %", "{:.1f}"), ("rss_per_device_bytes", "RSS B/device", "{:.0f}"),
           ("rss_mib", "RSS MiB", "{:.0f}"), ("sim_cpu_us_per_op", "sim CPU µs/op", "{:.2f}"),
           ("saturated", "saturated", "{}"), ("steal_pct", "steal %", "{:.1f}")]


def cpu_ticks():
    """(all, steal) of /proc/stat."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(x) for x in f.readline().split()[1:]]
    return sum(fields[:8]), fields[7]


class Steal:
    def __init__(self):
        self.before = cpu_ticks()

    def pct(self):
        total, steal = (b - a for a, b in zip(self.before, cpu_ticks()))
        return 100.0 * steal / total if total else 0.0


class Report:
    """Rows of all benches; a table for people, a line of JSON each for scripts."""

    def __init__(self, path):
        self.out = open(path, "w", encoding="utf-8") if path else None
        self.rows = []

    def add(self, bench, case, **figures):
        row = {"bench": bench, "case": case, **figures}
        self.rows.append(row)
        if self.out:
            self.out.write(json.dumps(row) + "\n")
            self.out.flush()
        print("  " + ", ".join(f"{k} {v:,.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
                               if k != "bench"), file=sys.stderr, flush=True)
        return row

    def table(self, bench):
        rows = [r for r in self.rows if r["bench"] == bench]
        keys = [c for c in COLUMNS if any(r.get(c[0]) is not None for r in rows)]
        lines = [[title for _, title, _ in keys]]
        for row in rows:
            lines.append([form.format(row[key]) if row.get(key) is not None else "-" for key, _, form in keys])
        widths = [max(len(line[i]) for line in lines) for i in range(len(keys))]
        print(f"\n{bench}")
        for line in lines:
            print("  " + "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                                   for i, (cell, w) in enumerate(zip(line, widths))))
        sys.stdout.flush()


def generator(server_args, peers, seconds, window):
    """A bare server and the cheap generator; the generator's JSON."""
    port = harness.free_port()
    with subprocess.Popen([str(BENCH / server_args), str(port), str(seconds + 60)], stdout=subprocess.DEVNULL) as server:
        try:
            time.sleep(0.3)
            done = subprocess.run([str(BENCH / "bench_coap_gen"), str(port), str(peers), str(seconds), str(window),
                                   str(server.pid)], capture_output=True, text=True, timeout=seconds + 180, check=True)
            return json.loads(done.stdout.strip().splitlines()[-1])
        finally:
            server.kill()


def fresh(name, *options):
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Server(folder / "data", *options)


def simulate(server, devices, *options, secure=True, master=None, timeout=900):
    uri = harness.coaps(server) if secure else "coap://{}:{}".format(*server.address("coap"))
    keys = ["--psk-master-file", master] if secure else []
    sim = harness.Sim(uri, devices, *keys, "--server-pid", server.process.pid, *options, log=WORK / "sim.log")
    return sim.wait(timeout)


def per_op(summary, key):
    return summary[key] * 1e6 / summary["requests"] if summary.get("requests") else None


def coap(report, quick):
    """Registration updates against the limit of the machine and against libcoap."""
    sizes = [100, 1000] if quick else [100, 1000, 10000, 100000]
    seconds = 3 if quick else 8
    echo, libcoap = {}, {}
    for n in sizes:
        steal = Steal()
        runs = [generator("bench_udp_echo", n, seconds, 256) for _ in range(1 if quick else 3)]
        best = sorted(runs, key=lambda r: r["ops_per_s"])[len(runs) // 2]
        echo[n] = best["ops_per_s"]
        report.add("coap", "UDP echo (limit)", devices=n, ops_per_s=best["ops_per_s"],
                   server_cpu_us_per_op=best.get("server_cpu_us_per_op"), p50_ms=best.get("p50_ms"),
                   p99_ms=best.get("p99_ms"), ratio_to_limit=1.0, steal_pct=steal.pct())
    for n in [n for n in sizes if n <= 10000]:
        steal = Steal()
        run = generator("bench_libcoap_server", n, seconds, 64)
        libcoap[n] = run["ops_per_s"]
        report.add("coap", "libcoap, plain", devices=n, ops_per_s=run["ops_per_s"],
                   server_cpu_us_per_op=run.get("server_cpu_us_per_op"), p50_ms=run.get("p50_ms"),
                   p99_ms=run.get("p99_ms"), ratio_to_limit=run["ops_per_s"] / echo[n], ratio_to_libcoap=1.0,
                   steal_pct=steal.pct())
    for secure in (False, True):
        memory = {}
        for n in sizes:
            server = fresh("coap", "--shards", 1, "--coap", "127.0.0.1:0")
            server.start()
            try:
                master = server.import_psks(n) if secure else None
                steal = Steal()
                s = simulate(server, n, "--scenario", "update", "--duration", seconds, "--window", 512, "--lifetime",
                             86400, secure=secure, master=master)
                memory[n] = server.rss()
                # a list that never was measured at this size counts with its last known rate
                foreign = libcoap.get(n)
                report.add("coap", "droverd, DTLS-PSK" if secure else "droverd, plain", devices=n,
                           ops_per_s=s["requests_per_s"], server_cpu_us_per_op=per_op(s, "server_cpu_s"),
                           p50_ms=s["p50_ms"], p99_ms=s["p99_ms"], ratio_to_limit=s["requests_per_s"] / echo[n],
                           ratio_to_libcoap=s["requests_per_s"] / foreign if foreign else None,
                           rss_mib=memory[n] / 2**20, sim_cpu_us_per_op=per_op(s, "cpu_s"), saturated=s["saturated"],
                           steal_pct=steal.pct())
            finally:
                server.kill()
        if len(sizes) > 2:
            a, b = sizes[-2], sizes[-1]
            report.add("coap", "memory slope, DTLS-PSK" if secure else "memory slope, plain", devices=b,
                       rss_per_device_bytes=(memory[b] - memory[a]) / (b - a))


def register(report, quick):
    """New devices: handshake, registration and commit; also with slow syncs."""
    count = 2000 if quick else 30000
    for delay in (0, 10):
        server = fresh("register", "--test-fsync-delay", delay)
        server.start()
        try:
            master = server.import_psks(count)
            steal = Steal()
            s = simulate(server, count, "--scenario", "register", "--window", 2000, "--lifetime", 86400, master=master)
            report.add("register", f"new DTLS-PSK devices, {delay} ms added to each fsync", devices=count,
                       ops_per_s=s["registrations_per_s"],
                       server_cpu_us_per_op=s["server_cpu_s"] * 1e6 / max(1, s["registrations"]),
                       p50_ms=s["p50_ms"], p99_ms=s["p99_ms"],
                       sim_cpu_us_per_op=s["cpu_s"] * 1e6 / max(1, s["registrations"]), saturated=s["saturated"],
                       steal_pct=steal.pct())
        finally:
            server.kill()


REST_CASES = [("page of 100", "/v3/devices?limit=100"),
              ("page of 100, state", "/v3/devices?limit=100&state__eq=registered"),
              ("page of 100, device_class", "/v3/devices?limit=100&device_class__eq=class-7"),
              ("page of 100, last of walk", "/v3/devices?limit=100&state__eq=registered&order=DESC"),
              ("one by endpoint_name", "/v3/devices?limit=100&endpoint_name__eq=bench-777")]


def rest(report, quick):
    """Pages of /v3/devices at the HTTP client."""
    rows = 20000 if quick else 1000000
    server = fresh("rest")
    began = time.monotonic()
    subprocess.run([str(BENCH / "bench_rows"), str(server.dir), str(rows)], check=True)
    print(f"  {rows:,} rows made in {time.monotonic() - began:.0f} s", file=sys.stderr)
    server.start()
    try:
        client = server.rest()
        for case, path in REST_CASES:
            client.get(path)
            times, steal = [], Steal()
            before, cpu = time.monotonic(), server.cpu_s()
            for _ in range(50 if quick else 1000):
                start = time.perf_counter()
                client.raw("GET", path)
                times.append((time.perf_counter() - start) * 1000)
            took = time.monotonic() - before
            times.sort()
            report.add("rest", case, devices=rows, ops_per_s=len(times) / took,
                       server_cpu_us_per_op=(server.cpu_s() - cpu) * 1e6 / len(times), p50_ms=statistics.median(times),
                       p99_ms=times[int(len(times) * 0.99)], steal_pct=steal.pct())
    finally:
        server.kill()


def fota_blocks(report, devices, seconds):
    """Blocks of an image against registration updates, both over DTLS, of the same fleet on the same server."""
    server = fresh("fota", "--shards", 1)
    server.start()
    try:
        master = server.import_psks(devices)
        url = updates.add_image(server.rest(), os.urandom(4 << 20))["datafile"]
        common = ["--window", 512, "--lifetime", 86400, "--duration", seconds]
        steal = Steal()
        s = simulate(server, devices, "--scenario", "update", *common, master=master)
        rate, cpu = s["requests_per_s"], per_op(s, "server_cpu_s")
        report.add("fota", "registration updates, DTLS-PSK", devices=devices, ops_per_s=rate, server_cpu_us_per_op=cpu,
                   p50_ms=s["p50_ms"], p99_ms=s["p99_ms"], ratio_to_updates=1.0, rss_mib=server.rss() / 2**20,
                   sim_cpu_us_per_op=per_op(s, "cpu_s"), saturated=s["saturated"], steal_pct=steal.pct())
        steal = Steal()
        s = simulate(server, devices, "--scenario", "fota", "--fetch", url, *common, master=master)
        report.add("fota", "blocks of 1 KiB, DTLS-PSK", devices=devices, ops_per_s=s["requests_per_s"],
                   server_cpu_us_per_op=per_op(s, "server_cpu_s"), p50_ms=s["p50_ms"], p99_ms=s["p99_ms"],
                   ratio_to_updates=s["requests_per_s"] / rate, cpu_ratio_to_updates=per_op(s, "server_cpu_s") / cpu,
                   rss_mib=server.rss() / 2**20, sim_cpu_us_per_op=per_op(s, "cpu_s"), saturated=s["saturated"],
                   steal_pct=steal.pct())
    finally:
        server.kill()


def fota_alone(devices, image):
    """Each device downloads, restarts and registers, without a campaign: (the simulator's summary, server's RSS)."""
    server = fresh("fota", "--shards", 1)
    server.start()
    try:
        master = server.import_psks(devices)
        url = updates.add_image(server.rest(), image)["datafile"]
        s = simulate(server, devices, "--scenario", "fota", "--fetch", url, "--until-updated", "--window", 512,
                     "--lifetime", 86400, "--duration", 3600, master=master, timeout=3600)
        return s, server.rss()
    finally:
        server.kill()


def fota_campaign(devices, image):
    """The same in a campaign: (summary with the server's CPU time from the start to the last device, RSS)."""
    server = fresh("fota", "--shards", 1)
    server.start()
    sim = None
    try:
        master, rest = server.import_psks(devices), server.rest()
        manifest = updates.Author(WORK / "fota" / "author").upload(rest, image, "1.1.0")[1]
        sim = harness.Sim(harness.coaps(server), devices, "--psk-master-file", master, "--scenario", "fota", "--window",
                          512, "--lifetime", 86400, "--duration", 86400, log=WORK / "sim.log")
        harness.devices_registered(rest, devices, timeout=600)
        campaign = updates.Campaign(rest, manifest, x_limits={"max_in_flight": devices, "rate_per_minute": 0})
        began, cpu = time.monotonic(), server.cpu_s()
        campaign.start().stopped(3600)
        took, cpu, rss = time.monotonic() - began, server.cpu_s() - cpu, server.rss()
        if campaign.statistics()["success"] != devices:
            raise harness.Failed(f"campaign: {campaign.statistics()}")
        return {**sim.stop(), "server_cpu_s": cpu, "seconds": took}, rss
    finally:
        if sim is not None:
            sim.kill()
        server.kill()


def fota(report, quick):
    """Downloads over DTLS against registration updates, and what a campaign costs beside its blocks."""
    for devices in [200] if quick else [1000, 10000]:
        fota_blocks(report, devices, 3 if quick else 8)
    devices, image = (200, os.urandom(64 << 10)) if quick else (10000, os.urandom(256 << 10))
    steal = Steal()
    alone, rss = fota_alone(devices, image)
    report.add("fota", f"{len(image) >> 10} KiB each, no campaign", devices=devices, ops_per_s=alone["blocks_per_s"],
               server_cpu_us_per_op=alone["server_cpu_s"] * 1e6 / alone["blocks"], server_cpu_s=alone["server_cpu_s"],
               seconds=alone["seconds"], rss_mib=rss / 2**20, steal_pct=steal.pct())
    steal = Steal()
    within, rss = fota_campaign(devices, image)
    report.add("fota", f"{len(image) >> 10} KiB each, campaign", devices=devices, ops_per_s=within["blocks_per_s"],
               server_cpu_us_per_op=within["server_cpu_s"] * 1e6 / within["blocks"],
               server_cpu_s=within["server_cpu_s"], seconds=within["seconds"], rss_mib=rss / 2**20,
               bookkeeping_pct=100 * (1 - alone["server_cpu_s"] / within["server_cpu_s"]), steal_pct=steal.pct())


def bootstrap(report, quick):
    """Whole bootstraps over DTLS-PSK against what OpenSSL alone takes for a handshake, a key and a certificate."""
    count = 300 if quick else 10000
    steal = Steal()
    bare = json.loads(subprocess.run([str(BENCH / "bench_handshake"), "1" if quick else "5"], capture_output=True,
                                     text=True, check=True).stdout)
    floor = {"psk": bare["server_us"], "x509": bare["server_us"] + bare["issue_us"]}
    report.add("bootstrap", "OpenSSL: handshake, server's side", ops_per_s=1e6 / floor["psk"],
               server_cpu_us_per_op=floor["psk"], steal_pct=steal.pct())
    report.add("bootstrap", "OpenSSL: the same, a key and its certificate", ops_per_s=1e6 / floor["x509"],
               server_cpu_us_per_op=floor["x509"])
    for security in ("psk", "x509"):
        server = fresh("bootstrap", "--shards", 1, "--bootstrap", "127.0.0.1:0")
        server.start()
        try:
            server.rest()("POST", "/v3/drover/bootstrap-policies", {"name": "all", "security": security}, expect=201)
            master = server.import_psks(count)
            steal = Steal()
            s = harness.Sim("coaps://{}:{}".format(*server.address("bootstrap")), count, "--psk-master-file", master,
                            "--server-pid", server.process.pid, "--scenario", "register", "--bootstrap-only",
                            "--window", 256, log=WORK / "sim.log").wait(900)
            cpu = s["server_cpu_s"] * 1e6 / s["bootstraps"]
            report.add("bootstrap", "whole bootstraps that bring a PSK" if security == "psk" else
                       "whole bootstraps that bring a fresh key and certificate", devices=count,
                       ops_per_s=s["bootstraps_per_s"], server_cpu_us_per_op=cpu, p50_ms=s["p50_ms"],
                       p99_ms=s["p99_ms"], ratio_to_limit=s["bootstraps_per_s"] * floor[security] / 1e6,
                       cpu_ratio_to_limit=floor[security] / cpu, sim_cpu_us_per_op=s["cpu_s"] * 1e6 / s["bootstraps"],
                       rss_mib=server.rss() / 2**20, saturated=s["saturated"], steal_pct=steal.pct())
        finally:
            server.kill()


BENCHES = {"coap": coap, "register": register, "rest": rest, "fota": fota, "bootstrap": bootstrap}


def main():
    args = sys.argv[1:]
    path = None
    quick = "--quick" in args
    args = [a for a in args if a != "--quick"]
    if "--json" in args:
        i = args.index("--json")
        path = args[i + 1]
        del args[i:i + 2]
    unknown = [a for a in args if a not in BENCHES]
    if unknown:
        print(f"usage: ./dev bench [{'|'.join(BENCHES)}]… [--json FILE] [--quick]", file=sys.stderr)
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    report = Report(path)
    print(f"{os.cpu_count()} processors", file=sys.stderr)
    for name in args or BENCHES:
        print(f"{name}: {BENCHES[name].__doc__.strip()}", file=sys.stderr)
        BENCHES[name](report, quick)
        report.table(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
