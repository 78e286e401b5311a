/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The client's conversation. Commands, one a line:
 *
 *     bootstrap | connect | register | update [LINKS] | deregister | reconnect | rebind | close
 *     add PATH FLAGS | set PATH VALUE | fill PATH BYTES | remove-observers | ping | est [NAME]
 *     raw HEX | fw URI | opt KEY VALUE | restart | quit
 *
 * opt: exec-delay MS, drop-acks N (empty ACKs that are not sent), deaf N (messages that are not
 * seen), block 512|256, fw off|http|coap, auto 0|1 (register once connected, go on after a
 * bootstrap), two-step 0|1 (answers to PUT in bootstrap are separate), early-post …
 */
#include <ctype.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/sha256.h>
#include <mbedtls/x509_csr.h>

#include "tests/peers/pelion.h"

#define FW_MAX    (8u << 20)
#define TX_MAX    6
#define LATE_MAX  4
#define QUEUE_MAX 8
#define TOKEN_LEN 4

enum kind { K_NONE, K_REGISTER, K_UPDATE, K_DEREGISTER, K_EST, K_FW, K_BOOTSTRAP };
enum role { T_REQUEST = 1, T_NOTIFY, T_LATE, T_PING };

/** A CON of ours until it is acknowledged. */
struct tx {
    enum role role;
    unsigned mid, resends;
    uint64_t at_ms, wait_ms;
    struct res *res;
    size_t len;
    uint8_t buf[2048];
};
/** Our request: one at a time. */
struct req {
    enum kind kind;
    uint8_t token[TOKEN_LEN];
    unsigned block; /* number of the block being sent or asked for */
    size_t body_len, got_len;
    char name[64]; /* EST */
    uint8_t body[BODY_MAX];
};
/** An answer that comes as a message of its own. */
struct late {
    bool used, sent;
    uint64_t due_ms;
    uint8_t token[8];
    unsigned tkl, code, mid;
    char path[128];
    char text[64];
};
struct answered {
    unsigned mid;
    size_t len;
    uint8_t buf[2048];
};

static struct {
    struct net net;
    struct cred boot_cred, lw_cred;
    enum mode mode;
    char boot_host[64], boot_port[8], boot_query[256];
    char host[64], port[8], query[256]; /* of the LwM2M server */
    char ep[128], aid[64], iep[64], location[256], type[64], binding[4];
    long lifetime, exec_delay, ack_timeout;
    unsigned block, drop_acks, deaf;
    bool registered, automatic, bootstrapping, boot_ready, two_step;
    const char *fw_how;
    uint8_t vendor[16], class_id[16];
    mbedtls_x509_crt signer;
    bool has_signer;
    mbedtls_pk_context est_key;
    struct boot boot;
    struct tx tx[TX_MAX];
    struct req req;
    enum kind queue[QUEUE_MAX];
    unsigned n_queue, mid;
    struct late late[LATE_MAX];
    struct answered seen[4];
    unsigned n_seen;
    /* a body that comes in blocks */
    char in_path[64];
    size_t in_len;
    uint8_t in_body[BODY_MAX];
    /* firmware */
    struct {
        int phase; /* 0 idle */
        struct manifest m;
        uint8_t raw[1024];
        size_t raw_len, got;
        uint64_t again_ms, backoff_ms;
        uint8_t *image;
    } fw;
    bool renewing;
    char extra_links[512];
} me;

static void queue_run(void);
static void fw_run(void);

/* ---- sending ---- */

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

static bool tx_busy(enum role role)
{
    for (unsigned i = 0; i < TX_MAX; i++) {
        if (me.tx[i].role == role) {
            return true;
        }
    }
    return false;
}

static struct tx *con(enum role role, const struct wr *w)
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
static void ack(unsigned mid)
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

static unsigned szx(void)
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

static void req_send(void)
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
        wr_int(&w, O_BLOCK2, BLOCK(q->block, 0, szx()));
        n = q->block == 0 ? n : 0;
        from = 0;
    }
    if (q->kind == K_FW) {
        wr_opt(&w, O_PROXY_URI, me.fw.m.uri, strlen(me.fw.m.uri));
    }
    if (blocks) {
        bool more = from + me.block < n;
        wr_int(&w, O_BLOCK1, BLOCK(q->block, more, szx()));
        if (q->block == 0) {
            wr_int(&w, O_SIZE1, n);
        }
        n = more ? me.block : n - from;
    } else {
        from = 0;
    }
    wr_payload(&w, q->body + from, n);
    (void)con(T_REQUEST, &w);
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
    req_send();
}

static void request(enum kind kind)
{
    if (me.n_queue < QUEUE_MAX) {
        me.queue[me.n_queue++] = kind;
    }
    queue_run();
}

static void queue_run(void)
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

static void drop(bool notify)
{
    net_close(&me.net, notify);
    forget_all();
}

static bool lw_open(void)
{
    drop(true);
    return net_open(&me.net, me.host, me.port, me.mode, &me.lw_cred);
}

