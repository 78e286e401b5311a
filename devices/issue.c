/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/issue.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "db/cert.h"
#include "db/db.h"
#include "devices/dev.h"

struct dev_issuer {
    const struct cert_authority *authority; /* borrowed */
    struct db *db;                          /* borrowed */
    pthread_mutex_t lock;                   /* for ids */
    struct dr_idgen ids;
};

/* The row of one certificate on its way to the store. */
struct note {
    struct db_job job;
    int64_t id, account, now_ms, not_after;
    char endpoint[CERT_NAME_MAX + 1], name[64], serial[2 * CERT_SERIAL_MAX + 1];
    uint8_t fingerprint[CERT_SHA256_LEN];
};

dr_err_t dev_issuer_new(const struct cert_authority *authority, struct db *db,
                        struct dev_issuer **ret)
{
    dr_assert(authority != NULL && db != NULL && ret != NULL);
    struct dev_issuer *i = calloc(1, sizeof *i);
    if (i == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = dr_idgen_init(&i->ids, NULL, NULL);
    if (err != DR_OK) {
        free(i);
        return err;
    }
    i->authority = authority;
    i->db = db;
    (void)pthread_mutex_init(&i->lock, NULL);
    *ret = i;
    return DR_OK;
}

struct dev_issuer *dev_issuer_free(struct dev_issuer *i)
{
    if (i != NULL) {
        dr_idgen_fini(&i->ids);
        (void)pthread_mutex_destroy(&i->lock);
        free(i);
    }
    return NULL;
}

static dr_err_t note_run(struct db_writer *w, struct db_job *job)
{
    const struct note *n = DR_CONTAINER_OF(job, struct note, job);
    const struct db_device_cert row = {
        .id = n->id,
        .account = n->account,
        .updated_at = n->now_ms,
        .endpoint_name = n->endpoint,
        .name = n->name,
        .serial = n->serial,
        .fingerprint = dr_bytes_of(n->fingerprint, sizeof n->fingerprint),
        .state = DB_CERT_ACTIVE,
        .not_after = n->not_after,
    };
    return db_device_cert_insert(w, &row);
}

static void note_done(struct db_job *job, dr_err_t err)
{
    struct note *n = DR_CONTAINER_OF(job, struct note, job);

    if (err != DR_OK) {
        DR_LOG(DR_LOG_WARNING, "issue", "an issued certificate is not in the database",
               DR_F_STR("serial", n->serial), DR_F_STR("why", dr_err_str(err)));
    }
    free(n);
}

static dr_err_t note(struct dev_issuer *i, const struct dev_issue_for *who,
                     const struct cert_issued *cert)
{
    struct note *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return DR_ERR_NOMEM;
    }
    (void)pthread_mutex_lock(&i->lock);
    n->id = dr_id_new(&i->ids);
    (void)pthread_mutex_unlock(&i->lock);
    n->account = who->account;
    n->now_ms = dr_wall_ms();
    n->not_after = cert->not_after_ms;
    (void)snprintf(n->endpoint, sizeof n->endpoint, "%s", who->endpoint);
    (void)snprintf(n->name, sizeof n->name, "%s", who->name);
    memcpy(n->serial, cert->serial, sizeof n->serial);
    memcpy(n->fingerprint, cert->fingerprint, sizeof n->fingerprint);
    n->job = (struct db_job){.run = note_run, .done = note_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(i->db, &n->job);
    if (err != DR_OK) {
        free(n);
    }
    return err;
}

struct texts {
    char account[DR_ID_LEN + 1], device[DR_ID_LEN + 1];
};

static struct cert_subject subject_of(const struct dev_issue_for *who, struct texts *t)
{
    dr_id_format(who->account, t->account);
    dr_id_format(who->device, t->device);
    return (struct cert_subject){.cn = who->endpoint, .ou = t->account, .l = t->device};
}

dr_err_t dev_issue_key(struct dev_issuer *i, const struct dev_issue_for *who,
                       struct cert_issued *ret, struct cert_key **ret_key)
{
    dr_assert(i != NULL && who != NULL && ret != NULL && ret_key != NULL);
    struct texts t;
    const struct cert_subject s = subject_of(who, &t);
    struct cert_key *key = NULL;
    dr_err_t err = cert_key_generate(&key);

    if (err == DR_OK) {
        err = cert_issue_key(i->authority, &s, CERT_USE_DEVICE, key, 0, ret);
    }
    if (err == DR_OK) {
        err = note(i, who, ret);
    }
    if (err != DR_OK) {
        cert_key_free(key);
        return err;
    }
    *ret_key = key;
    return DR_OK;
}

dr_err_t dev_issue_csr(struct dev_issuer *i, const struct dev_issue_for *who,
                       const struct cert_csr *csr, struct cert_issued *ret)
{
    dr_assert(i != NULL && who != NULL && csr != NULL && ret != NULL);
    struct texts t;
    const struct cert_subject s = subject_of(who, &t);
    dr_err_t err = cert_issue_csr(i->authority, &s, CERT_USE_DEVICE, csr, 0, ret);

    return err == DR_OK ? note(i, who, ret) : err;
}
