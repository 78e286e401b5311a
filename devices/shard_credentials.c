/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: keys of handshakes and what certificates stand for. */
#include "db/psk.h"
#include "devices/op_priv.h"

static void asked(struct dev_psk_asker *a)
{
    dev_op_end_check(DR_CONTAINER_OF(a, struct dev_shard, psks));
}

void dev_on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    struct dev_shard *s = data;

    s->psks.loop = s->loop;
    s->psks.db = s->db;
    s->psks.engine = e;
    s->psks.uses = 1U << DB_PSK_OPERATOR | 1U << DB_PSK_BOOTSTRAPPED | 1U << DB_PSK_OFFERED;
    s->psks.ending = s->ending;
    s->psks.ended = asked;
    dev_psk_ask(&s->psks, q);
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