/* ---- EST ---- */

static bool csr_make(void)
{
    mbedtls_x509write_csr csr;
    char subject[300];
    uint8_t der[1024];

    mbedtls_pk_free(&me.est_key);
    mbedtls_pk_init(&me.est_key);
    int ret = mbedtls_pk_setup(&me.est_key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (ret == 0) {
        ret = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(me.est_key),
                                  mbedtls_ctr_drbg_random, &rng);
    }
    snprintf(subject, sizeof subject, "L=%s,OU=%s,CN=%s", me.iep, me.aid, me.ep);
    mbedtls_x509write_csr_init(&csr);
    mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&csr, &me.est_key);
    if (ret == 0) {
        ret = mbedtls_x509write_csr_set_subject_name(&csr, subject);
    }
    if (ret == 0) {
        ret = mbedtls_x509write_csr_der(&csr, der, sizeof der, mbedtls_ctr_drbg_random, &rng);
    }
    mbedtls_x509write_csr_free(&csr);
    if (ret <= 0) {
        fail("certificate request", -ret);
        return false;
    }
    me.req.body_len = (size_t)ret;
    memcpy(me.req.body, der + sizeof der - ret, (size_t)ret);
    return true;
}

static void est_start(const char *name)
{
    snprintf(me.req.name, sizeof me.req.name, "%s", name);
    if (csr_make()) {
        request(K_EST);
    }
}

static void lw_cred_set(const uint8_t *cert, size_t len)
{
    mbedtls_x509_crt_free(&me.lw_cred.cert);
    mbedtls_x509_crt_init(&me.lw_cred.cert);
    mbedtls_pk_free(&me.lw_cred.key);
    me.lw_cred.key = me.est_key;
    mbedtls_pk_init(&me.est_key);
    me.lw_cred.has_cert = mbedtls_x509_crt_parse_der(&me.lw_cred.cert, cert, len) == 0;
}

static void late_put(const uint8_t *token, unsigned tkl, unsigned code, const char *path,
                     const char *text, long delay)
{
    for (unsigned i = 0; i < LATE_MAX; i++) {
        struct late *l = &me.late[i];
        if (!l->used) {
            *l = (struct late){.used = true, .tkl = tkl, .code = code};
            l->due_ms = now_ms() + (uint64_t)delay;
            memcpy(l->token, token, tkl);
            snprintf(l->path, sizeof l->path, "%s", path);
            snprintf(l->text, sizeof l->text, "%s", text);
            return;
        }
    }
}

static struct late renewal; /* waits for EST */

static void renewal_end(const char *status)
{
    if (me.renewing) {
        me.renewing = false;
        late_put(renewal.token, renewal.tkl, CODE(2, 4), renewal.path, status, 0);
    }
}

static void boot_finished(void);

/* 01 count {length of 2 bytes, DER} */
static void est_done(unsigned code, const uint8_t *p, size_t len)
{
    bool good = code >> 5 == 2 && len > 4 && p[0] == 1 && p[1] >= 1;
    size_t n = good ? (size_t)p[2] << 8 | p[3] : 0;
    mbedtls_x509_crt crt;
    char subject[256] = "";

    good = good && n + 4 <= len && n <= 1024;
    mbedtls_x509_crt_init(&crt);
    good = good && mbedtls_x509_crt_parse_der(&crt, p + 4, n) == 0;
    if (good) {
        (void)mbedtls_x509_dn_gets(subject, sizeof subject, &crt.subject);
        good = mbedtls_pk_check_pair(&crt.pk, &me.est_key) == 0;
    }
    mbedtls_x509_crt_free(&crt);
    ev("est");
    ev_str("name", me.req.name);
    ev_code(code);
    ev_num("good", good);
    ev_num("count", len > 1 ? p[1] : 0);
    ev_num("len", (long)len);
    ev_num("blocks", (long)me.req.block + 1);
    ev_str("subject", subject);
    ev_hex("cert", good ? p + 4 : p, n);
    ev_end();
    if (good && me.req.name[0] == '\0') {
        lw_cred_set(p + 4, n);
    }
    renewal_end(good ? "0" : "1287");
    if (me.bootstrapping) {
        boot_finished();
    }
}

/* ---- bootstrap ---- */

static void subject_field(const mbedtls_x509_crt *crt, const char *name, char *out, size_t cap)
{
    char dn[256];

    out[0] = '\0';
    if (mbedtls_x509_dn_gets(dn, sizeof dn, &crt->subject) <= 0) {
        return;
    }
    const char *at = strstr(dn, name);
    if (at != NULL) {
        at += strlen(name);
        snprintf(out, cap, "%.*s", (int)strcspn(at, ","), at);
    }
}

