/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: requests of devices that bootstrap, and the life of their sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/sm.h"
#include "base/text.h"
#include "devices/boot_priv.h"

/* Between the endpoint name and what is known of a certificate, in the name of an association. */
#define NAME_MARK '\x1f'

static const struct dr_sm_state boot_states[] = {
    [BOOT_LOOKING] = {.name = "looking", .to = DR_SM_TO(BOOT_MAKING) | DR_SM_TO(BOOT_FAILED)},
    [BOOT_MAKING] = {.name = "making",
                     .to = DR_SM_TO(BOOT_TALKING) | DR_SM_TO(BOOT_STORING) | DR_SM_TO(BOOT_FAILED)},
    [BOOT_TALKING] = {.name = "talking", .to = DR_SM_TO(BOOT_STORING) | DR_SM_TO(BOOT_FAILED)},
    [BOOT_STORING] = {.name = "storing",
                      .to =
                          DR_SM_TO(BOOT_FINISHING) | DR_SM_TO(BOOT_NOTING) | DR_SM_TO(BOOT_FAILED)},
    [BOOT_FINISHING] = {.name = "finishing",
                        .to =
                            DR_SM_TO(BOOT_TALKING) | DR_SM_TO(BOOT_NOTING) | DR_SM_TO(BOOT_FAILED)},
    [BOOT_NOTING] = {.name = "noting", .to = DR_SM_TO(BOOT_DONE) | DR_SM_TO(BOOT_FAILED)},
    [BOOT_DONE] = {.name = "done", .final = true},
    [BOOT_FAILED] = {.name = "failed", .final = true, .failure = true},
};

/* A session that talks has answered the request; one that is prepared has not. */
static bool boot_invariant(const void *obj, uint8_t state)
{
    const struct boot_session *s = obj;

    return (state != BOOT_TALKING && state != BOOT_FINISHING) || s->x == 0;
}

const struct dr_sm boot_sm = {"boot", boot_states, DR_ARRAY_LEN(boot_states), boot_invariant};

void boot_state_set(struct boot_session *s, enum boot_state state)
{
    dr_assert(s != NULL);
    dr_sm_move(&boot_sm, &s->state, (uint8_t)state, s);
    if (s->sh->test_hook != NULL) {
        s->sh->test_hook(s->sh->test_data, s);
    }
}

/* ---- the end of a session ---- */

static void stop_check(struct boot_shard *sh)
{
    if (sh->stop_waits && sh->n_sessions == 0 && sh->psks.under_way == 0) {
        sh->stop_waits = false;
        loop_call_done(&sh->stop_call, DR_OK);
    }
}

void boot_psk_ended(struct dev_psk_asker *a)
{
    stop_check(DR_CONTAINER_OF(a, struct boot_shard, psks));
}

static void session_free(struct boot_session *s)
{
    struct boot_shard *sh = s->sh;

    lwm2m_nodes_fini(&s->nodes);
    if (s->body != NULL) {
        dr_wipe(s->body, s->body_len);
        free(s->body);
    }
    if (s->issued != NULL) {
        dr_wipe(s->issued, sizeof *s->issued);
        free(s->issued);
    }
    free(s->policy.objects);
    dr_wipe(s, sizeof *s);
    free(s);
    sh->n_sessions--;
    stop_check(sh);
}

void boot_end(struct boot_session *s)
{
    dr_assert(s != NULL && !s->dead && dr_sm_is_final(&boot_sm, s->state));
    struct boot_shard *sh = s->sh;

    dr_timer_cancel(loop_wheel(sh->loop), &s->timer);
    dr_list_remove(&s->node);
    dr_metric_change(&boot_metrics[BOOT_M_SESSIONS], -1);
    if (s->waiting) {
        s->dead = true;
        if (s->call.cb != NULL && sh->engine != NULL) {
            cx_call_cancel(sh->engine, &s->call);
        }
        return;
    }
    session_free(s);
}

