# SPDX-License-Identifier: Apache-2.0
"""Steps that run in the Python of an unmodified Pelion SDK: steps.py STEP [ARGUMENT…]; a failed assertion is exit code 1.

Host and key come from the SDK's own environment variables."""
import datetime
import sys
import time
import warnings

warnings.simplefilter("ignore")

from mbed_cloud import AccountManagementAPI, ConnectAPI, DeviceDirectoryAPI  # noqa: E402
from mbed_cloud.bootstrap import BootstrapAPI  # noqa: E402
from mbed_cloud.exceptions import CloudApiException, CloudAsyncError  # noqa: E402


def directory():
    api = DeviceDirectoryAPI()
    devices = list(api.list_devices())
    assert len(devices) == 5 and len(api.list_devices()) == 5
    names = sorted(d.alias for d in devices)
    assert names == [f"sim-{i}" for i in range(5)], names
    paged = list(api.list_devices(page_size=2, order="desc"))
    assert [d.id for d in paged] == sorted((d.id for d in devices), reverse=True)

    one = next(d for d in devices if d.alias == "sim-2")
    assert one.state == "registered" and isinstance(one.created_at, datetime.datetime)
    got = api.get_device(one.id)
    assert (got.id, got.alias) == (one.id, "sim-2")
    assert api.get_device("0" * 32) is None

    changed = api.update_device(one.id, name="north gate", description="a & b = c+d%",
                                custom_attributes={"site": "a+b"})
    assert changed.name == "north gate" and changed.description == "a & b = c+d%"
    assert api.get_device(one.id).custom_attributes == {"site": "a+b"}
    found = list(api.list_devices(filters={"name": {"$eq": "north gate"}}))
    assert [d.id for d in found] == [one.id]
    found = list(api.list_devices(filters={"description": {"$eq": "a & b = c+d%"}}))
    assert [d.id for d in found] == [one.id]
    found = list(api.list_devices(filters={"custom_attributes": {"site": {"$eq": "a+b"}}}))
    assert [d.id for d in found] == [one.id]
    found = list(api.list_devices(filters={"id": {"$in": f"{devices[0].id},{devices[1].id}"}}))
    assert len(found) == 2
    found = list(api.list_devices(filters={"state": {"$neq": "registered"}}))
    assert not found
    hour = datetime.timedelta(hours=1)
    now = datetime.datetime.utcnow()
    around = {"created_at": {"$gte": now - hour, "$lte": now + hour}, "state": "registered"}
    assert len(list(api.list_devices(limit=10, order="DESC", filters=around))) == 5
    assert not list(api.list_devices(filters={"created_at": {"$lte": now - hour}}))

    added = api.add_device(mechanism="connector", certificate_fingerprint="aa" * 32,
                           certificate_issuer_id="bb" * 16, name="to come")
    assert added.id and api.get_device(added.id).state == "unenrolled"
    api.delete_device(added.id)
    assert api.get_device(added.id) is None

    events = list(api.list_device_events(filters={"device_id": {"$eq": one.id}}))
    assert events and all(e.device_id == one.id for e in events)
    types = {e.event_type for e in events}
    assert "update.device.device-created" in types and "update.device.device-updated" in types, types
    event = api.get_device_event(events[0].id)
    assert event.id == events[0].id and isinstance(event.date_time, datetime.datetime)


def connect():
    api = ConnectAPI()
    devices = list(api.list_connected_devices())
    assert len(devices) == 5
    device = devices[0].id
    resources = api.list_resources(device)
    assert "/3303/0" in [r.path for r in resources], [r.path for r in resources]

    api.start_notifications()
    assert api.get_resource_value(device, "/1/0/1", timeout=20) == "600"
    api.set_resource_value(device, "/1/0/1", "900", timeout=20)
    assert api.get_resource_value(device, "/1/0/1", timeout=20) == "900"
    api.execute_resource(device, "/1/0/8", timeout=20)
    waiting = [api.get_resource_value_async(d.id, "/3/0/2") for d in devices]
    assert sorted(w.wait(20) for w in waiting) == [f"sim-{i}" for i in range(5)]
    try:
        api.get_resource_value(device, "/3303/0/9999", timeout=20)
        raise SystemExit("a resource that does not exist was read")
    except CloudAsyncError as e:
        assert e.status == 404, e.status
    try:
        api.get_resource_value(device, "/9999/0/1", timeout=20)
        raise SystemExit("an object that does not exist was read")
    except CloudApiException as e:
        assert e.status == 400, e.status

    queue = api.add_resource_subscription(device, "/3303/0/5700")
    values = [queue.get(timeout=20) for _ in range(3)]
    assert all(-100 < float(v) < 200 for v in values), values
    assert api.get_resource_subscription(device, "/3303/0/5700")
    assert not api.get_resource_subscription(device, "/3303/0/5601")
    assert "/3303/0/5700" in api.list_device_subscriptions(device)
    api.delete_resource_subscription(device, "/3303/0/5700")
    assert not api.get_resource_subscription(device, "/3303/0/5700")
    seen = []
    api.add_resource_subscription_async(device, "/3303/0/5700", lambda d, p, v: seen.append((d, p, v)))
    until = time.monotonic() + 20
    while not seen and time.monotonic() < until:
        time.sleep(0.05)
    assert seen and seen[0][:2] == (device, "/3303/0/5700"), seen
    api.delete_device_subscriptions(device)
    assert not api.get_resource_subscription(device, "/3303/0/5700")
    began = time.monotonic()
    api.stop_notifications()
    assert time.monotonic() - began < 5, "stopping waited for the open poll"