/* "coaps://host:port?aid=…": the port is behind the last colon. */
static bool uri_take(const char *uri)
{
    const char *colon = strrchr(uri, ':'), *query = strchr(uri, '?');
    size_t skip = strncmp(uri, "coaps://", 8) == 0 ? 8 : 7;

    if (colon == NULL || query == NULL || colon < uri + skip) {
        return false;
    }
    snprintf(me.host, sizeof me.host, "%.*s", (int)(colon - uri - (long)skip), uri + skip);
    snprintf(me.port, sizeof me.port, "%d", atoi(colon + 1));
    snprintf(me.query, sizeof me.query, "%s", query + 1);
    const char *aid = strstr(query, "aid=");
    if (aid != NULL) {
        snprintf(me.aid, sizeof me.aid, "%.*s", (int)strcspn(aid + 4, "&"), aid + 4);
    }
    return true;
}

static void boot_finished(void)
{
    char cn[128] = "", ou[64] = "", l[64] = "";
    struct boot *b = &me.boot;
    bool good = !b->broken && uri_take(b->uri);

    if (b->mode == 2 && good) {
        cred_free(&me.lw_cred);
        me.lw_cred.has_cert =
            mbedtls_x509_crt_parse_der(&me.lw_cred.cert, b->cert, b->cert_len) == 0 &&
            mbedtls_pk_parse_key(&me.lw_cred.key, b->key, b->key_len, NULL, 0) == 0;
    }
    if (good) {
        mbedtls_x509_crt_free(&me.lw_cred.ca);
        mbedtls_x509_crt_init(&me.lw_cred.ca);
        me.lw_cred.has_ca = mbedtls_x509_crt_parse_der(&me.lw_cred.ca, b->ca, b->ca_len) == 0;
        subject_field(&me.lw_cred.cert, "CN=", cn, sizeof cn);
        subject_field(&me.lw_cred.cert, "OU=", ou, sizeof ou);
        subject_field(&me.lw_cred.cert, "L=", l, sizeof l);
        good = me.lw_cred.has_ca && me.lw_cred.has_cert && l[0] != '\0' && cn[0] != '\0';
    }
    if (good) {
        snprintf(me.iep, sizeof me.iep, "%s", l);
        snprintf(me.ep, sizeof me.ep, "%s", cn);
        me.lifetime = b->lifetime > 0 ? b->lifetime : me.lifetime;
    }
    ev("bootstrapped");
    ev_num("good", good);
    ev_num("broken", b->broken);
    ev_num("mode", b->mode);
    ev_str("uri", b->uri);
    ev_str("cn", cn);
    ev_str("ou", ou);
    ev_str("l", l);
    ev_num("lifetime", b->lifetime);
    ev_num("cert_len", (long)me.lw_cred.cert.raw.len);
    ev_num("time", b->time_s);
    ev_end();
    me.bootstrapping = false;
    drop(true);
    if (good && me.automatic && lw_open()) {
        request(K_REGISTER);
    }
}

static void bootstrap(void)
{
    drop(true);
    boot_reset(&me.boot);
    me.boot_ready = false;
    if (net_open(&me.net, me.boot_host, me.boot_port, me.mode, &me.boot_cred)) {
        me.bootstrapping = true;
        request(K_BOOTSTRAP);
    }
}

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
        drop(true);
    } else if (kind == K_UPDATE) { /* a full registration on the same connection */
        res_observers_clear();
        me.registered = false;
        request(K_REGISTER);
    }
}

static void fw_block(const struct msg *m);

/* True while more has to be sent or asked for. */
static bool continues(const struct msg *m)
{
    struct req *q = &me.req;
    long block2 = msg_int(m, O_BLOCK2);

    if (m->code == CODE(2, 31)) {
        q->block++;
        req_send();
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
            req_send();
            return true;
        }
        q->kind = K_NONE;
        est_done(m->code, body, q->got_len);
        return true;
    }
    return false;
}

static void answer_in(const struct msg *m)
{
    enum kind kind = me.req.kind;

    for (unsigned i = 0; i < TX_MAX; i++) {
        if (me.tx[i].role == T_REQUEST) {
            me.tx[i].role = 0;
        }
    }
    if (kind == K_FW) {
        fw_block(m);
        queue_run();
        return;
    }
    if (continues(m)) {
        queue_run();
        return;
    }
    me.req.kind = K_NONE;
    if (kind == K_EST) {
        est_done(m->code, m->payload, m->len);
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
    queue_run();
}

/* ---- notifications ---- */

static void notify_run(void)
{
    if (!me.registered || !me.net.open || tx_busy(T_NOTIFY)) {
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
            wr_int(&w, O_BLOCK2, BLOCK(0, 1, szx()));
            wr_int(&w, O_SIZE2, r->len);
        }
        wr_payload(&w, r->val, r->len > me.block ? me.block : r->len);
        con(T_NOTIFY, &w)->res = r;
        return;
    }
}

static void changed(const char *path)
{
    struct res *r = res_find(path);

    if (r != NULL && (r->tkl != 0 || r->aobs != 0)) {
        r->dirty = true;
        notify_run();
    }
}