bool boot_back(struct boot_session *s)
{
    dr_assert(s != NULL && s->waiting);
    s->waiting = false;
    if (s->dead) {
        session_free(s);
        return true;
    }
    return false;
}

static void answer(struct boot_shard *sh, cx_exchange_t x, uint8_t code)
{
    const struct cx_reply reply = {.code = code};

    if (x != 0) {
        (void)cx_answer(sh->engine, x, &reply); /* a peer that has gone */
    }
}

void boot_fail(struct boot_session *s, uint8_t code, const char *why)
{
    dr_assert(s != NULL && why != NULL);
    if (s->x != 0 && code != 0) {
        answer(s->sh, s->x, code);
    } else if (s->x != 0) {
        cx_forget(s->sh->engine, s->x);
    }
    s->x = 0;
    dr_metric_inc(&boot_metrics[BOOT_M_FAILED]);
    DR_LOG_LIMITED(DR_LOG_WARNING, "bootstrap", 5, "bootstrap of '%s' ended while %s: %s",
                   s->endpoint, dr_sm_state_name(&boot_sm, s->state), why);
    boot_state_set(s, BOOT_FAILED);
    boot_end(s);
}

void boot_fail_store(struct boot_session *s, dr_err_t err)
{
    boot_fail(s, err == DR_ERR_DENIED ? CX_FORBIDDEN : CX_UNAVAILABLE, dr_err_str(err));
}

static void session_late(struct dr_timer *t, uint64_t now_ms)
{
    struct boot_session *s = DR_CONTAINER_OF(t, struct boot_session, timer);

    (void)now_ms;
    boot_fail(s, CX_UNAVAILABLE, "time limit");
}

/* ---- who asks ---- */

static uint64_t identity_hash(const struct dev_boot *boot, int64_t account, const char *endpoint)
{
    uint8_t in[8 + DEV_ENDPOINT_MAX];
    size_t len = strlen(endpoint);

    dr_assert(len <= DEV_ENDPOINT_MAX);
    dr_store_be(in, (uint64_t)account, 8);
    memcpy(in + 8, endpoint, len);
    return dr_siphash(&boot->key, in, 8 + len);
}

static struct boot_session *session_find(struct boot_shard *sh, uint64_t hash, int64_t account,
                                         const char *endpoint)
{
    DR_LIST_EACH(it, &sh->buckets[hash % BOOT_BUCKETS])
    {
        struct boot_session *s = DR_CONTAINER_OF(it, struct boot_session, node);
        if (s->hash == hash && s->account == account && strcmp(s->endpoint, endpoint) == 0) {
            return s;
        }
    }
    return NULL;
}

static bool rate_take(struct boot_shard *sh, uint64_t hash)
{
    const struct dev_boot_config *cfg = &sh->boot->cfg;
    struct boot_rate *r = &sh->rates[(hash >> 8) % BOOT_RATE_SLOTS];
    uint32_t now = (uint32_t)loop_now_ms(sh->loop), key = (uint32_t)(hash >> 32) | 1;

    if (r->key != key) {
        *r = (struct boot_rate){.key = key, .at_ms = now, .left = cfg->burst};
    }
    uint32_t more = (now - r->at_ms) / cfg->refill_ms;
    r->at_ms += more * cfg->refill_ms;
    r->left = more > cfg->burst - r->left ? cfg->burst : r->left + more;
    if (r->left == 0) {
        return false;
    }
    r->left--;
    return true;
}

/* ---- certificates: what each stands for is asked once, at its handshake ---- */

static struct dr_list *leaf_bucket(struct boot_shard *sh, const uint8_t fingerprint[32])
{
    return &sh->leaves[(fingerprint[0] << 8U | fingerprint[1]) % BOOT_LEAF_BUCKETS];
}

