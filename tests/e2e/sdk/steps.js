// SPDX-License-Identifier: Apache-2.0
// Steps of an unmodified Pelion SDK for JavaScript: node steps.js STEP, in the folder where the SDK is installed.
// Host and key come from the SDK's own environment variables. A failed assertion is exit code 1.
"use strict";
const assert = require("assert");
const { createRequire } = require("module");
const sdk = createRequire(process.cwd() + "/")("mbed-cloud-sdk");

const config = {
    host: process.env.MBED_CLOUD_SDK_HOST,
    apiKey: process.env.MBED_CLOUD_SDK_API_KEY,
};

async function until(what, check) {
    const end = Date.now() + 20000;
    for (;;) {
        const value = await check();
        if (value) {
            return value;
        }
        assert(Date.now() < end, "timeout: " + what);
        await new Promise(done => setTimeout(done, 50));
    }
}

async function status(promise) {
    try {
        await promise;
    } catch (e) {
        return e.code;
    }
    return 0;
}

const steps = {
    async directory() {
        const api = new sdk.DeviceDirectoryApi(config);
        const page = await api.listDevices({ include: ["totalCount"], order: "desc", limit: 3 });
        assert.strictEqual(page.totalCount, 5);
        assert.strictEqual(page.data.length, 3);
        assert.strictEqual(page.hasMore, true);
        const rest = await api.listDevices({ order: "desc", limit: 3, after: page.data[2].id });
        const all = page.data.concat(rest.data);
        assert.deepStrictEqual(all.map(d => d.alias).sort(), [0, 1, 2, 3, 4].map(i => "sim-" + i));
        const device = all.find(d => d.alias === "sim-1");
        assert.strictEqual(device.state, "registered");
        assert(device.createdAt instanceof Date);
        const changed = await api.updateDevice({
            id: device.id,
            name: "south gate",
            customAttributes: { site: "b c" },
        });
        assert.strictEqual(changed.name, "south gate");
        const got = await api.getDevice(device.id);
        assert.deepStrictEqual(got.customAttributes, { site: "b c" });
        const hour = 3600 * 1000;
        const found = await api.listDevices({
            filter: {
                name: { $eq: "south gate" },
                createdAt: { $gte: new Date(Date.now() - hour), $lte: new Date(Date.now() + hour) },
                customAttributes: { site: { $eq: "b c" } },
            },
        });
        assert.deepStrictEqual(found.data.map(d => d.id), [device.id]);
        const none = await api.listDevices({ filter: { state: { $neq: "registered" } } });
        assert.deepStrictEqual(none.data, []);
        assert.strictEqual(await api.getDevice("0".repeat(32)), null); // how this SDK says 404
        const added = await api.addDevice({ certificateFingerprint: "ab".repeat(32), certificateIssuerId: "cd" });
        assert.strictEqual((await api.getDevice(added.id)).state, "unenrolled");
        await api.deleteDevice(added.id);
        assert.strictEqual(await api.getDevice(added.id), null);
        const events = await api.listDeviceEvents({ filter: { deviceId: { $eq: device.id } } });
        assert(events.data.length >= 2);
        const event = await api.getDeviceEvent(events.data[0].id);
        assert.strictEqual(event.deviceId, device.id);
        assert(event.eventDate instanceof Date);
    },

    async connect() {
        const api = new sdk.ConnectApi(config);
        const devices = (await api.listConnectedDevices()).data;
        assert.strictEqual(devices.length, 5);
        const id = devices[0].id;
        const resources = await api.listResources(id);
        assert(resources.some(r => r.path === "/3303/0"));
        await api.startNotifications();
        assert.strictEqual(String(await api.getResourceValue(id, "/1/0/1")), "600");
        await api.setResourceValue(id, "/1/0/1", "900");
        assert.strictEqual(String(await api.getResourceValue(id, "/1/0/1")), "900");
        await api.executeResource(id, "/1/0/8");
        const serials = await Promise.all(devices.map(d => api.getResourceValue(d.id, "/3/0/2")));
        assert.deepStrictEqual(serials.map(String).sort(), [0, 1, 2, 3, 4].map(i => "sim-" + i));
        assert.notStrictEqual(await status(api.getResourceValue(id, "/9999/0/1")), 0);

        await api.updatePresubscriptions([{ deviceId: id, resourcePaths: ["/3303/0/5700"] }]);
        const presubs = await api.listPresubscriptions();
        assert.deepStrictEqual(presubs.map(p => [p.deviceId, p.resourcePaths]), [[id, ["/3303/0/5700"]]]);
        await api.deletePresubscriptions();
        assert.deepStrictEqual(await api.listPresubscriptions(), []);
        const seen = [];
        // the SDK gives up waiting for the answer of a new subscription after 5 s, but the subscription stands
        await status(api.addResourceSubscription(id, "/3303/0/5700", data => seen.push(data)));
        await until("notification", () => seen.length >= 2);
        assert.strictEqual(await api.getResourceSubscription(id, "/3303/0/5700"), true);
        // a second time it is there already and the call ends well
        await api.addResourceSubscription(id, "/3303/0/5700", data => seen.push(data));
        const paths = await api.listDeviceSubscriptions(id);
        assert(String(paths).includes("/3303/0/5700"), String(paths));
        await api.deleteDeviceSubscriptions(id);
        assert.strictEqual(await api.getResourceSubscription(id, "/3303/0/5700"), false);
        await api.stopNotifications();
    },

    async account() {
        const api = new sdk.AccountManagementApi(config);
        assert.strictEqual((await api.getAccount()).status, "ACTIVE");
        const key = await api.addApiKey({ name: "of javascript" });
        assert(key.key.startsWith("ak_"));
        assert.strictEqual((await api.getApiKey(key.id)).name, "of javascript");
        await api.deleteApiKey(key.id);
        assert.strictEqual(await api.getApiKey(key.id), null);

        const psks = new sdk.BootstrapApi(config);
        await psks.addPsk({ endpointName: "javascript-endpoint-1", secretHex: "0x" + "1f".repeat(16) });
        assert.strictEqual((await psks.getPsk("javascript-endpoint-1")).endpointName, "javascript-endpoint-1");
        assert.strictEqual((await psks.listPsks()).data.length, 6);
        await psks.deletePsk("javascript-endpoint-1");
        assert.strictEqual(await psks.getPsk("javascript-endpoint-1"), null);
    },

    async certificates() {
        const api = new sdk.CertificatesApi(config);
        const made = await api.addDeveloperCertificate({ name: "js developer", description: "by the SDK" });
        assert(made.headerFile.includes("MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI"));
        const again = await api.getCertificate(made.id);
        assert.strictEqual(again.headerFile, made.headerFile);
        const own = await fetch(config.host + "/v3/server-credentials/bootstrap",
            { headers: { Authorization: "Bearer " + config.apiKey } });
        const pem = (await own.json()).server_certificate;
        const list = await api.listCertificates({ filter: { type: "developer" } });
        assert.deepStrictEqual(list.data.map(c => c.id), [made.id]);
        const trusted = await api.addCertificate({
            name: "js trusted", type: "lwm2m", certificateData: pem,
        });
        assert.strictEqual(trusted.type, "lwm2m");
        const changed = await api.updateCertificate({ id: trusted.id, name: "renamed", type: "lwm2m" });
        assert.strictEqual(changed.name, "renamed");
        await api.deleteCertificate(trusted.id);
        await api.deleteCertificate(made.id);
        assert.strictEqual(await api.getCertificate(made.id), null);
        const claims = new sdk.EnrollmentApi(config);
        const identity = "A-" + Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, "0")).join(":");
        const claim = await claims.addEnrollmentClaim({ claimId: identity });
        assert.strictEqual((await claims.getEnrollmentClaim(claim.id)).claimId, identity);
        assert.strictEqual(await status(claims.addEnrollmentClaim({ claimId: identity })), 409);
        assert.strictEqual((await claims.listEnrollmentClaims()).data.length, 1);
        await claims.deleteEnrollmentClaim(claim.id);
        assert.strictEqual((await claims.listEnrollmentClaims()).data.length, 0);
    },
};

steps[process.argv[2]]().then(
    () => {
        process.stdout.write("ok\n");
        process.exit(0);
    },
    e => {
        process.stderr.write((e && e.stack ? e.stack : "") + "\n" + JSON.stringify(e) + "\n");
        process.exit(1);
    },
);