static void notified(const struct tx *tx, const char *how)
{
    ev("notified");
    ev_str("path", tx->res->path);
    ev_str("how", how);
    ev_end();
    if (strcmp(how, "reset") == 0) {
        tx->res->tkl = 0;
    }
}

/* ---- firmware ---- */

static void fw_state(const char *state)
{
    res_set_text("10252/0/2", state);
    changed("10252/0/2");
    ev("fw-state");
    ev_str("state", state);
    ev_end();
}

static void fw_fail(int result)
{
    char text[12];

    snprintf(text, sizeof text, "%d", result);
    res_set_text("10252/0/3", text);
    changed("10252/0/3");
    ev("fw-failed");
    ev_num("result", result);
    ev_end();
    me.fw.phase = 9;
}

static void fw_check_digest(void)
{
    uint8_t hash[32];

    (void)mbedtls_sha256_ret(me.fw.image, me.fw.got, hash, 0);
    if (me.fw.got != me.fw.m.size || memcmp(hash, me.fw.m.digest, sizeof hash) != 0) {
        fw_fail(26);
        return;
    }
    ev("downloaded");
    ev_num("size", (long)me.fw.got);
    ev_end();
    me.fw.phase = 4;
    fw_state("6");
}

static void fw_download(void)
{
    if (strcmp(me.fw_how, "coap") == 0) {
        me.fw.got = 0;
        me.fw.backoff_ms = 1000;
        me.fw.phase = 3;
        request(K_FW);
        return;
    }
    long half = (long)me.fw.m.size / 2; /* in two pieces: the second asks for a range */
    long n = half > 0 ? http_get(me.fw.m.uri, me.fw.image, (size_t)half, 0) : 0;
    long rest = n == half ? http_get(me.fw.m.uri, me.fw.image + half, me.fw.m.size - (size_t)half,
                                     (size_t)half)
                          : -1;
    if (rest < 0) {
        fw_fail(24);
        return;
    }
    me.fw.got = (size_t)(n + rest);
    fw_check_digest();
}

static void fw_block(const struct msg *m)
{
    struct req *q = &me.req;
    long block2 = msg_int(m, O_BLOCK2);

    if (m->code == CODE(5, 3)) {
        q->kind = K_NONE;
        me.fw.again_ms = now_ms() + me.fw.backoff_ms;
        me.fw.backoff_ms *= 2;
        ev("fw-later");
        ev_num("max_age", msg_int(m, O_MAX_AGE));
        ev_end();
        return;
    }
    if (m->code != CODE(2, 5) || me.fw.got + m->len > FW_MAX ||
        (block2 >= 0 && (unsigned)(block2 >> 4) != q->block)) {
        q->kind = K_NONE;
        ev("fw-refused");
        ev_code(m->code);
        ev_end();
        fw_fail(24);
        return;
    }
    if (q->block == 0) {
        ev("fw-first-block");
        ev_num("size2", msg_int(m, O_SIZE2));
        ev_num("len", (long)m->len);
        ev_end();
    }
    memcpy(me.fw.image + me.fw.got, m->payload, m->len);
    me.fw.got += m->len;
    if (block2 >= 0 && (block2 & 8) != 0) {
        q->block++;
        req_send();
        return;
    }
    q->kind = K_NONE;
    fw_check_digest();
}

static void fw_reboot(void)
{
    drop(false);
    res_set_text("10252/0/2", "1");
    res_set_text("10252/0/3", "-1");
    res_set_text(strcmp(me.fw.m.component, "METER") == 0 ? "14/1/2" : "14/0/2", me.fw.m.version);
    res_observers_clear();
    res_aobs_assign(1 + (unsigned)rand() % 900);
    me.fw.phase = 0;
    ev("rebooted");
    ev_str("version", me.fw.m.version);
    ev_end();
    if (lw_open()) {
        request(K_REGISTER);
    }
}

/* Each step waits for the acknowledgement of the one before. */
static void fw_run(void)
{
    const struct res *state = res_find("10252/0/2"), *result = res_find("10252/0/3");

    if (me.fw.phase == 3 && me.fw.again_ms != 0 && now_ms() >= me.fw.again_ms) {
        unsigned block = me.req.block;
        me.fw.again_ms = 0;
        if (me.req.kind == K_NONE && me.net.open) {
            me.req.kind = K_FW;
            me.req.block = block;
            me.req.body_len = 0;
            req_send();
        }
        return;
    }
    if (me.fw.phase == 0 || me.fw.phase == 3 || tx_busy(T_NOTIFY) || state->dirty ||
        result->dirty || !me.registered) {
        return;
    }
    switch (me.fw.phase) {
    case 1:
        me.fw.phase = 2;
        fw_state("4");
        break;
    case 2:
        fw_download();
        break;
    case 4:
        me.fw.phase = 5;
        fw_state("7");
        break;
    case 5:
        me.fw.phase = 6;
        fw_state("8");
        break;
    case 6:
        fw_reboot();
        break;
    default:
        me.fw.phase = 0;
        fw_state("1");
        break;
    }
}

