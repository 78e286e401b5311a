/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/test_boot_x509.c
 * @brief Bootstrap with certificates, and Pelion's form of it: what is written, in which order, and
 * who is refused.
 */
#include "certs/issue.h"
#include "tests/integ/devices/boot_rig.h"

#define FACTORY_TAG  77
#define FACTORY_LEFT 1893456000000 /* end of the device's bootstrap certificate: 2030-01-01 */

static struct {
    struct cert_authority *bootstrap_root, *server_root, *device_issuer, *factory, *foreign;
    struct cert_key *server_key, *device_key;
    struct cert_issued boot_server, lwm2m_server, device;
    char server_pem[2048], server_key_pem[CERT_KEY_PEM_MAX];
    char device_pem[2048], device_key_pem[CERT_KEY_PEM_MAX];
    struct cx_anchor anchors[1];
    dr_err_t issue_err;
    int issued;
    bool enrollment; /**< devices need a claim */
    char account[DR_ID_LEN + 1];
} pki;

/* As the server fills it in. */
static dr_err_t issue(void *data, const struct dev_boot_subject *subject,
                      struct dev_boot_issued *ret)
{
    char account[DR_ID_LEN + 1], device[DR_ID_LEN + 1];
    struct cert_key *fresh = NULL;
    struct cert_issued cert;

    (void)data;
    pki.issued++;
    if (pki.issue_err != DR_OK) {
        return pki.issue_err;
    }
    dr_id_format(subject->account, account);
    dr_id_format(subject->device, device);
    const struct cert_subject s = {.cn = subject->endpoint, .ou = account, .l = device};
    dr_err_t err = cert_key_generate(&fresh);
    if (err == DR_OK) {
        err = cert_issue_key(pki.device_issuer, &s, CERT_USE_DEVICE, fresh, 0, &cert);
    }
    if (err == DR_OK) {
        memcpy(ret->cert, cert.der, cert.len);
        ret->cert_len = cert.len;
        ret->key_len = cert_key_sec1(fresh, ret->key, sizeof ret->key);
        ret->not_after_ms = cert.not_after_ms;
    }
    (void)cert_key_free(fresh);
    return err;
}

static dr_err_t identify(void *data, uint64_t tag, const uint8_t *der, size_t len,
                         struct dev_boot_cert *ret)
{
    struct cert_info info;

    (void)data;
    dr_err_t err = cert_info_read(dr_bytes_of(der, len), &info);
    if (err == DR_OK && tag != FACTORY_TAG) {
        err = DR_ERR_DENIED;
    }
    if (err == DR_OK) {
        *ret = (struct dev_boot_cert){.account = DBT_ACCOUNT,
                                      .credential = FACTORY_TAG,
                                      .execution_mode = 1,
                                      .not_after_ms = info.not_after_ms,
                                      .has_fingerprint = true};
        ret->enrollment = pki.enrollment;
        memcpy(ret->fingerprint, info.fingerprint, sizeof ret->fingerprint);
        memcpy(ret->key_hash, info.key_hash, sizeof ret->key_hash);
    }
    return err;
}

static void device_cert(const struct cert_authority *by, const char *cn, int64_t not_after_ms)
{
    const struct cert_subject s = {.cn = cn};

    ck_assert_int_eq(
        cert_issue_key(by, &s, CERT_USE_DEVICE, pki.device_key, not_after_ms, &pki.device), DR_OK);
    ck_assert_uint_ne(cert_pem_write(dr_bytes_of(pki.device.der, pki.device.len), pki.device_pem,
                                     sizeof pki.device_pem),
                      0);
}