static struct boot_leaf *leaf_find(struct boot_shard *sh, const uint8_t fingerprint[32])
{
    DR_LIST_EACH(it, leaf_bucket(sh, fingerprint))
    {
        struct boot_leaf *leaf = DR_CONTAINER_OF(it, struct boot_leaf, bucket);
        if (memcmp(leaf->cert.fingerprint, fingerprint, sizeof leaf->cert.fingerprint) == 0) {
            return leaf;
        }
    }
    return NULL;
}

static void leaf_free(struct boot_shard *sh, struct boot_leaf *leaf)
{
    dr_list_remove(&leaf->bucket);
    dr_list_remove(&leaf->age);
    free(leaf);
    sh->n_leaves--;
}

void boot_leaves_free(struct boot_shard *sh)
{
    dr_assert(sh != NULL);
    DR_LIST_EACH_SAFE(it, &sh->leaf_ages)
    {
        leaf_free(sh, DR_CONTAINER_OF(it, struct boot_leaf, age));
    }
}

static dr_err_t leaf_put(struct boot_shard *sh, const struct dev_boot_cert *cert)
{
    struct boot_leaf *leaf = leaf_find(sh, cert->fingerprint);

    if (leaf == NULL) {
        leaf = calloc(1, sizeof *leaf);
        if (leaf == NULL) {
            return DR_ERR_NOMEM;
        }
        dr_list_push_back(leaf_bucket(sh, cert->fingerprint), &leaf->bucket);
        sh->n_leaves++;
    } else {
        dr_list_remove(&leaf->age);
    }
    leaf->cert = *cert;
    leaf->claimed = 0;
    dr_list_push_back(&sh->leaf_ages, &leaf->age);
    if (sh->n_leaves > DEV_BOOT_LEAVES_MAX) {
        leaf_free(sh, DR_LIST_FIRST(&sh->leaf_ages, struct boot_leaf, age));
    }
    return DR_OK;
}

/* The name of an association is that of the endpoint and, for a certificate, its fingerprint. */
static dr_err_t on_cert(void *data, struct cx_engine *e, uint64_t anchor_tag, const char *cn,
                        const uint8_t *leaf_der, size_t leaf_len, struct cx_identity *id)
{
    struct boot_shard *sh = data;
    const struct dev_boot_config *cfg = &sh->boot->cfg;
    struct dev_boot_cert c = {.account = (int64_t)anchor_tag};
    char text[DR_BASE64_LEN(sizeof c.fingerprint) + 1] = "";
    dr_err_t err = DR_OK;

    (void)e;
    if (anchor_tag == 0 || anchor_tag > INT64_MAX || cn == NULL || cn[0] == '\0' ||
        strlen(cn) > DEV_ENDPOINT_MAX || strchr(cn, NAME_MARK) != NULL) {
        return DR_ERR_DENIED;
    }
    if (cfg->identify != NULL) {
        err = cfg->identify(cfg->data, anchor_tag, leaf_der, leaf_len, &c);
    }
    if (err == DR_OK && c.has_fingerprint) {
        (void)dr_base64url_encode(c.fingerprint, sizeof c.fingerprint, text);
        err = leaf_put(sh, &c);
    }
    if (err == DR_OK) {
        (void)snprintf(sh->name, sizeof sh->name, "%s%c%s", cn, NAME_MARK, text);
        id->account = c.account;
        id->credential = c.credential;
        id->version = 0;
        id->name = sh->name;
    }
    return err;
}

