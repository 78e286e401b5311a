/* SPDX-License-Identifier: Apache-2.0 */
/** The server's requests. */
#include <ctype.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/peers/pelion_me.h"

static void reply_send(const struct wr *w, unsigned mid)
{
    struct answered *a = &me.seen[me.n_seen++ % 4];

    a->mid = mid;
    a->len = w->len;
    memcpy(a->buf, w->buf, w->len);
    (void)net_send(&me.net, w->buf, w->len);
}

static void reply_code(const struct msg *m, unsigned code)
{
    struct wr w;

    wr_begin(&w, ACK, code, m->mid, m->token, m->tkl);
    wr_opt(&w, O_MAX_AGE, NULL, 0);
    reply_send(&w, m->mid);
}

static void reply_body(const struct msg *m, unsigned format, const void *body, size_t len,
                       long observe, bool token)
{
    long block2 = msg_int(m, O_BLOCK2);
    size_t size = me.block, num = 0, n = len;
    unsigned x = peer_szx();
    struct wr w;

    if (block2 >= 0) {
        unsigned asked = (unsigned)block2 & 7;
        x = asked < x ? asked : x;
        size = (size_t)16 << x;
        num = (size_t)block2 >> 4;
    }
    size_t from = num * size;
    if (from > len || (from == len && len != 0)) {
        reply_code(m, CODE(4, 0));
        return;
    }
    bool blocks = len > size;
    n = blocks && from + size < len ? size : len - from;
    wr_begin(&w, ACK, CODE(2, 5), m->mid, m->token, token ? m->tkl : 0);
    if (observe >= 0) {
        wr_int(&w, O_OBSERVE, (unsigned long)observe);
    }
    wr_int(&w, O_FORMAT, format);
    wr_opt(&w, O_MAX_AGE, NULL, 0);
    if (blocks) {
        wr_int(&w, O_BLOCK2, BLOCK(num, from + n < len, x));
        if (num == 0) {
            wr_int(&w, O_SIZE2, len);
        }
    }
    wr_payload(&w, (const uint8_t *)body + from, n);
    reply_send(&w, m->mid);
}

static void do_get(const struct msg *m, const char *path)
{
    static char links[BODY_MAX];
    static uint8_t tlv[BODY_MAX];
    long accept = msg_int(m, O_ACCEPT), observe = msg_int(m, O_OBSERVE);
    struct res *r = res_find(path);
    long number = -1;

    if (strcmp(path, ".well-known/core") == 0) {
        size_t n = res_links(links, sizeof links, false);
        reply_body(m, 40, links, n, -1, false);
        return;
    }
    if (path[0] == '\0' || strcmp(path, "0") == 0 || strncmp(path, "0/", 2) == 0 ||
        !res_any_below(path)) {
        reply_code(m, CODE(4, 4));
        return;
    }
    if (accept >= 0 && accept != 0 && accept != 42 && accept != 11542 && accept != 99 &&
        accept != 40) {
        reply_code(m, CODE(4, 6));
        return;
    }
    if (r == NULL || strchr(path, '/') == strrchr(path, '/')) {
        size_t n = res_tlv(path, tlv, sizeof tlv);
        reply_body(m, 11542, tlv, n, -1, true);
        return;
    }
    if ((r->flags & R_X) != 0) {
        reply_code(m, CODE(4, 5));
        return;
    }
    if (observe == 0 && (r->flags & (R_OBS | R_AOBS)) != 0) {
        memcpy(r->token, m->token, m->tkl);
        r->tkl = m->tkl;
        number = 0;
    } else if (observe == 1) {
        r->tkl = 0;
        r->aobs = 0;
        number = ++r->seq;
    }
    if (observe >= 0) {
        ev("observe");
        ev_str("path", path);
        ev_num("value", observe);
        ev_end();
    }
    reply_body(m, (r->flags & R_OPAQUE) != 0 ? 42 : 0, r->val, r->len, number, true);
}