def subscribe():
    """The newer interface: channels of values and of device states, by pre-subscription."""
    api = ConnectAPI()
    device = list(api.list_connected_devices())[1].id
    channels = api.subscribe.channels
    values = api.subscribe(channels.ResourceValues(device_id=device, resource_path="/3303/0/5700"))
    got = values.next().block(20)
    assert got["device_id"] == device and got["resource_path"] == "/3303/0/5700", got
    listed = api.list_presubscriptions()
    assert [(p.device_id, p.resource_paths) for p in listed] == [(device, ["/3303/0/5700"])]
    api.update_presubscriptions([{"device_id": "0123*", "resource_paths": ["/3/*", "/5"]}])
    listed = api.list_presubscriptions()
    assert [(p.device_id, p.resource_paths) for p in listed] == [("0123*", ["/3/*", "/5"])]
    api.delete_presubscriptions()
    assert api.list_presubscriptions() == []
    assert api.get_webhook() is None
    api.stop_notifications()


def account():
    api = AccountManagementAPI()
    mine = api.get_account()
    assert mine.id and mine.status == "ACTIVE", mine
    before = len(list(api.list_api_keys()))
    key = api.add_api_key("second")
    assert key.key.startswith("ak_") and key.name == "second"
    assert api.get_api_key(key.id).key == key.key[:-32]
    assert len(list(api.list_api_keys())) == before + 1
    found = list(api.list_api_keys(filters={"key": {"$eq": key.key}}))
    assert [k.id for k in found] == [key.id]
    other = DeviceDirectoryAPI({"api_key": key.key})
    assert len(list(other.list_devices())) == 5
    assert api.update_api_key(key.id, name="third", status="INACTIVE").name == "third"
    assert api.get_api_key(key.id).status == "INACTIVE"
    try:
        other.get_device("0" * 32)
        raise SystemExit("an inactive key worked")
    except CloudApiException as e:
        assert e.status == 401, e.status
    api.delete_api_key(key.id)
    assert api.get_api_key(key.id) is None


def psk():
    api = BootstrapAPI()
    name = "sdk-endpoint-00001"
    before = {p.endpoint_name for p in api.list_psks()}
    made = api.add_psk(endpoint_name=name, secret_hex="4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a")
    assert made is None or made.endpoint_name in (None, name)
    for i in range(2, 8):
        api.add_psk(endpoint_name=f"sdk-endpoint-0000{i}", secret_hex="0x" + "5b" * 32)
    assert api.get_psk(name).endpoint_name == name
    names = {p.endpoint_name for p in api.list_psks()} - before
    assert names == {f"sdk-endpoint-0000{i}" for i in range(1, 8)}, names
    paged = [p.endpoint_name for p in api.list_psks(page_size=2)]
    assert len(paged) == len(set(paged)) == len(before) + 7
    try:
        api.add_psk(endpoint_name=name, secret_hex="4a" * 16)
        raise SystemExit("a second key for one endpoint was taken")
    except CloudApiException as e:
        assert e.status == 409, e.status
    api.delete_psk(name)
    assert api.get_psk(name) is None
    assert name not in {p.endpoint_name for p in api.list_psks()}