/* Who the peer is. 0 or the code to refuse it with. */
static uint8_t identity_take(struct boot_session *s, const struct cx_identity *id)
{
    const char *name = id->name == NULL ? "" : id->name;
    const char *mark = id->kind == CX_ID_CERT ? strchr(name, NAME_MARK) : NULL;
    size_t len = mark != NULL ? (size_t)(mark - name) : strlen(name);
    uint8_t fingerprint[sizeof s->cert.fingerprint];

    if (id->kind == CX_ID_NONE || len == 0 || len > DEV_ENDPOINT_MAX) {
        return CX_FORBIDDEN;
    }
    memcpy(s->endpoint, name, len);
    s->endpoint[len] = '\0';
    s->kind = id->kind;
    s->account = id->account;
    s->credential = id->credential;
    s->version_of_credential = id->version;
    if (mark == NULL || mark[1] == '\0') {
        return 0;
    }
    const struct boot_leaf *leaf = dr_base64url_decode(mark + 1, strlen(mark + 1), fingerprint,
                                                       sizeof fingerprint, &len) == DR_OK
                                       ? leaf_find(s->sh, fingerprint)
                                       : NULL;
    if (leaf == NULL) { /* so many came since that it was forgotten: it has to come anew */
        cx_peer_close(s->sh->engine, s->peer);
        return CX_UNAVAILABLE;
    }
    s->cert = leaf->cert;
    s->claimed = leaf->claimed;
    return 0;
}

static void on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    struct boot_shard *sh = data;

    (void)e;
    dev_psk_ask(&sh->psks, q);
}

/* ---- keys ---- */

static void issue_run(struct loop_work *work)
{
    struct boot_session *s = DR_CONTAINER_OF(work, struct boot_session, work);
    const struct dev_boot_config *cfg = &s->sh->boot->cfg;
    const struct dev_boot_subject subject = {
        .account = s->account, .device = s->device, .endpoint = s->endpoint};

    s->issue_err = cfg->issue(cfg->data, &subject, s->issued);
}

static void issue_done(struct loop_work *work, dr_err_t err)
{
    struct boot_session *s = DR_CONTAINER_OF(work, struct boot_session, work);

    if (boot_back(s)) {
        return;
    }
    if (err == DR_OK) {
        err = s->issue_err;
    }
    if (err != DR_OK) {
        boot_fail(s, CX_UNAVAILABLE, dr_err_str(err));
        return;
    }
    boot_talk(s);
}

static void psk_make(struct boot_session *s)
{
    char unique[17];

    /* unique in the installation: 64 random bits behind the name */
    (void)snprintf(unique, sizeof unique, "%016llx", (unsigned long long)dr_rand_u64());
    (void)snprintf(s->psk_identity, sizeof s->psk_identity, "%s.%s", s->endpoint, unique);
    dr_rand_bytes(s->psk, sizeof s->psk);
}

static void keys_make(struct boot_session *s)
{
    boot_state_set(s, BOOT_MAKING);
    dr_err_t err = boot_plan_mode(s, &s->mode);

    if (err == DR_OK && s->mode == LWM2M_SECURITY_PSK) {
        psk_make(s);
    }
    if (err == DR_OK && s->mode == LWM2M_SECURITY_X509) {
        s->issued = calloc(1, sizeof *s->issued);
        err = s->issued == NULL ? DR_ERR_NOMEM
                                : loop_work_start(s->sh->loop, &s->work, issue_run, issue_done);
        if (err == DR_OK) {
            s->waiting = true;
            return;
        }
    }
    if (err != DR_OK) {
        boot_fail(s, s->pack && err == DR_ERR_UNSUPPORTED ? CX_NOT_ALLOWED : CX_UNAVAILABLE,
                  err == DR_ERR_UNSUPPORTED ? "no such keys for this device" : dr_err_str(err));
        return;
    }
    boot_talk(s);
}

/* What the device claims of its account: aid and d are Pelion's, either may be absent.
 * @return false  it contradicts itself, or is no account */
static bool claim_take(struct boot_session *s, const struct lwm2m_bootstrap *bs)
{
    for (size_t i = 0; i < bs->extra_count; i++) {
        const struct lwm2m_pair *p = &bs->extra[i];
        if (!lwm2m_str_eq(p->key, "aid") && !lwm2m_str_eq(p->key, "d")) {
            continue;
        }
        if (p->value.len != DR_ID_LEN ||
            (s->claim[0] != '\0' && memcmp(s->claim, p->value.ptr, DR_ID_LEN) != 0)) {
            return false;
        }
        memcpy(s->claim, p->value.ptr, DR_ID_LEN);
    }
    return true;
}

