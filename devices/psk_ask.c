/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: keys of handshakes. */
#include "devices/psk_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "db/db.h"
#include "devices/dev.h"

struct ask {
    struct db_read read;
    struct dev_psk_asker *a;
    uint64_t handle;
    uint32_t uses;
    char identity[CX_IDENTITY_MAX + 1];
    bool found;
    struct cx_identity id;
    char endpoint[DEV_ENDPOINT_MAX + 1];
    uint8_t key[DB_PSK_KEY_MAX];
    size_t key_len;
};

static dr_err_t ask_row(void *data, const struct db_psk *row)
{
    struct ask *ask = data;

    if ((ask->uses & (1U << row->use)) == 0 || strlen(row->endpoint_name) > DEV_ENDPOINT_MAX ||
        row->key.len > sizeof ask->key) {
        return DR_OK; /* no use here: as unknown */
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

static dr_err_t ask_run(struct db_reader *r, struct db_read *read)
{
    struct ask *ask = DR_CONTAINER_OF(read, struct ask, read);

    return db_psk_find(r, dr_bytes_str(ask->identity), ask_row, ask);
}

static void ask_done(struct db_read *read, dr_err_t err)
{
    struct ask *ask = DR_CONTAINER_OF(read, struct ask, read);
    struct dev_psk_asker *a = ask->a;

    if (err == DR_OK && ask->found) {
        cx_psk_answer(a->engine, ask->handle, ask->key, ask->key_len, &ask->id);
    } else {
        cx_psk_answer(a->engine, ask->handle, NULL, 0, NULL);
    }
    dr_wipe(ask, sizeof *ask);
    free(ask);
    a->under_way--;
    if (a->ended != NULL) {
        a->ended(a);
    }
}

void dev_psk_ask(struct dev_psk_asker *a, const struct cx_psk_query *q)
{
    dr_assert(a != NULL && a->engine != NULL && q != NULL);
    struct ask *ask = a->ending ? NULL : calloc(1, sizeof *ask);

    if (ask == NULL || strlen(q->identity) > CX_IDENTITY_MAX) {
        free(ask);
        cx_psk_answer(a->engine, q->handle, NULL, 0, NULL);
        return;
    }
    ask->read = (struct db_read){.home = a->loop, .fn = ask_run, .done = ask_done};
    ask->a = a;
    ask->uses = a->uses;
    ask->handle = q->handle;
    (void)snprintf(ask->identity, sizeof ask->identity, "%s", q->identity);
    if (db_read_start(a->db, &ask->read) != DR_OK) {
        free(ask); /* no answer: the device repeats its hello, the handshake times out here */
        return;
    }
    a->under_way++;
}
