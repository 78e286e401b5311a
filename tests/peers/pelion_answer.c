/* SPDX-License-Identifier: Apache-2.0 */
/** What the server answers to our requests, and what we report by ourselves. */
#include <ctype.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/peers/pelion_me.h"

/* ---- answers to our requests ---- */

static void registered(const struct msg *m)
{
    char location[256];
    long max_age = msg_int(m, O_MAX_AGE);

    msg_path(m, O_LOCATION, location, sizeof location);
    ev("registered");
    ev_code(m->code);
    ev_str("location", location);
    ev_num("max_age", max_age);
    ev_num("blocks", (long)me.req.block + 1);
    ev_end();
    if (location[0] == '\0') {
        return; /* dropped: never registered */
    }
    snprintf(me.location, sizeof me.location, "%s", location);
    snprintf(me.iep, sizeof me.iep, "%s", strrchr(location, '/') + 1);
    if (max_age >= 60) {
        me.lifetime = max_age;
    }
    me.registered = true;
    for (size_t i = 0; i < res_count; i++) {
        res_list[i].fresh = false;
    }
}

static void refused(enum kind kind, unsigned code)
{
    static const char *const names[] = {"",    "register", "update",   "deregister",
                                        "est", "fw",       "bootstrap"};
    bool wipes = kind == K_REGISTER && (code == CODE(4, 0) || code == CODE(4, 3));

    ev("refused");
    ev_str("request", names[kind]);
    ev_code(code);
    ev_num("rebootstrap", wipes);
    ev_end();
    if (wipes) {
        me.registered = false;
        peer_drop(true);
    } else if (kind == K_UPDATE) { /* a full registration on the same connection */
        res_observers_clear();
        me.registered = false;
        peer_request(K_REGISTER);
    }
}

/* True while more has to be sent or asked for. */
static bool continues(const struct msg *m)
{
    struct req *q = &me.req;
    long block2 = msg_int(m, O_BLOCK2);

    if (m->code == CODE(2, 31)) {
        q->block++;
        peer_req_send();
        return true;
    }
    if (q->kind == K_EST && m->code >> 5 == 2) {
        static uint8_t body[BODY_MAX];
        if (q->got_len + m->len <= sizeof body) {
            memcpy(body + q->got_len, m->payload, m->len);
            q->got_len += m->len;
        }
        if (block2 >= 0 && (block2 & 8) != 0) {
            q->block = (unsigned)(block2 >> 4) + 1;
            peer_req_send();
            return true;
        }
        q->kind = K_NONE;
        peer_est_done(m->code, body, q->got_len);
        return true;
    }
    return false;
}

void peer_answer_in(const struct msg *m)
{
    enum kind kind = me.req.kind;

    for (unsigned i = 0; i < TX_MAX; i++) {
        if (me.tx[i].role == T_REQUEST) {
            me.tx[i].role = 0;
        }
    }
    if (kind == K_FW) {
        peer_fw_block(m);
        peer_queue_run();
        return;
    }
    if (continues(m)) {
        peer_queue_run();
        return;
    }
    me.req.kind = K_NONE;
    if (kind == K_EST) {
        peer_est_done(m->code, m->payload, m->len);
    } else if (kind == K_REGISTER && m->code == CODE(2, 1)) {
        registered(m);
    } else if (kind == K_UPDATE && m->code == CODE(2, 4)) {
        ev("updated");
        ev_code(m->code);
        ev_end();
    } else if (kind == K_DEREGISTER && m->code == CODE(2, 2)) {
        me.registered = false;
        ev("deregistered");
        ev_code(m->code);
        ev_end();
    } else if (kind == K_BOOTSTRAP && m->code == CODE(2, 4)) {
        me.boot_ready = true;
        ev("bootstrap-accepted");
        ev_end();
    } else {
        refused(kind, m->code);
    }
    peer_queue_run();
}

/* ---- notifications ---- */

void peer_notify_run(void)
{
    if (!me.registered || !me.net.open || peer_tx_busy(T_NOTIFY)) {
        return;
    }
    for (size_t i = 0; i < res_count; i++) {
        struct res *r = &res_list[i];
        uint8_t aobs[2] = {(uint8_t)(r->aobs >> 8), (uint8_t)r->aobs};
        struct wr w;
        if (!r->dirty) {
            continue;
        }
        r->dirty = false;
        me.mid = (me.mid + 1) & 0xffff;
        wr_begin(&w, CON, CODE(2, 5), me.mid, r->tkl != 0 ? r->token : aobs,
                 r->tkl != 0 ? r->tkl : 2);
        wr_int(&w, O_OBSERVE, ++r->seq);
        wr_int(&w, O_FORMAT, (r->flags & R_OPAQUE) != 0 ? 42 : 0);
        wr_opt(&w, O_MAX_AGE, NULL, 0);
        if (r->len > me.block) {
            wr_int(&w, O_BLOCK2, BLOCK(0, 1, peer_szx()));
            wr_int(&w, O_SIZE2, r->len);
        }
        wr_payload(&w, r->val, r->len > me.block ? me.block : r->len);
        peer_con(T_NOTIFY, &w)->res = r;
        return;
    }
}

void peer_changed(const char *path)
{
    struct res *r = res_find(path);

    if (r != NULL && (r->tkl != 0 || r->aobs != 0)) {
        r->dirty = true;
        peer_notify_run();
    }
}

void peer_notified(const struct tx *tx, const char *how)
{
    ev("notified");
    ev_str("path", tx->res->path);
    ev_str("how", how);
    ev_end();
    if (strcmp(how, "reset") == 0) {
        tx->res->tkl = 0;
    }
}
