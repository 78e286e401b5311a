/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: keys of handshakes and what certificates stand for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "db/psk.h"
#include "devices/op_priv.h"
#include "devices/rules.h"

struct psk_ask {
    struct db_read read;
    struct dev_shard *s;
    uint64_t handle;
    char identity[CX_IDENTITY_MAX + 1];
    bool found;
    struct cx_identity id;
    char endpoint[DEV_NAME_MAX + 1];
    uint8_t key[DB_PSK_KEY_MAX];
    size_t key_len;
};

static dr_err_t psk_copy(void *data, const struct db_psk *row)
{
    struct psk_ask *ask = data;

    if (strlen(row->endpoint_name) > DEV_NAME_MAX || row->key.len > sizeof ask->key) {
        return DR_OK; /* cannot register: as unknown */
    }
    (void)snprintf(ask->endpoint, sizeof ask->endpoint, "%s", row->endpoint_name);
    memcpy(ask->key, row->key.p, row->key.len);
    ask->key_len = row->key.len;
    ask->id = (struct cx_identity){.kind = CX_ID_PSK,
                                   .account = row->account,
                                   .credential = row->id,
                                   .version = (uint32_t)row->version,
                                   .name = ask->endpoint};
    ask->found = true;
    return DR_OK;
}

static dr_err_t psk_run(struct db_reader *r, struct db_read *read)
{
    struct psk_ask *ask = DR_CONTAINER_OF(read, struct psk_ask, read);

    return db_psk_find(r, dr_bytes_str(ask->identity), psk_copy, ask);
}

static void psk_done(struct db_read *read, dr_err_t err)
{
    struct psk_ask *ask = DR_CONTAINER_OF(read, struct psk_ask, read);
    struct dev_shard *s = ask->s;

    if (err == DR_OK && ask->found) {
        cx_psk_answer(s->engine, ask->handle, ask->key, ask->key_len, &ask->id);
    } else {
        cx_psk_answer(s->engine, ask->handle, NULL, 0, NULL);
    }
    dr_wipe(ask, sizeof *ask);
    free(ask);
    s->reads--;
    dev_op_end_check(s);
}

void dev_on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    struct dev_shard *s = data;
    struct psk_ask *ask = s->ending ? NULL : calloc(1, sizeof *ask);

    if (ask == NULL || strlen(q->identity) > CX_IDENTITY_MAX) {
        free(ask);
        cx_psk_answer(e, q->handle, NULL, 0, NULL);
        return;
    }
    ask->read = (struct db_read){.home = s->loop, .fn = psk_run, .done = psk_done};
    ask->s = s;
    ask->handle = q->handle;
    (void)snprintf(ask->identity, sizeof ask->identity, "%s", q->identity);
    if (db_read_start(s->db, &ask->read) != DR_OK) {
        free(ask); /* no answer: the device repeats its hello, the handshake times out here */
        return;
    }
    s->reads++;
}

dr_err_t dev_on_cert(void *data, struct cx_engine *e, uint64_t anchor_tag, const char *cn,
                     const uint8_t *leaf_der, size_t leaf_len, struct cx_identity *id)
{
    (void)data;
    (void)e;
    (void)cn;
    (void)leaf_der;
    (void)leaf_len;
    if (anchor_tag == 0 || anchor_tag > INT64_MAX) {
        return DR_ERR_DENIED;
    }
    id->account = (int64_t)anchor_tag;
    id->credential = 0;
    id->version = 0;
    return DR_OK;
}