static void pki_make(void)
{
    const struct cert_subject server = {.cn = "bootstrap"}, lwm2m = {.cn = "lwm2m"};

    memset(&pki, 0, sizeof pki);
    memset(&rig, 0, sizeof rig);
    ck_assert_int_eq(cert_authority_create("bootstrap root", &pki.bootstrap_root), DR_OK);
    ck_assert_int_eq(cert_authority_create("server root", &pki.server_root), DR_OK);
    ck_assert_int_eq(cert_authority_create("device issuer", &pki.device_issuer), DR_OK);
    ck_assert_int_eq(cert_authority_create("factory", &pki.factory), DR_OK);
    ck_assert_int_eq(cert_authority_create("foreign", &pki.foreign), DR_OK);
    ck_assert_int_eq(cert_key_generate(&pki.server_key), DR_OK);
    ck_assert_int_eq(cert_key_generate(&pki.device_key), DR_OK);
    ck_assert_int_eq(cert_issue_key(pki.bootstrap_root, &server, CERT_USE_SERVER, pki.server_key, 0,
                                    &pki.boot_server),
                     DR_OK);
    ck_assert_int_eq(cert_issue_key(pki.server_root, &lwm2m, CERT_USE_SERVER, pki.server_key, 0,
                                    &pki.lwm2m_server),
                     DR_OK);
    (void)cert_pem_write(dr_bytes_of(pki.boot_server.der, pki.boot_server.len), pki.server_pem,
                         sizeof pki.server_pem);
    (void)cert_key_pem(pki.server_key, pki.server_key_pem, sizeof pki.server_key_pem);
    (void)cert_key_pem(pki.device_key, pki.device_key_pem, sizeof pki.device_key_pem);
    device_cert(pki.factory, ENDPOINT, FACTORY_LEFT);
    dr_id_format(DBT_ACCOUNT, pki.account);

    struct dr_bytes factory = cert_authority_der(pki.factory);
    struct dr_bytes root = cert_authority_der(pki.bootstrap_root);
    pki.anchors[0] = (struct cx_anchor){.der = factory.p, .len = factory.len, .tag = FACTORY_TAG};
    rig.server_security = (struct cx_security_config){.cert_pem = pki.server_pem,
                                                      .key_pem = pki.server_key_pem,
                                                      .anchors = pki.anchors,
                                                      .n_anchors = 1};
    rig.extra = (struct dev_boot_config){
        .issue = issue,
        .identify = identify,
        .server_ca = cert_authority_der(pki.server_root),
        .server_cert = dr_bytes_of(pki.lwm2m_server.der, pki.lwm2m_server.len)};
    rig.cert_pem = pki.device_pem;
    rig.key_pem = pki.device_key_pem;
    rig.server_root = (struct cx_anchor){.der = root.p, .len = root.len, .tag = 1};
}

static void begin(void)
{
    setup_with(1000);
    ck_assert_int_eq(rig.c.connect_err, DR_OK);
}

static void end(void)
{
    teardown();
    (void)cert_authority_free(pki.bootstrap_root);
    (void)cert_authority_free(pki.server_root);
    (void)cert_authority_free(pki.device_issuer);
    (void)cert_authority_free(pki.factory);
    (void)cert_authority_free(pki.foreign);
    (void)cert_key_free(pki.server_key);
    (void)cert_key_free(pki.device_key);
}

static struct dr_bytes written(uint16_t instance, uint16_t res)
{
    const struct lwm2m_value *v = boot_client_value(&rig.c, 0, instance, res);

    ck_assert_ptr_nonnull(v);
    return dr_bytes_of(v->bytes.ptr, v->bytes.len);
}

/* A certificate of the device, its key, and whom it names. */
static void assert_credentials(uint16_t instance)
{
    char device_id[DR_ID_LEN + 1];
    struct cert_info info, issuer;
    struct cert_key *secret;
    struct dr_bytes der = written(instance, 3);
    uint8_t point[CERT_POINT_LEN];

    dr_id_format(device().id, device_id);
    ck_assert_uint_le(der.len, CERT_DEVICE_DER_MAX);
    ck_assert_int_eq(cert_info_read(der, &info), DR_OK);
    ck_assert_str_eq(info.cn, ENDPOINT);
    ck_assert_str_eq(info.ou, pki.account);
    ck_assert_str_eq(info.l, device_id);
    ck_assert(info.p256 && !info.ca);
    ck_assert_int_eq(cert_info_read(cert_authority_der(pki.device_issuer), &issuer), DR_OK);
    ck_assert_str_eq(info.issuer, issuer.subject);
    ck_assert_int_eq(cert_key_from_der(written(instance, 5), &secret), DR_OK);
    cert_key_point(secret, point);
    bool inside = false;
    for (size_t i = 0; i + sizeof point <= der.len; i++) {
        inside = inside || memcmp(der.p + i, point, sizeof point) == 0;
    }
    ck_assert(inside);
    (void)cert_key_free(secret);
    ck_assert_int_eq(number(0, instance, 2), LWM2M_SECURITY_X509);
}

/* ---- the interface of LwM2M ---- */

