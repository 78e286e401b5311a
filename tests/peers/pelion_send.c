/* SPDX-License-Identifier: Apache-2.0 */
/** What goes out: confirmable messages, and our requests one after the other. */
#include <ctype.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/peers/pelion_me.h"

static struct tx *tx_new(enum role role)
{
    for (unsigned i = 0; i < TX_MAX; i++) {
        if (me.tx[i].role == 0) {
            me.tx[i].role = role;
            return &me.tx[i];
        }
    }
    fail("too much in flight", 0);
    exit(1);
}

bool peer_tx_busy(enum role role)
{
    for (unsigned i = 0; i < TX_MAX; i++) {
        if (me.tx[i].role == role) {
            return true;
        }
    }
    return false;
}

struct tx *peer_con(enum role role, const struct wr *w)
{
    struct tx *tx = tx_new(role);

    memcpy(tx->buf, w->buf, w->len);
    tx->len = w->len;
    tx->mid = (unsigned)w->buf[2] << 8 | w->buf[3];
    tx->resends = 0;
    tx->res = NULL;
    tx->wait_ms = (uint64_t)me.ack_timeout + (uint64_t)(rand() % (int)(me.ack_timeout / 2));
    tx->at_ms = now_ms() + tx->wait_ms;
    (void)net_send(&me.net, w->buf, w->len);
    return tx;
}

/* The client's empty ACK has a Content-Format behind it. */
void peer_ack(unsigned mid)
{
    uint8_t b[5] = {0x60, 0, (uint8_t)(mid >> 8), (uint8_t)mid, 0xc0};

    if (me.drop_acks > 0) {
        me.drop_acks--;
        return;
    }
    (void)net_send(&me.net, b, sizeof b);
}

static void segments(struct wr *w, unsigned num, const char *text, char sep)
{
    while (*text != '\0') {
        const char *end = strchr(text, sep);
        size_t n = end == NULL ? strlen(text) : (size_t)(end - text);
        wr_opt(w, num, text, n);
        text += n + (end != NULL);
    }
}

unsigned peer_szx(void)
{
    return me.block == 256 ? 4 : 5;
}

static void path_of(enum kind kind, char out[300])
{
    static const char *const fixed[] = {
        [K_REGISTER] = "rd", [K_FW] = "fw", [K_BOOTSTRAP] = "bs", [K_NONE] = ""};

    if (kind == K_UPDATE || kind == K_DEREGISTER) {
        snprintf(out, 300, "%s", me.location);
    } else if (kind == K_EST) {
        snprintf(out, 300, me.req.name[0] == '\0' ? "est%ssen" : "est/%s/sen",
                 me.req.name[0] == '\0' ? "/" : me.req.name);
    } else {
        snprintf(out, 300, "%s", fixed[kind]);
    }
}

static void query_of(enum kind kind, char out[600])
{
    out[0] = '\0';
    if (kind == K_REGISTER) {
        snprintf(out, 600, "ep=%s&et=%s&lt=%ld&lwm2m=1.0&d=%s&b=%s&%s&mccv=4.13.2", me.ep, me.type,
                 me.lifetime, me.aid, me.binding, me.query);
    } else if (kind == K_UPDATE) {
        snprintf(out, 600, "et=%s", me.type);
    } else if (kind == K_BOOTSTRAP) {
        int n = snprintf(out, 600, "ep=%s", me.ep);
        if (me.boot_query[0] != '\0') {
            n += snprintf(out + n, (size_t)(600 - n), "&%s", me.boot_query);
            if (me.iep[0] != '\0') {
                n += snprintf(out + n, (size_t)(600 - n), "&iep=%s", me.iep);
            }
            snprintf(out + n, (size_t)(600 - n), "&mccv=4.13.2");
        }
    }
}

void peer_req_send(void)
{
    struct req *q = &me.req;
    static const unsigned codes[] = {[K_REGISTER] = POST, [K_UPDATE] = POST, [K_DEREGISTER] = DEL,
                                     [K_EST] = POST,      [K_FW] = GET,      [K_BOOTSTRAP] = POST};
    size_t from = (size_t)q->block * me.block;
    bool blocks = (q->kind == K_REGISTER || q->kind == K_UPDATE) && q->body_len > me.block;
    size_t n = q->body_len;
    char path[300], query[600];
    struct wr w;

    if (q->kind == K_FW) { /* a fresh one for every block */
        (void)mbedtls_ctr_drbg_random(&rng, q->token, TOKEN_LEN);
    }
    me.mid = (me.mid + 1) & 0xffff;
    wr_begin(&w, CON, codes[q->kind], me.mid, q->token, TOKEN_LEN);
    path_of(q->kind, path);
    query_of(q->kind, query);
    segments(&w, O_PATH, path, '/');
    if (q->kind == K_REGISTER || q->kind == K_UPDATE) {
        wr_int(&w, O_FORMAT, 40);
    } else if (q->kind == K_EST) {
        wr_int(&w, O_FORMAT, 0);
    }
    wr_opt(&w, O_MAX_AGE, NULL, 0);
    segments(&w, O_QUERY, query, '&');
    if (q->kind == K_EST || q->kind == K_FW) {
        wr_int(&w, O_BLOCK2, BLOCK(q->block, 0, peer_szx()));
        n = q->block == 0 ? n : 0;
        from = 0;
    }
    if (q->kind == K_FW) {
        wr_opt(&w, O_PROXY_URI, me.fw.m.uri, strlen(me.fw.m.uri));
    }
    if (blocks) {
        bool more = from + me.block < n;
        wr_int(&w, O_BLOCK1, BLOCK(q->block, more, peer_szx()));
        if (q->block == 0) {
            wr_int(&w, O_SIZE1, n);
        }
        n = more ? me.block : n - from;
    } else {
        from = 0;
    }
    wr_payload(&w, q->body + from, n);
    (void)peer_con(T_REQUEST, &w);
}

static void req_begin(enum kind kind)
{
    struct req *q = &me.req;

    q->kind = kind;
    q->block = 0;
    q->got_len = 0;
    (void)mbedtls_ctr_drbg_random(&rng, q->token, TOKEN_LEN);
    if (kind == K_REGISTER) {
        q->body_len = res_links((char *)q->body, sizeof q->body, false);
    } else if (kind == K_UPDATE) {
        q->body_len = res_links((char *)q->body, sizeof q->body, true);
        if (me.extra_links[0] != '\0') {
            q->body_len = (size_t)snprintf((char *)q->body, sizeof q->body, "%s", me.extra_links);
            me.extra_links[0] = '\0';
        }
    } else if (kind != K_EST) {
        q->body_len = 0;
    }
    peer_req_send();
}

void peer_request(enum kind kind)
{
    if (me.n_queue < QUEUE_MAX) {
        me.queue[me.n_queue++] = kind;
    }
    peer_queue_run();
}

void peer_queue_run(void)
{
    if (me.req.kind != K_NONE || me.n_queue == 0 || !me.net.open) {
        return;
    }
    enum kind kind = me.queue[0];
    memmove(me.queue, me.queue + 1, --me.n_queue * sizeof me.queue[0]);
    req_begin(kind);
}

static void forget_all(void)
{
    memset(me.tx, 0, sizeof me.tx);
    memset(me.late, 0, sizeof me.late);
    me.req.kind = K_NONE;
    me.n_queue = 0;
    me.n_seen = 0;
}

void peer_drop(bool notify)
{
    net_close(&me.net, notify);
    forget_all();
}

bool peer_lw_open(void)
{
    peer_drop(true);
    return net_open(&me.net, me.host, me.port, me.mode, &me.lw_cred);
}