static void fw_begin(void)
{
    if (strcmp(me.fw_how, "off") == 0 || me.fw.phase != 0) {
        return;
    }
    if (!manifest_read(me.fw.raw, me.fw.raw_len, &me.fw.m)) {
        fw_fail(22);
        return;
    }
    int result =
        manifest_check(&me.fw.m, me.vendor, me.class_id, me.has_signer ? &me.signer : NULL);
    if (result == 0 && me.fw.m.size > FW_MAX) {
        result = 33;
    }
    if (result != 0) {
        fw_fail(result);
        return;
    }
    me.fw.phase = 1;
    fw_state("3");
}

/* ---- requests of the server ---- */

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
    unsigned x = szx();
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
    if (((unsigned)block1 & 7) > szx()) {
        wr_begin(&w, ACK, CODE(4, 13), m->mid, m->token, m->tkl);
        wr_opt(&w, O_MAX_AGE, NULL, 0);
        wr_int(&w, O_BLOCK1, BLOCK(block1 >> 4, block1 >> 3 & 1, szx()));
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
        changed(path);
    }
    if (strcmp(path, "1/0/1") == 0) {
        me.lifetime = atol((const char *)r->val);
        request(K_UPDATE);
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
        late_put(m->token, m->tkl, CODE(2, 4), path, status, me.exec_delay);
        return;
    }
    me.renewing = true;
    renewal.tkl = m->tkl;
    memcpy(renewal.token, m->token, m->tkl);
    snprintf(renewal.path, sizeof renewal.path, "%s", path);
    est_start(strcmp(name, "LWM2M") == 0 ? "" : name);
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
    if (msg_int(m, O_BLOCK1) < 0 || true) {
        ack(m->mid);
    }
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
    late_put(m->token, m->tkl, CODE(2, 4), path, "", me.exec_delay);
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
        ack(m->mid);
        late_put(m->token, m->tkl, good ? CODE(2, 4) : CODE(4, 0), "bs", "", me.exec_delay);
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
        ack(m->mid);
        late_put(m->token, m->tkl, code, path, "", 20);
        return;
    }
    reply_code(m, code);
}

static void request_in(const struct msg *m)
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

/* ---- what comes in ---- */

static void late_acked(unsigned mid)
{
    for (unsigned i = 0; i < LATE_MAX; i++) {
        struct late l = me.late[i];
        if (!l.used || !l.sent || l.mid != mid) {
            continue;
        }
        me.late[i].used = false;
        ev("answered-late");
        ev_str("path", l.path);
        ev_end();
        if (strcmp(l.path, "10252/0/1") == 0) {
            fw_begin();
        } else if (strcmp(l.path, "bs") == 0 && l.code == CODE(2, 4)) {
            if (me.boot.mode == 4) {
                uri_take(me.boot.uri);
                est_start("");
            } else {
                boot_finished();
            }
        } else if (strcmp(l.path, "1/0/8") == 0) {
            request(K_UPDATE);
        }
        return;
    }
}

static void empty_in(const struct msg *m)
{
    if (m->type == CON) {
        uint8_t rst[4] = {0x70, 0, (uint8_t)(m->mid >> 8), (uint8_t)m->mid};
        (void)net_send(&me.net, rst, sizeof rst);
        return;
    }
    for (unsigned i = 0; i < TX_MAX; i++) {
        struct tx *tx = &me.tx[i];
        if (tx->role == 0 || tx->mid != m->mid) {
            continue;
        }
        enum role role = tx->role;
        if (role == T_REQUEST && m->type == ACK) {
            tx->at_ms = now_ms() + 60000; /* the answer follows */
            tx->resends = 3;
            return;
        }
        tx->role = 0;
        if (role == T_NOTIFY) {
            notified(tx, m->type == RST ? "reset" : "acked");
            notify_run();
        } else if (role == T_PING) {
            ev("pong");
            ev_str("how", m->type == RST ? "reset" : "ack");
            ev_end();
        } else if (role == T_LATE) {
            late_acked(m->mid);
        } else if (role == T_REQUEST) {
            fail("request was reset", 0);
            me.req.kind = K_NONE;
        }
        return;
    }
}

static void message_in(const uint8_t *in, size_t len)
{
    struct msg m;

    if (me.deaf > 0) {
        me.deaf--;
        return;
    }
    if (!msg_parse(in, len, &m)) {
        fail("not a message", (int)len);
        return;
    }
    if (m.code == 0) {
        empty_in(&m);
        return;
    }
    if (m.code < 32) {
        request_in(&m);
        return;
    }
    bool ours = me.req.kind != K_NONE && m.tkl == TOKEN_LEN &&
                memcmp(m.token, me.req.token, TOKEN_LEN) == 0;
    if (m.type == CON) {
        ack(m.mid);
    }
    if (ours) {
        answer_in(&m);
    }
}

/* ---- time ---- */