/* Is it true? The same work for an account that is another's and one that nobody has. */
static bool claim_agrees(const struct boot_session *s)
{
    char text[DR_ID_LEN + 1];

    dr_id_format(s->account, text);
    return s->claim[0] == '\0' || dr_ct_equal(s->claim, text, DR_ID_LEN);
}

/* ---- store: what the device may have ---- */

static dr_err_t begin_run(struct db_writer *w, struct db_job *job)
{
    struct boot_session *s = DR_CONTAINER_OF(job, struct boot_session, job);

    return db_boot_begin(w, &s->begin, &s->device);
}

static void begin_done(struct db_job *job, dr_err_t err)
{
    struct boot_session *s = DR_CONTAINER_OF(job, struct boot_session, job);

    if (boot_back(s)) {
        return;
    }
    if (err != DR_OK) {
        boot_fail_store(s, err);
        return;
    }
    keys_make(s);
}

static void begin_start(struct boot_session *s)
{
    s->begin = (struct db_boot_begin){
        .account = s->account,
        .endpoint_name = s->endpoint,
        .new_device = dr_id_new(s->sh->ids),
        .event_ids = {dr_id_new(s->sh->ids), dr_id_new(s->sh->ids)},
        .at_ms = dr_wall_ms(),
        .execution_mode = s->cert.execution_mode,
    };
    s->job = (struct db_job){
        .home = s->sh->loop, .run = begin_run, .done = begin_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->sh->boot->cfg.db, &s->job);
    if (err != DR_OK) {
        boot_fail(s, CX_UNAVAILABLE, dr_err_str(err));
        return;
    }
    s->waiting = true;
}

static dr_err_t look_policy(void *data, const struct db_boot_policy *row)
{
    struct boot_session *s = data;
    struct boot_policy *p = &s->policy;

    free(p->objects);
    *p = (struct boot_policy){.lifetime_s = row->lifetime_s,
                              .security = row->security,
                              .ssid = row->short_server_id,
                              .hold_off_s = row->hold_off_s,
                              .pmin_s = row->pmin_s,
                              .pmax_s = row->pmax_s,
                              .store = row->store,
                              .verify = row->verify,
                              .reset = row->reset};
    if (strlen(row->server_uri) > DEV_BOOT_URI_MAX ||
        strlen(row->binding) > LWM2M_BINDING_STR_MAX ||
        strlen(row->objects) > DEV_BOOT_OBJECTS_BYTES_MAX) {
        return DR_ERR_CORRUPT;
    }
    (void)snprintf(p->server_uri, sizeof p->server_uri, "%s", row->server_uri);
    (void)snprintf(p->binding, sizeof p->binding, "%s", row->binding);
    if (strlen(row->objects) > 2) { /* more than "[]" */
        p->objects = strdup(row->objects);
    }
    return strlen(row->objects) > 2 && p->objects == NULL ? DR_ERR_NOMEM : DR_OK;
}

static dr_err_t look_device(void *data, const struct db_device *row)
{
    struct boot_session *s = data;

    s->device = row->id;
    s->device_state = row->state;
    s->suspended = row->operator_suspended || row->system_suspended;
    return DR_OK;
}

static dr_err_t look_psk(void *data, const struct db_psk *row)
{
    struct boot_session *s = data;

    s->revoked = row->id != s->credential || row->version != (int64_t)s->version_of_credential;
    return DR_OK;
}

static dr_err_t look_enrollment(void *data, const struct db_enrollment *row)
{
    struct boot_session *s = data;

    s->enrollment = row->id;
    s->account = row->account;
    return DR_OK;
}