/* The whole of a body that may come in blocks; false: answered already. */
static bool body_take(const struct msg *m, const char *path, const uint8_t **body, size_t *len)
{
    long block1 = msg_int(m, O_BLOCK1);
    struct wr w;

    *body = m->payload;
    *len = m->len;
    if (block1 < 0) {
        return true;
    }
    if (((unsigned)block1 & 7) > peer_szx()) {
        wr_begin(&w, ACK, CODE(4, 13), m->mid, m->token, m->tkl);
        wr_opt(&w, O_MAX_AGE, NULL, 0);
        wr_int(&w, O_BLOCK1, BLOCK(block1 >> 4, block1 >> 3 & 1, peer_szx()));
        reply_send(&w, m->mid);
        return false;
    }
    size_t from = ((size_t)block1 >> 4) << (4 + ((unsigned)block1 & 7));
    if (from == 0) {
        snprintf(me.in_path, sizeof me.in_path, "%s", path);
        me.in_len = 0;
    }
    if (strcmp(me.in_path, path) != 0 || from != me.in_len || from + m->len > sizeof me.in_body) {
        reply_code(m, CODE(4, 8));
        return false;
    }
    memcpy(me.in_body + from, m->payload, m->len);
    me.in_len += m->len;
    if ((block1 & 8) != 0) {
        wr_begin(&w, ACK, CODE(2, 31), m->mid, m->token, m->tkl);
        wr_int(&w, O_BLOCK1, (unsigned long)block1);
        reply_send(&w, m->mid);
        return false;
    }
    *body = me.in_body;
    *len = me.in_len;
    return true;
}

static void request_told(const struct msg *m, const char *path, const uint8_t *body, size_t len)
{
    static const char *const names[] = {"", "GET", "POST", "PUT", "DELETE"};
    char query[256];

    msg_path(m, O_QUERY, query, sizeof query);
    ev("request");
    ev_str("method", m->code < 5 ? names[m->code] : "?");
    ev_str("path", path);
    ev_str("query", query);
    ev_num("format", msg_int(m, O_FORMAT));
    ev_num("block1", msg_int(m, O_BLOCK1));
    ev_num("token", (long)m->tkl);
    ev_num("mid", (long)m->mid);
    ev_num("len", (long)len);
    ev_hex("body", body, len < 1000 ? len : 0);
    ev_end();
}

static void do_put(const struct msg *m, const char *path)
{
    const uint8_t *body;
    size_t len;
    char query[256];
    struct res *r = res_find(path);
    long format = msg_int(m, O_FORMAT);

    if (!body_take(m, path, &body, &len)) {
        return;
    }
    request_told(m, path, body, len);
    msg_path(m, O_QUERY, query, sizeof query);
    if (query[0] != '\0') {
        reply_code(m, CODE(2, 4)); /* attributes */
        return;
    }
    if (r == NULL || (r->flags & R_W) == 0) {
        reply_code(m, r == NULL ? CODE(4, 4) : CODE(4, 5));
        return;
    }
    if (format > 0 && format != 42 && format != 11542 && format != 99) {
        reply_code(m, CODE(4, 15));
        return;
    }
    if (strcmp(path, "1/0/1") == 0 && len < 4) {
        char text[8] = "";
        memcpy(text, body, len);
        if (atoi(text) < 60) {
            reply_code(m, CODE(4, 6));
            return;
        }
    }
    res_set(r, body, len);
    reply_code(m, CODE(2, 4));
    if (r->tkl != 0) {
        peer_changed(path);
    }
    if (strcmp(path, "1/0/1") == 0) {
        me.lifetime = atol((const char *)r->val);
        peer_request(K_UPDATE);
    }
}

static void renewal_post(const struct msg *m, const char *path, const uint8_t *p, size_t len)
{
    size_t n = len >= 4 ? (size_t)p[2] << 8 | p[3] : 0;
    char name[64] = "";
    const char *status = NULL;

    if (len < 5 || p[0] != 0 || p[1] != 1 || n + 4 > len || n > sizeof name || n == 0 ||
        p[4 + n - 1] != '\0') {
        status = "1286";
    } else {
        memcpy(name, p + 4, n);
        status = me.renewing                                                     ? "1285"
                 : strcmp(name, "LWM2M") == 0 || strncmp(name, "custom", 6) == 0 ? NULL
                                                                                 : "1284";
    }
    ev("renewal");
    ev_str("name", name);
    ev_str("refused", status == NULL ? "" : status);
    ev_end();
    if (status != NULL) {
        peer_late_put(m->token, m->tkl, CODE(2, 4), path, status, me.exec_delay);
        return;
    }
    me.renewing = true;
    me.renewal.tkl = m->tkl;
    memcpy(me.renewal.token, m->token, m->tkl);
    snprintf(me.renewal.path, sizeof me.renewal.path, "%s", path);
    peer_est_start(strcmp(name, "LWM2M") == 0 ? "" : name);
}