static void late_send(struct late *l)
{
    struct wr w;

    me.mid = (me.mid + 1) & 0xffff;
    wr_begin(&w, CON, l->code, me.mid, l->token, l->tkl);
    wr_opt(&w, O_MAX_AGE, NULL, 0);
    wr_payload(&w, l->text, strlen(l->text));
    l->sent = true;
    l->mid = me.mid;
    (void)con(T_LATE, &w);
}

static void gave_up(struct tx *tx)
{
    enum role role = tx->role;

    tx->role = 0;
    if (role == T_NOTIFY) {
        notified(tx, "timeout");
        if (me.fw.phase != 0) {
            me.fw.phase = 0;
            fw_state("2");
        }
    } else if (role == T_REQUEST) {
        fail("no answer", (int)me.req.kind);
        me.req.kind = K_NONE;
        queue_run();
    } else if (role == T_LATE) {
        fail("late answer not acknowledged", 0);
        memset(me.late, 0, sizeof me.late);
    }
}

static void timers_run(void)
{
    uint64_t now = now_ms();

    for (unsigned i = 0; i < TX_MAX; i++) {
        struct tx *tx = &me.tx[i];
        if (tx->role == 0 || tx->at_ms > now) {
            continue;
        }
        if (tx->resends == 3) {
            gave_up(tx);
            continue;
        }
        tx->resends++;
        tx->wait_ms *= 2;
        tx->at_ms = now + tx->wait_ms;
        (void)net_send(&me.net, tx->buf, tx->len);
    }
    for (unsigned i = 0; i < LATE_MAX; i++) {
        if (me.late[i].used && !me.late[i].sent && me.late[i].due_ms <= now) {
            late_send(&me.late[i]);
        }
    }
    fw_run();
}

/* ---- commands ---- */

static size_t unhex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;

    while (isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]) && n < cap) {
        char two[3] = {text[0], text[1], '\0'};
        out[n++] = (uint8_t)strtoul(two, NULL, 16);
        text += 2;
    }
    return n;
}

static void option(const char *key, const char *val)
{
    if (strcmp(key, "exec-delay") == 0) {
        me.exec_delay = atol(val);
    } else if (strcmp(key, "drop-acks") == 0) {
        me.drop_acks = (unsigned)atoi(val);
    } else if (strcmp(key, "deaf") == 0) {
        me.deaf = (unsigned)atoi(val);
    } else if (strcmp(key, "block") == 0) {
        me.block = (unsigned)atoi(val);
    } else if (strcmp(key, "fw") == 0) {
        me.fw_how = strcmp(val, "coap") == 0 ? "coap" : strcmp(val, "off") == 0 ? "off" : "http";
    } else if (strcmp(key, "auto") == 0) {
        me.automatic = atoi(val) != 0;
    } else if (strcmp(key, "two-step") == 0) {
        me.two_step = atoi(val) != 0;
    } else if (strcmp(key, "aid") == 0) {
        snprintf(me.aid, sizeof me.aid, "%s", val);
        snprintf(me.query, sizeof me.query, "aid=%s", val);
    } else if (strcmp(key, "ep") == 0) {
        snprintf(me.ep, sizeof me.ep, "%s", val);
    } else if (strcmp(key, "binding") == 0) {
        snprintf(me.binding, sizeof me.binding, "%s", val);
    } else if (strcmp(key, "suite") == 0) {
        me.net.suite[0] = mbedtls_ssl_get_ciphersuite_id(val);
    } else if (strcmp(key, "lifetime") == 0) {
        me.lifetime = atol(val);
    } else if (strcmp(key, "location") == 0) {
        snprintf(me.location, sizeof me.location, "%s", val);
    } else if (strcmp(key, "boot-query") == 0) {
        snprintf(me.boot_query, sizeof me.boot_query, "%s", strcmp(val, "-") == 0 ? "" : val);
    } else if (strcmp(key, "clock") == 0) {
        me.net.clock_s = (uint32_t)atol(val);
    } else {
        fail("unknown option", 0);
    }
}

static void ping(void)
{
    struct wr w;

    me.mid = (me.mid + 1) & 0xffff;
    wr_begin(&w, CON, 0, me.mid, NULL, 0);
    (void)con(T_PING, &w);
}

static void resource_set(const char *path, const char *value)
{
    struct res *r = res_find(path);

    if (r != NULL) {
        res_set(r, value, strlen(value));
        changed(path);
    }
}

static void resource_fill(const char *path, size_t n)
{
    struct res *r = res_find(path);
    uint8_t *p = malloc(n + 1);

    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)('a' + i % 26);
    }
    if (r != NULL) {
        res_set(r, p, n);
        changed(path);
    }
    free(p);
}

static void restart(void)
{
    drop(false);
    res_observers_clear();
    res_aobs_assign(1 + (unsigned)rand() % 900);
    for (size_t i = 0; i < res_count; i++) {
        res_list[i].fresh = true;
    }
    me.registered = false;
    if (lw_open()) {
        request(K_REGISTER);
    }
}

