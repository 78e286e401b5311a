/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: keys of handshakes and what certificates stand for. */
#include "db/psk.h"
#include "devices/op_priv.h"
#include "devices/trust.h"

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
    const struct dev_shard *s = data;
    struct dev_trust *trust = s->core->cfg.trust;
    struct dev_trust_id who = {.account = (int64_t)anchor_tag};

    (void)e;
    if (anchor_tag == 0 || anchor_tag > INT64_MAX || cn == NULL || cn[0] == '\0') {
        return DR_ERR_DENIED;
    }
    if (trust != NULL) {
        dr_err_t err =
            dev_trust_identify(trust, CERT_SERVICE_LWM2M, anchor_tag, leaf_der, leaf_len, &who);
        if (err != DR_OK) {
            return err;
        }
    }
    id->account = who.account;
    id->credential = who.anchor;
    id->version = 0;
    id->device = who.device;
    return DR_OK;
}