START_TEST(a_1_1_device_gets_a_certificate_and_the_authority_of_the_server)
{
    pki_make();
    begin();
    boot("ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    assert_credentials(1);
    ck_assert(dr_bytes_eq(written(1, 4), cert_authority_der(pki.server_root)));
    ck_assert_int_eq(number(0, 1, 15), 2); /* trust anchor */
    assert_text(boot_client_value(&rig.c, 0, 1, 0), SERVER_URI);
    ck_assert(!keys().found[DB_PSK_OFFERED]);
    end();
}
END_TEST

START_TEST(a_1_0_device_gets_the_certificate_of_the_server_itself)
{
    pki_make();
    begin();
    rig.c.discover = "lwm2m=1.0,</0/0>";
    boot("ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    assert_credentials(1);
    ck_assert(dr_bytes_eq(written(1, 4), dr_bytes_of(pki.lwm2m_server.der, pki.lwm2m_server.len)));
    ck_assert_ptr_null(boot_client_value(&rig.c, 0, 1, 15));
    end();
}
END_TEST

START_TEST(a_pack_holds_certificate_and_key)
{
    pki_make();
    begin();
    boot_client_request(&rig.c, CX_GET, "bspack", "ep=" ENDPOINT, -1);
    UNTIL(rig.c.answered && sessions() == 0);
    ck_assert_uint_eq(rig.c.code, CX_CONTENT);
    assert_credentials(1);
    end();
}
END_TEST

static void psk_please(struct db_boot_policy *p)
{
    p->security = DB_BOOT_PSK;
}

START_TEST(a_certificate_may_be_traded_for_a_psk)
{
    pki_make();
    begin();
    policy(psk_please);
    boot("ep=" ENDPOINT);
    assert_configured(1, 0);
    end();
}
END_TEST

/* ---- Pelion ---- */

static void pelion_query(char *out, size_t cap)
{
    (void)snprintf(out, cap, "ep=" ENDPOINT "&aid=%s&mccv=4.13.2", pki.account);
}

/* spec: pelion-device 3: DELETE /0, PUT /0, PUT /1, PUT /3, POST /bs, whole objects in TLV */
START_TEST(pelion_devices_get_their_form)
{
    static const struct {
        uint8_t code;
        const char *path;
    } order[] = {
        {CX_DELETE, "/0"}, {CX_PUT, "/0"}, {CX_PUT, "/1"}, {CX_PUT, "/3"}, {CX_POST, "/bs"}};
    char query[160], uri[160];

    pki_make();
    begin();
    rig.c.separate = true;
    pelion_query(query, sizeof query);
    boot(query);
    ck_assert(rig.c.finished);
    ck_assert_uint_eq(rig.c.n_seen, DR_ARRAY_LEN(order));
    for (unsigned i = 0; i < rig.c.n_seen; i++) {
        ck_assert_uint_eq(rig.c.seen[i].code, order[i].code);
        ck_assert_str_eq(rig.c.seen[i].path, order[i].path);
        ck_assert_str_eq(rig.c.seen[i].query, "");
        if (order[i].code == CX_PUT) {
            ck_assert_int_eq(rig.c.seen[i].format, LWM2M_CT_TLV);
        }
    }
    ck_assert_uint_gt(rig.c.seen[1].len, 512);     /* so it came in blocks */
    ck_assert_int_eq(rig.c.seen[1].block1 & 7, 5); /* of 512 */
    assert_credentials(0);
    (void)snprintf(uri, sizeof uri, SERVER_URI "?aid=%s", pki.account);
    assert_text(boot_client_value(&rig.c, 0, 0, 0), uri);
    ck_assert(dr_bytes_eq(written(0, 4), cert_authority_der(pki.server_root)));
    ck_assert_ptr_null(boot_client_value(&rig.c, 0, 0, 11));
    ck_assert_ptr_null(boot_client_value(&rig.c, 0, 0, 15));
    ck_assert(!boot_client_value(&rig.c, 1, 0, 6)->b);
    assert_text(boot_client_value(&rig.c, 1, 0, 7), "U");
    ck_assert_int_ge(number(3, 0, 13), dr_wall_ms() / 1000 - 100);

    int64_t id = device().id;
    boot(query); /* once more: another key, the same device */
    assert_credentials(0);
    ck_assert_int_eq(device().id, id);
    ck_assert_int_eq(pki.issued, 2);
    end();
}
END_TEST

static void est_please(struct db_boot_policy *p)
{
    p->security = DB_BOOT_EST;
}

START_TEST(pelion_devices_may_make_their_key_themselves)
{
    char query[160], iep[48] = "iep=";

    pki_make();
    begin();
    policy(est_please);
    pelion_query(query, sizeof query);
    boot(query);
    ck_assert(rig.c.finished);
    ck_assert_int_eq(number(0, 0, 2), LWM2M_SECURITY_EST);
    ck_assert_ptr_null(boot_client_value(&rig.c, 0, 0, 3));
    ck_assert_ptr_null(boot_client_value(&rig.c, 0, 0, 5));
    ck_assert(dr_bytes_eq(written(0, 4), cert_authority_der(pki.server_root)));
    dr_id_format(device().id, iep + 4);
    ck_assert_str_eq(rig.c.seen[rig.c.n_seen - 1].query, iep);
    ck_assert_int_eq(pki.issued, 0);
    end();
}
END_TEST

/* What Pelion's client cannot do without ends its session. */
START_TEST(pelion_devices_that_refuse)
{
    static const struct boot_rule rules[] = {
        {.code = CX_DELETE, .format = -1, .answer = CX_BAD_REQUEST, .times = 1},
        {.code = CX_PUT, .path = "/0", .format = -1, .answer = CX_BAD_REQUEST, .times = 1},
        {.code = CX_PUT, .path = "/1", .format = -1, .answer = CX_UNSUPPORTED_FORMAT, .times = 1},
        {.code = CX_POST, .format = -1, .answer = CX_BAD_REQUEST, .times = 1},
        {.code = CX_POST, .format = -1, .answer = CX_NOT_ACCEPTABLE, .times = 1},
    };
    char query[160];

    pki_make();
    begin();
    pelion_query(query, sizeof query);
    rig.c.rules[0] = rules[_i];
    boot(query);
    ck_assert(!rig.c.finished);
    ck_assert_int_ne(device().state, DB_DEVICE_BOOTSTRAPPED);
    boot(query);
    ck_assert(rig.c.finished);
    ck_assert_int_eq(device().state, DB_DEVICE_BOOTSTRAPPED);
    end();
}
END_TEST

/* It falls silent after each request, and begins anew on the same association. */
START_TEST(pelion_sessions_may_end_anywhere)
{
    char query[160];

    pki_make();
    begin();
    pelion_query(query, sizeof query);
    rig.c.silent_after = (unsigned)_i + 1;
    ck_assert_uint_eq(ask(query), CX_CHANGED);
    UNTIL(rig.c.n_seen > rig.c.silent_after);
    rig.c.silent_after = 0;
    rig.c.n_seen = 0;
    boot(query);
    ck_assert(rig.c.finished);
    assert_credentials(0);
    end();
}
END_TEST

/* Pelion's default: messages of RFC 7252 in TLS records; and the stream of RFC 8323. */
START_TEST(devices_may_come_over_tls)
{
    char query[160];

    pki_make();
    rig.proto = CX_PROTO_TLS;
    rig.framing = _i == 0 ? CX_FRAMING_DATAGRAM : CX_FRAMING_RFC8323;
    begin();
    rig.c.separate = _i == 0;
    pelion_query(query, sizeof query);
    boot(_i == 0 ? query : "ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    assert_credentials(_i == 0 ? 0 : 1);
    end();
}
END_TEST

START_TEST(pelion_form_with_a_psk)
{
    char query[160];

    pki_make();
    rig.cert_pem = rig.key_pem = NULL;
    rig.server_root.len = 0;
    begin();
    pelion_query(query, sizeof query);
    boot(query);
    ck_assert(rig.c.finished);
    ck_assert_int_eq(number(0, 0, 2), LWM2M_SECURITY_PSK);
    assert_text(boot_client_value(&rig.c, 0, 0, 3), keys().identity[DB_PSK_OFFERED]);
    end();
}
END_TEST

/* ---- directory ---- */

static void enrolled_only(struct db_boot_policy *p)
{
    p->scope = DB_BOOT_SCOPE_ENROLLED;
    p->lifetime_s = 777;
}

static dr_err_t whole_row(void *data, const struct db_device *row)
{
    char ca[DR_ID_LEN + 1];

    (void)data;
    dr_id_format(FACTORY_TAG, ca);
    ck_assert_str_eq(row->ca_id, ca);
    ck_assert_str_eq(row->bootstrap_expiration_date, "2030-01-01");
    ck_assert_uint_eq(strlen(row->connector_expiration_date), 10);
    ck_assert_int_eq(row->device_execution_mode, 1);
    ck_assert_uint_eq(strlen(row->device_key), 95);
    return DR_OK;
}

static dr_err_t whole_read(struct db_reader *r, void *ctx)
{
    return db_device_find(r, DBT_ACCOUNT, ENDPOINT, whole_row, ctx);
}

START_TEST(the_directory_names_the_certificate)
{
    pki_make();
    begin();
    policy(enrolled_only); /* which this one is not */
    boot("ep=" ENDPOINT);
    ck_assert_int_eq(number(1, 0, 1), DB_BOOT_LIFETIME_DEFAULT);
    ck_assert_int_eq(dbt_read(whole_read, NULL), DR_OK);
    end();
}
END_TEST

/* ---- first to claim ---- */

struct claim {
    int64_t account;
    bool key; /* by its key, not by its certificate */
};

static dr_err_t put_claim(struct db_writer *w, void *ctx)
{
    const struct claim *c = ctx;
    struct cert_info info;
    char text[3 * CERT_SHA256_LEN + 2] = "A-";

    dr_err_t err = cert_info_read(dr_bytes_of(pki.device.der, pki.device.len), &info);
    cert_hex_colons(c->key ? info.key_hash : info.fingerprint, CERT_SHA256_LEN, text + 2);
    const struct db_enrollment row = {.id = 600, .account = c->account, .identity = text};
    return err == DR_OK ? db_enrollment_insert(w, &row) : err;
}

struct outcome {
    int64_t device, account;
    int denials;
};

static dr_err_t enrollment_row(void *data, const struct db_enrollment *row)
{
    ((struct outcome *)data)->device = row->device;
    return DR_OK;
}

static dr_err_t denial_row(void *data, const struct db_denial *row)
{
    ((struct outcome *)data)->denials++;
    ck_assert_str_eq(row->endpoint_name, ENDPOINT);
    ck_assert_int_eq(row->trusted_cert, FACTORY_TAG);
    return DR_OK;
}

static dr_err_t outcome_device(void *data, const struct db_device *row)
{
    ck_assert_int_ne(row->enrolment_list_timestamp, 0);
    ck_assert_int_eq(row->id, ((struct outcome *)data)->device);
    return DR_OK;
}

static dr_err_t outcome_read(struct db_reader *r, void *ctx)
{
    struct outcome *o = ctx;
    const struct db_query query = {.account = DBT_ACCOUNT, .limit = 10};
    dr_err_t err = db_denial_list(r, &query, denial_row, o, NULL);

    if (err == DR_OK && o->account != 0) {
        err = db_enrollment_get(r, o->account, 600, enrollment_row, o);
    }
    if (err == DR_OK && o->account != 0) {
        err = db_device_find(r, o->account, ENDPOINT, outcome_device, o);
    }
    return err;
}

/* The claim says whose the device is, also when its authority is another's. */
START_TEST(a_device_belongs_to_who_claimed_it)
{
    struct claim c = {.account = _i < 2 ? DBT_ACCOUNT : DBT_OTHER, .key = _i % 2 == 1};
    struct outcome o = {.account = c.account};
    char query[160], account[DR_ID_LEN + 1];

    pki_make();
    pki.enrollment = true;
    begin();
    ck_assert_int_eq(dbt_write(put_claim, &c), DR_OK);
    dr_id_format(c.account == DBT_ACCOUNT ? DBT_OTHER : DBT_ACCOUNT, account);
    (void)snprintf(query, sizeof query, "ep=" ENDPOINT "&aid=%s&mccv=4", account);
    ck_assert_uint_eq(ask(query), CX_FORBIDDEN); /* not whose it says it is */
    UNTIL(sessions() == 0);
    policy(enrolled_only); /* of the first account */
    boot("ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    ck_assert_int_eq(number(1, 0, 1), c.account == DBT_ACCOUNT ? 777 : DB_BOOT_LIFETIME_DEFAULT);
    ck_assert_int_eq(dbt_read(outcome_read, &o), DR_OK);
    ck_assert_int_eq(o.denials, 0);
    end();
}
END_TEST

struct routed {
    int64_t account, device;
    char endpoint[DEV_ENDPOINT_MAX + 1];
    int calls;
};

static void on_est(void *ctx, const struct dev_route_req *req)
{
    struct routed *r = ctx;

    r->account = req->account;
    r->device = req->device;
    (void)snprintf(r->endpoint, sizeof r->endpoint, "%s", req->endpoint);
    r->calls++;
    dev_route_refuse(&req->to, CX_CHANGED);
}

static void est_ask(uint8_t want)
{
    boot_client_request(&rig.c, CX_POST, "est", NULL, -1);
    UNTIL(rig.c.answered);
    ck_assert_uint_eq(rig.c.code, want);
}

/* Other paths on the association belong to the device that bootstrapped there. */
START_TEST(other_paths_know_whose_the_device_is)
{
    struct claim c = {.account = DBT_OTHER};
    struct routed r = {0};

    pki_make();
    pki.enrollment = _i == 1;
    begin();
    ck_assert_int_eq(dev_boot_route(rig.boot, "est", on_est, &r), DR_OK);
    ck_assert_int_eq(dbt_write(put_claim, &c), DR_OK);
    est_ask(_i == 1 ? CX_FORBIDDEN : CX_CHANGED);
    ck_assert_int_eq(r.device, 0);
    boot("ep=" ENDPOINT);
    est_ask(CX_CHANGED);
    ck_assert_int_eq(r.account, _i == 1 ? DBT_OTHER : DBT_ACCOUNT);
    ck_assert_int_ne(r.device, 0);
    ck_assert_str_eq(r.endpoint, ENDPOINT);
    ck_assert_int_eq(r.calls, _i == 1 ? 1 : 2);
    end();
}
END_TEST

START_TEST(a_device_that_nobody_claimed_is_refused_and_noted)
{
    struct outcome o = {0};

    pki_make();
    pki.enrollment = true;
    begin();
    ck_assert_uint_eq(ask("ep=" ENDPOINT), CX_FORBIDDEN);
    UNTIL(sessions() == 0);
    ck_assert_int_eq(device().id, 0);
    ck_assert_int_eq(dbt_read(outcome_read, &o), DR_OK);
    ck_assert_int_eq(o.denials, 1);
    end();
}
END_TEST

/* A shard remembers so many certificates; one that it forgot has to shake hands again. */
START_TEST(a_forgotten_certificate_comes_anew)
{
    pki_make();
    begin();
    boot_leaves_free(dev_boot_shard(rig.boot, 0));
    boot_client_request(&rig.c, CX_POST, "bs", "ep=" ENDPOINT, -1);
    UNTIL(rig.c.answered || rig.c.gone);
    ck_assert(rig.c.code != CX_CHANGED);
    rig.c.gone = false;
    boot_client_connect(&rig.c, NULL, NULL, 0, 0);
    UNTIL(rig.c.connected);
    boot("ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    end();
}
END_TEST

static dr_err_t identify_many(void *data, uint64_t tag, const uint8_t *der, size_t len,
                              struct dev_boot_cert *ret)
{
    static uint32_t n;

    (void)data;
    (void)tag;
    (void)der;
    (void)len;
    *ret = (struct dev_boot_cert){.account = DBT_ACCOUNT, .has_fingerprint = true};
    dr_store_be(ret->fingerprint, n++, 4);
    return DR_OK;
}

START_TEST(so_many_certificates_are_remembered)
{
    struct cx_identity id;

    pki_make();
    rig.extra.identify = identify_many;
    begin();
    struct boot_shard *sh = dev_boot_shard(rig.boot, 0);
    for (int i = 0; i < DEV_BOOT_LEAVES_MAX + 10; i++) {
        ck_assert_int_eq(dev_boot_cx_ops.cert(sh, rig.engine, FACTORY_TAG, ENDPOINT, NULL, 0, &id),
                         DR_OK);
    }
    ck_assert_uint_eq(sh->n_leaves, DEV_BOOT_LEAVES_MAX);
    end();
}
END_TEST

/* A name of full length leaves room for all that belongs to it. */
START_TEST(the_longest_name)
{
    static const char name[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char query[100];

    pki_make();
    pki.enrollment = true;
    device_cert(pki.factory, name, 0);
    begin();
    struct claim c = {.account = DBT_ACCOUNT};
    ck_assert_int_eq(dbt_write(put_claim, &c), DR_OK);
    (void)snprintf(query, sizeof query, "ep=%s", name);
    boot(query);
    ck_assert(rig.c.finished);
    end();
}
END_TEST

/* ---- who may not ---- */

static const struct {
    const char *why, *before, *after; /* of the device's account, if there is something behind it */
    uint8_t code;
} refusals[] = {
    {"another name than the certificate's", "ep=node-2&aid=", "&x=1", CX_BAD_REQUEST},
    {"another account", "ep=" ENDPOINT "&aid=000000000000000000000000000007d0", NULL, CX_FORBIDDEN},
    {"one account in aid, another in d",
     "ep=" ENDPOINT "&aid=", "&d=000000000000000000000000000007d0", CX_FORBIDDEN},
    {"no account at all", "ep=" ENDPOINT "&aid=", NULL, CX_FORBIDDEN},
};

START_TEST(claims_that_disagree_are_refused)
{
    char query[200];

    pki_make();
    begin();
    (void)snprintf(query, sizeof query, "%s%s%s", refusals[_i].before,
                   refusals[_i].after == NULL ? "" : pki.account,
                   refusals[_i].after == NULL ? "" : refusals[_i].after);
    ck_assert_msg(ask(query) == refusals[_i].code, "%s: %u.%02u", refusals[_i].why, rig.c.code >> 5,
                  rig.c.code & 31);
    ck_assert_int_eq(device().id, 0);
    end();
}
END_TEST

START_TEST(certificates_that_are_refused)
{
    pki_make();
    switch (_i) {
    case 0: /* of an authority that nobody trusts */
        device_cert(pki.foreign, ENDPOINT, 0);
        break;
    case 1: /* of one that we use for others */
        device_cert(pki.device_issuer, ENDPOINT, 0);
        break;
    default: /* over */
        device_cert(pki.factory, ENDPOINT, 86400000);
        break;
    }
    setup_with(1000);
    if (rig.c.connect_err == DR_OK) { /* the alert may come behind our Finished */
        boot_client_request(&rig.c, CX_POST, "bs", "ep=" ENDPOINT, -1);
        UNTIL(rig.c.answered);
        ck_assert_int_ne(rig.c.err, DR_OK);
    }
    ck_assert_int_eq(device().id, 0);
    end();
}
END_TEST

START_TEST(an_authority_that_cannot_sign_now)
{
    pki_make();
    begin();
    pki.issue_err = DR_ERR_BUSY;
    ck_assert_uint_eq(ask("ep=" ENDPOINT), CX_UNAVAILABLE);
    UNTIL(sessions() == 0);
    ck_assert_uint_eq(rig.c.n_seen, 0);
    pki.issue_err = DR_OK;
    boot("ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    end();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bootstrap with certificates");

    add_loop(s, "1.1", a_1_1_device_gets_a_certificate_and_the_authority_of_the_server, 1);
    add_loop(s, "1.0", a_1_0_device_gets_the_certificate_of_the_server_itself, 1);
    add_loop(s, "pack", a_pack_holds_certificate_and_key, 1);
    add_loop(s, "psk", a_certificate_may_be_traded_for_a_psk, 1);
    add_loop(s, "pelion", pelion_devices_get_their_form, 1);
    add_loop(s, "est", pelion_devices_may_make_their_key_themselves, 1);
    add_loop(s, "refuses", pelion_devices_that_refuse, 5);
    add_loop(s, "cut", pelion_sessions_may_end_anywhere, 4);
    add_loop(s, "tls", devices_may_come_over_tls, 2);
    add_loop(s, "pelion psk", pelion_form_with_a_psk, 1);
    add_loop(s, "directory", the_directory_names_the_certificate, 1);
    add_loop(s, "first to claim", a_device_belongs_to_who_claimed_it, 4);
    add_loop(s, "routes", other_paths_know_whose_the_device_is, 2);
    add_loop(s, "denied", a_device_that_nobody_claimed_is_refused_and_noted, 1);
    add_loop(s, "forgotten", a_forgotten_certificate_comes_anew, 1);
    add_loop(s, "remembered", so_many_certificates_are_remembered, 1);
    add_loop(s, "longest", the_longest_name, 1);
    add_loop(s, "claims", claims_that_disagree_are_refused, DR_ARRAY_LEN(refusals));
    add_loop(s, "refused", certificates_that_are_refused, 3);
    add_loop(s, "busy", an_authority_that_cannot_sign_now, 1);
    return dbt_main(s);
}