static void command(char *line)
{
    char *save = NULL;
    const char *cmd = strtok_r(line, " \n", &save);
    const char *a = cmd == NULL ? NULL : strtok_r(NULL, " \n", &save);
    const char *b = a == NULL ? NULL : strtok_r(NULL, "\n", &save);

    if (cmd == NULL) {
        return;
    }
    if (strcmp(cmd, "bootstrap") == 0) {
        bootstrap();
    } else if (strcmp(cmd, "connect") == 0) {
        if (lw_open() && me.automatic) {
            request(K_REGISTER);
        }
    } else if (strcmp(cmd, "register") == 0) {
        request(K_REGISTER);
    } else if (strcmp(cmd, "update") == 0) {
        snprintf(me.extra_links, sizeof me.extra_links, "%s", a == NULL ? "" : a);
        request(K_UPDATE);
    } else if (strcmp(cmd, "deregister") == 0) {
        request(K_DEREGISTER);
    } else if (strcmp(cmd, "reconnect") == 0) {
        if (lw_open()) {
            request(K_UPDATE); /* never more than that in the same process */
        }
    } else if (strcmp(cmd, "rebind") == 0) {
        (void)net_rebind(&me.net);
    } else if (strcmp(cmd, "close") == 0) {
        drop(true);
    } else if (strcmp(cmd, "restart") == 0) {
        restart();
    } else if (strcmp(cmd, "ping") == 0) {
        ping();
    } else if (strcmp(cmd, "est") == 0) {
        est_start(a == NULL ? "" : a);
    } else if (strcmp(cmd, "add") == 0 && b != NULL) {
        struct res *r = res_add(a, NULL, (unsigned)atoi(b));
        if (r != NULL && (r->flags & R_AOBS) != 0) {
            r->aobs = 1000;
            r->seq = 1;
        }
    } else if (strcmp(cmd, "set") == 0 && b != NULL) {
        resource_set(a, b);
    } else if (strcmp(cmd, "fill") == 0 && b != NULL) {
        resource_fill(a, (size_t)atol(b));
    } else if (strcmp(cmd, "opt") == 0 && b != NULL) {
        option(a, b);
        return;
    } else if (strcmp(cmd, "fw") == 0 && a != NULL) {
        snprintf(me.fw.m.uri, sizeof me.fw.m.uri, "%s", a);
        me.fw.m.size = b == NULL ? 0 : (unsigned long)atol(b);
        me.fw.got = 0;
        me.fw.backoff_ms = 1000;
        me.fw.phase = 3;
        request(K_FW);
    } else if (strcmp(cmd, "raw") == 0 && a != NULL) {
        uint8_t bytes[1024];
        size_t n = unhex(a, bytes, sizeof bytes);
        (void)net_send(&me.net, bytes, n);
    } else if (strcmp(cmd, "quit") == 0) {
        drop(true);
        exit(0);
    } else {
        fail("unknown command", 0);
    }
}

/* ---- start ---- */

static void split_address(const char *text, char *host, size_t host_cap, char *port,
                          size_t port_cap)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL) {
        fprintf(stderr, "no port in '%s'\n", text);
        exit(2);
    }
    snprintf(host, host_cap, "%.*s", (int)(colon - text), text);
    snprintf(port, port_cap, "%s", colon + 1);
}

static void must(int ret, const char *what)
{
    if (ret != 0) {
        fprintf(stderr, "%s: -0x%04x\n", what, (unsigned)-ret);
        exit(2);
    }
}