static bool late_waits(void)
{
    for (unsigned i = 0; i < LATE_MAX; i++) {
        if (me.late[i].used) {
            return true;
        }
    }
    return false;
}

static void do_post(const struct msg *m, const char *path)
{
    const uint8_t *body;
    size_t len;
    struct res *r = res_find(path);
    long format = msg_int(m, O_FORMAT);

    if (!body_take(m, path, &body, &len)) {
        return;
    }
    request_told(m, path, body, len);
    if (r == NULL || (r->flags & R_X) == 0) {
        reply_code(m, r == NULL ? CODE(4, 4) : CODE(4, 5));
        return;
    }
    if (len != 0 && format > 0) {
        if ((r->flags & R_LATE) == 0) {
            reply_code(m, CODE(4, 15));
        }
        return; /* no answer, ever */
    }
    peer_ack(m->mid);
    if (late_waits() || (me.renewing && strcmp(path, "35011/0/27002") != 0)) {
        ev("dropped");
        ev_str("path", path);
        ev_end();
        return;
    }
    if (strcmp(path, "35011/0/27002") == 0) {
        renewal_post(m, path, body, len);
        return;
    }
    if (strcmp(path, "10252/0/1") == 0 && len <= sizeof me.fw.raw) {
        if (me.fw.phase == 0) {
            memcpy(me.fw.raw, body, len);
            me.fw.raw_len = len;
        }
    }
    peer_late_put(m->token, m->tkl, CODE(2, 4), path, "", me.exec_delay);
}

static void do_boot(const struct msg *m, const char *path)
{
    const uint8_t *body = NULL;
    size_t len = 0;

    if (!me.boot_ready) {
        return; /* what comes before its 2.04 is ignored */
    }
    if (m->code != DEL && !body_take(m, path, &body, &len)) {
        return;
    }
    request_told(m, path, body, len);
    if (m->code == POST && strcmp(path, "bs") == 0) {
        char query[256];
        msg_path(m, O_QUERY, query, sizeof query);
        const char *iep = strstr(query, "iep=");
        if (iep != NULL) {
            snprintf(me.iep, sizeof me.iep, "%.*s", (int)strcspn(iep + 4, "&"), iep + 4);
        }
        bool good = me.boot.mode >= 0 && (me.boot.mode != 4 || iep != NULL);
        peer_ack(m->mid);
        peer_late_put(m->token, m->tkl, good ? CODE(2, 4) : CODE(4, 0), "bs", "", me.exec_delay);
        return;
    }
    unsigned code = CODE(4, 5);
    if (m->code == DEL) {
        code = boot_delete(&me.boot, path);
    } else if (m->code == PUT) {
        code = boot_put(&me.boot, path, msg_int(m, O_FORMAT), body, len);
    }
    ev("boot-write");
    ev_str("path", path);
    ev_code(code);
    ev_end();
    if (me.two_step && m->code == PUT) {
        peer_ack(m->mid);
        peer_late_put(m->token, m->tkl, code, path, "", 20);
        return;
    }
    reply_code(m, code);
}

void peer_request_in(const struct msg *m)
{
    char path[128];

    for (unsigned i = 0; i < 4 && i < me.n_seen; i++) {
        if (me.seen[i].mid == m->mid && me.seen[i].len != 0) {
            (void)net_send(&me.net, me.seen[i].buf, me.seen[i].len);
            return;
        }
    }
    msg_path(m, O_PATH, path, sizeof path);
    if (me.bootstrapping) {
        do_boot(m, path);
        return;
    }
    switch (m->code) {
    case GET:
        request_told(m, path, NULL, 0);
        do_get(m, path);
        break;
    case PUT:
        do_put(m, path);
        break;
    case POST:
        do_post(m, path);
        break;
    default:
        request_told(m, path, NULL, 0);
        reply_code(m, CODE(4, 5));
        break;
    }
}