def foundation():
    """The generated entity layer."""
    from mbed_cloud import SDK
    sdk = SDK()
    devices = list(sdk.foundation.device().list(page_size=2))
    assert sorted(d.endpoint_name for d in devices) == [f"sim-{i}" for i in range(5)]
    assert sdk.foundation.device().list().count() == 5
    one = sdk.foundation.device(id=devices[0].id).read()
    assert one.endpoint_name == devices[0].endpoint_name
    one.name = "by foundation"
    one.update()
    found = list(sdk.foundation.device().list(filter={"name": {"eq": "by foundation"}}))
    assert [d.id for d in found] == [one.id]
    mine = sdk.foundation.account().me()
    assert mine.status == "ACTIVE"
    key = sdk.foundation.api_key(name="of foundation").create()
    assert key.key.startswith("ak_")
    assert sdk.foundation.api_key().me().id != key.id
    key.delete()
    events = list(sdk.foundation.device_events().list(max_results=3))
    assert events and events[0].event_type
    shared = list(sdk.foundation.pre_shared_key().list(page_size=2))
    assert sorted(p.endpoint_name for p in shared) == [f"sim-{i}" for i in range(5)]


def certificates():
    from mbed_cloud import CertificatesAPI
    api = CertificatesAPI()
    made = api.add_developer_certificate("sdk developer", description="by the SDK")
    assert made.type == "developer", made
    assert "MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME" in made.header_file
    assert "BEGIN CERTIFICATE" in made.developer_certificate and "PRIVATE KEY" in made.developer_private_key
    ids = {c.id for c in api.list_certificates()}
    assert made.id in ids
    assert {c.id for c in api.list_certificates(filters={"type": {"$eq": "developer"}})} == {made.id}
    again = api.get_certificate(made.id)
    assert again.header_file == made.header_file and again.name == "sdk developer"
    from mbed_cloud import SDK
    ours = SDK().foundation.server_credentials().get_bootstrap()
    assert "BEGIN CERTIFICATE" in ours.server_certificate and ours.server_uri.endswith("?aid=" + made.account_id)
    # the certificate of an authority: any will do, so that of the bootstrap server
    pem = ours.server_certificate
    trusted = api.add_certificate("sdk trusted", "lwm2m", pem)
    assert trusted.type == "lwm2m" and trusted.server_certificate != pem, trusted
    try:
        api.add_certificate("sdk trusted", "lwm2m", pem)
        raise SystemExit("a certificate was taken twice")
    except CloudApiException as e:
        assert e.status == 409, e.status
    changed = api.update_certificate(trusted.id, name="renamed", type="lwm2m", certificate_data=pem, status="INACTIVE")
    assert changed.name == "renamed" and changed.status == "INACTIVE"
    api.delete_certificate(trusted.id)
    api.delete_certificate(made.id)
    assert api.get_certificate(made.id) is None
    assert len(list(api.list_certificates())) == len(ids) - 1


def enrolments(folder="."):
    from mbed_cloud import EnrollmentAPI
    api = EnrollmentAPI()
    identity = "A-" + ":".join(f"{i:02X}" for i in range(32))
    claim = api.add_enrollment_claim(claim_id=identity)
    assert claim.claim_id == identity and claim.claimed_at is None, claim
    assert api.get_enrollment_claim(claim.id).claim_id == identity
    try:
        api.add_enrollment_claim(claim_id=identity.lower().replace("a-", "A-", 1))
        raise SystemExit("a device was claimed twice")
    except CloudApiException as e:
        assert e.status == 409, e.status
    assert [c.id for c in api.list_enrollment_claims()] == [claim.id]
    api.delete_enrollment_claim(claim.id)
    assert list(api.list_enrollment_claims()) == []
    from mbed_cloud import SDK
    sdk = SDK()
    lines = ["enrollment_identity"] + ["A-" + ":".join(f"{(i + j) % 256:02x}" for j in range(32)) for i in range(10)]
    name = folder + "/claims.csv"
    with open(name, "w", encoding="ascii") as out:
        out.write("\n".join(lines + ["junk", lines[1]]) + "\n")
    with open(name, "rb") as data:
        bulk = sdk.foundation.device_enrollment_bulk_create().create(enrollment_identities=data)
    end = time.monotonic() + 20
    while bulk.read().status != "completed":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (bulk.total_count, bulk.processed_count, bulk.errors_count) == (12, 12, 2), bulk.to_dict()
    report = bulk.download_errors_report_file().read()
    assert report.splitlines()[0].startswith("entity__id,entity__created_at,error__code") and len(report.splitlines()) == 3, report
    assert len(bulk.download_full_report_file().read().splitlines()) == 13
    assert sdk.foundation.device_enrollment().list().count() == 10
    with open(name, "rb") as data:
        gone = sdk.foundation.device_enrollment_bulk_delete().delete(enrollment_identities=data)
    while gone.read().status != "completed":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert sdk.foundation.device_enrollment().list().count() == 0


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print("ok")