static void arguments(int argc, char **argv)
{
    enum {
        A_SERVER = 256,
        A_BOOT,
        A_MODE,
        A_EP,
        A_AID,
        A_CERT,
        A_KEY,
        A_CA,
        A_PSK_ID,
        A_PSK,
        A_BCERT,
        A_BKEY,
        A_BCA,
        A_ACKT,
        A_LIFETIME,
        A_VENDOR,
        A_CLASS,
        A_VERSION,
        A_SIGNER,
        A_BQUERY,
        A_TYPE
    };
    static const struct option long_options[] = {
        {"server", 1, NULL, A_SERVER},     {"bootstrap", 1, NULL, A_BOOT},
        {"mode", 1, NULL, A_MODE},         {"ep", 1, NULL, A_EP},
        {"aid", 1, NULL, A_AID},           {"cert", 1, NULL, A_CERT},
        {"key", 1, NULL, A_KEY},           {"ca", 1, NULL, A_CA},
        {"psk-id", 1, NULL, A_PSK_ID},     {"psk", 1, NULL, A_PSK},
        {"boot-cert", 1, NULL, A_BCERT},   {"boot-key", 1, NULL, A_BKEY},
        {"boot-ca", 1, NULL, A_BCA},       {"ack-timeout", 1, NULL, A_ACKT},
        {"lifetime", 1, NULL, A_LIFETIME}, {"vendor", 1, NULL, A_VENDOR},
        {"class", 1, NULL, A_CLASS},       {"version", 1, NULL, A_VERSION},
        {"signer", 1, NULL, A_SIGNER},     {"boot-query", 1, NULL, A_BQUERY},
        {"type", 1, NULL, A_TYPE},         {NULL, 0, NULL, 0}};
    const char *version = "0.0.0";
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        struct cred *cred = c >= A_BCERT && c <= A_BCA ? &me.boot_cred : &me.lw_cred;
        switch (c) {
        case A_SERVER:
            split_address(optarg, me.host, sizeof me.host, me.port, sizeof me.port);
            break;
        case A_BOOT:
            split_address(optarg, me.boot_host, sizeof me.boot_host, me.boot_port,
                          sizeof me.boot_port);
            break;
        case A_MODE:
            me.mode = strcmp(optarg, "tls") == 0    ? M_TLS
                      : strcmp(optarg, "tcp") == 0  ? M_TCP
                      : strcmp(optarg, "dtls") == 0 ? M_DTLS
                                                    : M_UDP;
            break;
        case A_EP:
            snprintf(me.ep, sizeof me.ep, "%s", optarg);
            break;
        case A_AID:
            option("aid", optarg);
            break;
        case A_CERT:
        case A_BCERT:
            must(mbedtls_x509_crt_parse_file(&cred->cert, optarg), optarg);
            cred->has_cert = true;
            break;
        case A_KEY:
        case A_BKEY:
            must(mbedtls_pk_parse_keyfile(&cred->key, optarg, NULL), optarg);
            break;
        case A_CA:
        case A_BCA:
            must(mbedtls_x509_crt_parse_file(&cred->ca, optarg), optarg);
            cred->has_ca = true;
            break;
        case A_PSK_ID:
            snprintf(me.lw_cred.psk_id, sizeof me.lw_cred.psk_id, "%s", optarg);
            break;
        case A_PSK:
            me.lw_cred.psk_len = unhex(optarg, me.lw_cred.psk, sizeof me.lw_cred.psk);
            break;
        case A_ACKT:
            me.ack_timeout = atol(optarg);
            break;
        case A_LIFETIME:
            me.lifetime = atol(optarg);
            break;
        case A_VENDOR:
            (void)unhex(optarg, me.vendor, sizeof me.vendor);
            break;
        case A_CLASS:
            (void)unhex(optarg, me.class_id, sizeof me.class_id);
            break;
        case A_VERSION:
            version = optarg;
            break;
        case A_SIGNER:
            must(mbedtls_x509_crt_parse_file(&me.signer, optarg), optarg);
            me.has_signer = true;
            break;
        case A_BQUERY:
            snprintf(me.boot_query, sizeof me.boot_query, "%s", optarg);
            break;
        case A_TYPE:
            snprintf(me.type, sizeof me.type, "%s", optarg);
            break;
        default:
            exit(2);
        }
    }
    res_init(version, me.vendor, me.class_id);
    res_aobs_assign(10);
}

int main(int argc, char **argv)
{
    static mbedtls_entropy_context entropy;
    static char line[4096];

    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&rng);
    must(mbedtls_ctr_drbg_seed(&rng, mbedtls_entropy_func, &entropy, NULL, 0), "random");
    uint32_t seed;
    (void)mbedtls_ctr_drbg_random(&rng, (uint8_t *)&seed, sizeof seed);
    srand(seed);
    cred_init(&me.boot_cred);
    cred_init(&me.lw_cred);
    mbedtls_x509_crt_init(&me.signer);
    mbedtls_pk_init(&me.est_key);
    mbedtls_ssl_session_init(&me.net.session);
    me.mode = M_DTLS;
    me.lifetime = 7200;
    me.exec_delay = 50;
    me.ack_timeout = 3000;
    me.block = 512;
    me.fw_how = "http";
    me.automatic = true;
    me.mid = seed & 0xffff;
    snprintf(me.type, sizeof me.type, "default");
    snprintf(me.binding, sizeof me.binding, "U");
    me.fw.image = malloc(FW_MAX);
    arguments(argc, argv);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        struct pollfd fds[2] = {{.fd = 0, .events = POLLIN},
                                {.fd = me.net.open ? me.net.fd.fd : -1, .events = POLLIN}};
        (void)poll(fds, 2, 20);
        if ((fds[0].revents & (POLLIN | POLLHUP)) != 0) {
            if (fgets(line, sizeof line, stdin) == NULL) {
                drop(true);
                return 0;
            }
            command(line);
        }
        for (unsigned i = 0; i < 16 && me.net.open && (fds[1].revents & (POLLIN | POLLHUP)); i++) {
            uint8_t in[RX_MAX];
            int n = net_recv(&me.net, in);
            if (me.net.oversize) {
                me.net.oversize = false;
                fail("message larger than the buffer", 0);
            }
            if (n < 0) {
                bool boot = me.bootstrapping;
                drop(false);
                ev("closed");
                ev_num("bootstrapping", boot);
                ev_end();
                break;
            }
            if (n == 0) {
                break;
            }
            message_in(in, (size_t)n);
        }
        timers_run();
        notify_run();
    }
}