/* Whose is a device of an authority in enrolment mode? */
static dr_err_t look_claim(struct db_reader *r, struct boot_session *s)
{
    const struct dr_bytes leaf = dr_bytes_of(s->cert.fingerprint, sizeof s->cert.fingerprint);
    const struct dr_bytes public_key = dr_bytes_of(s->cert.key_hash, sizeof s->cert.key_hash);
    dr_err_t err = db_enrollment_find(r, leaf, public_key, dr_wall_ms(), look_enrollment, s);

    s->unclaimed = err == DR_ERR_NOT_FOUND;
    return s->unclaimed ? DR_OK : err;
}

static dr_err_t look_run(struct db_reader *r, struct db_read *read)
{
    struct boot_session *s = DR_CONTAINER_OF(read, struct boot_session, read);
    dr_err_t err = DR_OK;

    if (s->kind == CX_ID_CERT && s->cert.enrollment) {
        err = look_claim(r, s);
        if (err != DR_OK || s->unclaimed) {
            return err;
        }
    }

    if (s->kind == CX_ID_PSK) { /* the association may be older than the last change of keys */
        err = db_psk_get(r, s->account, s->endpoint, DB_PSK_OPERATOR, look_psk, s);
        s->revoked = s->revoked || err == DR_ERR_NOT_FOUND;
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    if (err == DR_OK) {
        err = db_device_find(r, s->account, s->endpoint, look_device, s);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    if (err == DR_OK) {
        err = db_boot_policy_find(r, s->account, s->endpoint, s->enrollment != 0, look_policy, s);
    }
    return err;
}

static dr_err_t deny_run(struct db_writer *w, struct db_job *job)
{
    return db_denial_note(w, &DR_CONTAINER_OF(job, struct boot_session, job)->denial);
}

static void deny_done(struct db_job *job, dr_err_t err)
{
    struct boot_session *s = DR_CONTAINER_OF(job, struct boot_session, job);

    (void)err; /* refused all the same */
    if (!boot_back(s)) {
        dr_metric_inc(&boot_metrics[BOOT_M_REFUSED]);
        boot_fail(s, CX_FORBIDDEN, "nobody has claimed it");
    }
}

static void deny_start(struct boot_session *s)
{
    s->denial = (struct db_denial){.id = dr_id_new(s->sh->ids),
                                   .account = s->account,
                                   .endpoint_name = s->endpoint,
                                   .trusted_cert = s->credential};
    s->job = (struct db_job){
        .home = s->sh->loop, .run = deny_run, .done = deny_done, .lane = DB_LANE_ACK};
    if (db_submit(s->sh->boot->cfg.db, &s->job) != DR_OK) {
        boot_fail(s, CX_UNAVAILABLE, "the store is busy");
        return;
    }
    s->waiting = true;
}

static void look_done(struct db_read *read, dr_err_t err)
{
    struct boot_session *s = DR_CONTAINER_OF(read, struct boot_session, read);

    if (boot_back(s)) {
        return;
    }
    if (err != DR_OK) {
        boot_fail(s, CX_UNAVAILABLE, dr_err_str(err));
        return;
    }
    if (s->unclaimed) {
        deny_start(s);
        return;
    }
    struct boot_leaf *leaf = s->enrollment != 0 ? leaf_find(s->sh, s->cert.fingerprint) : NULL;
    if (leaf != NULL) {
        leaf->claimed = s->account;
    }
    bool agrees = claim_agrees(s);
    if (s->suspended || s->revoked || !agrees) {
        dr_metric_inc(&boot_metrics[BOOT_M_REFUSED]);
        boot_fail(s, CX_FORBIDDEN,
                  !agrees      ? "it names another account"
                  : s->revoked ? "its key was taken back"
                               : "suspended");
        return;
    }
    if (s->device == 0 || s->device_state == DB_DEVICE_UNENROLLED) {
        begin_start(s);
    } else {
        keys_make(s);
    }
}

static void look_start(struct boot_session *s)
{
    s->read = (struct db_read){.home = s->sh->loop, .fn = look_run, .done = look_done};
    if (db_read_start(s->sh->boot->cfg.db, &s->read) != DR_OK) {
        boot_fail(s, CX_UNAVAILABLE, "the store is busy");
        return;
    }
    s->waiting = true;
}

/* ---- requests ---- */

static bool has_extra(const struct lwm2m_bootstrap *bs, const char *key)
{
    for (size_t i = 0; i < bs->extra_count; i++) {
        if (lwm2m_str_eq(bs->extra[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* spec: LWM2M-1.2.1-CORE#6.1.7.7: acc names the instances of bootstrap accounts */
static void accounts_read(struct boot_session *s, const struct lwm2m_bootstrap *bs)
{
    for (size_t i = 0; i < bs->extra_count; i++) {
        if (lwm2m_str_eq(bs->extra[i].key, "acc")) {
            s->discovered = true;
            lwm2m_boot_accounts_read(bs->extra[i].value, &s->found);
        }
    }
}

/* Is the request one that may be served? 0 or the code to refuse it with. */
static uint8_t request_check(struct boot_session *s, const struct cx_inbound *in,
                             const struct lwm2m_bootstrap *bs)
{
    if (bs->ep.len != 0 &&
        (bs->ep.len != strlen(s->endpoint) || memcmp(bs->ep.ptr, s->endpoint, bs->ep.len) != 0)) {
        return CX_BAD_REQUEST; /* spec: LWM2M-1.1-CORE#6.1.7.1 */
    }
    /* of first to claim, the account is known only when the store has been asked */
    if (!claim_take(s, bs) || (!s->cert.enrollment && !claim_agrees(s))) {
        return CX_FORBIDDEN;
    }
    if (s->pack) {
        int32_t accept = in->pdu->accept;
        if (accept >= 0 && accept != LWM2M_CT_SENML_CBOR && accept != LWM2M_CT_SENML_JSON &&
            accept != LWM2M_CT_CBOR_MAP) {
            return CX_NOT_ACCEPTABLE;
        }
        s->pct = accept < 0 ? LWM2M_CT_SENML_CBOR : (uint16_t)accept;
        accounts_read(s, bs);
        return 0;
    }
    /* a Pelion client that is to be claimed knows no account and says nothing but its name */
    s->pelion = has_extra(bs, "aid") || has_extra(bs, "mccv") || has_extra(bs, "iep") ||
                (s->cert.enrollment && bs->pct == LWM2M_CT_NONE);
    s->pct = bs->pct;
    return 0;
}

/* All that can be said without the store. 0 or the code to refuse with. */
static uint8_t request_take(struct boot_session *s, const struct cx_inbound *in)
{
    struct lwm2m_str query[LWM2M_REG_QUERY_MAX];
    struct lwm2m_bootstrap bs;
    struct cx_opt_iter it = cx_opt_begin(in->pdu);
    struct cx_opt opt;
    struct cx_identity id;
    size_t n = 0;

    uint8_t code =
        cx_peer_identity(s->sh->engine, in->peer, &id) ? identity_take(s, &id) : CX_FORBIDDEN;
    if (code != 0) {
        return code;
    }
    while (cx_opt_next(&it, &opt)) {
        if (opt.num != CX_OPT_URI_QUERY) {
            continue;
        }
        if (n == LWM2M_REG_QUERY_MAX) {
            return CX_BAD_REQUEST;
        }
        query[n++] = (struct lwm2m_str){(const char *)opt.val, opt.len};
    }
    dr_err_t err = lwm2m_bootstrap_parse(query, n, &bs, NULL);
    if (err != DR_OK) {
        return err == DR_ERR_UNSUPPORTED ? CX_UNSUPPORTED_FORMAT : CX_BAD_REQUEST;
    }
    return request_check(s, in, &bs);
}

static uint8_t request_start(struct boot_shard *sh, const struct cx_inbound *in, bool pack)
{
    if (sh->n_sessions >= DEV_BOOT_SESSIONS_MAX) {
        return CX_UNAVAILABLE;
    }
    struct boot_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return CX_UNAVAILABLE;
    }
    s->sh = sh;
    s->peer = in->peer;
    s->pack = pack;
    uint8_t code = request_take(s, in);
    if (code == 0) {
        s->hash = identity_hash(sh->boot, s->account, s->endpoint);
        if (!rate_take(sh, s->hash)) {
            dr_metric_inc(&boot_metrics[BOOT_M_LIMITED]);
            code = CX_UNAVAILABLE;
        }
    }
    if (code != 0) {
        free(s);
        return code;
    }
    struct boot_session *old = session_find(sh, s->hash, s->account, s->endpoint);
    if (old != NULL) {
        boot_fail(old, 0, "the device began anew");
    }
    s->x = in->exchange;
    sh->n_sessions++;
    dr_list_push_back(&sh->buckets[s->hash % BOOT_BUCKETS], &s->node);
    dr_timer_init(&s->timer, session_late);
    dr_timer_start(loop_wheel(sh->loop), &s->timer, loop_now_ms(sh->loop) + DEV_BOOT_PREPARE_MS);
    dr_metric_inc(&boot_metrics[BOOT_M_STARTED]);
    dr_metric_change(&boot_metrics[BOOT_M_SESSIONS], 1);
    look_start(s);
    return 0;
}

static bool path_is(const struct cx_pdu *pdu, const char *name)
{
    struct cx_opt opt;

    return dev_route_segment(pdu, 0, &opt) && opt.len == strlen(name) &&
           memcmp(opt.val, name, opt.len) == 0 && !dev_route_segment(pdu, 1, &opt);
}

static void on_route(struct boot_shard *sh, const struct cx_inbound *in)
{
    struct boot_session who = {.sh = sh, .peer = in->peer};
    struct dev_route_req req = {
        .to = {.home = &sh->home, .exchange = in->exchange}, .peer = in->peer, .pdu = in->pdu};

    if (!cx_peer_identity(sh->engine, in->peer, &req.id) || identity_take(&who, &req.id) != 0) {
        answer(sh, in->exchange, CX_NOT_FOUND);
        return;
    }
    req.account = who.cert.enrollment ? who.claimed : who.account;
    req.device = (int64_t)cx_peer_user(sh->engine, in->peer);
    req.endpoint = who.endpoint;
    if (req.account == 0) { /* nobody's, as far as is known */
        answer(sh, in->exchange, CX_FORBIDDEN);
        return;
    }
    if (!dev_routes_run(&sh->boot->routes, &req)) {
        answer(sh, in->exchange, CX_NOT_FOUND);
    }
}

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct boot_shard *sh = data;
    bool bs = path_is(in->pdu, "bs"), pack = path_is(in->pdu, "bspack");

    if (sh->ending) {
        cx_forget(e, in->exchange);
        return;
    }
    if (!bs && !pack) {
        on_route(sh, in);
        return;
    }
    uint8_t code =
        in->pdu->code == (bs ? CX_POST : CX_GET) ? request_start(sh, in, pack) : CX_NOT_ALLOWED;
    if (code != 0) {
        dr_metric_inc(&boot_metrics[BOOT_M_REFUSED]);
        answer(sh, in->exchange, code);
    }
}

const struct cx_ops dev_boot_cx_ops = {
    .request = on_request,
    .psk = on_psk,
    .cert = on_cert,
};

/* ---- stop ---- */

void boot_shard_stop(struct loop_call *call)
{
    struct boot_shard *sh = DR_CONTAINER_OF(call, struct boot_shard, stop_call);

    sh->ending = true;
    sh->psks.ending = true;
    sh->home.engine = NULL;
    for (unsigned i = 0; i < BOOT_BUCKETS; i++) {
        DR_LIST_EACH_SAFE(it, &sh->buckets[i])
        {
            boot_fail(DR_CONTAINER_OF(it, struct boot_session, node), CX_UNAVAILABLE, "stop");
        }
    }
    sh->stop_waits = true;
    stop_check(sh);
}
