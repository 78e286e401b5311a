/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/account.h"

#include "client/core/crypto.h"
#include "client/core/its.h"

/*
 * In the store: one key with {format 1, generation, number of chunks, origin u32} and the chunks of
 * that generation, 512 bytes each but the last. The other generation is written first, the key
 * last. The chunks hold, one after another: for each account and the server a byte "there", then
 * their fields, numbers of fixed width (little endian), bytes behind their u16 length.
 */

#define KEY_BASE   (CL_KEY_OWN | UINT64_C(0x6163636f00000000))
#define KEY_HEAD   (KEY_BASE | 0xffff)
#define CHUNKS_MAX 8

enum { FORMAT = 1, HEAD_LEN = 7 };

void cl_wipe(void *p, size_t len)
{
    volatile uint8_t *v = p;

    while (len-- > 0) {
        *v++ = 0;
    }
}

void cl_accounts_init(struct cl_accounts *a, struct cl_kvs *kvs)
{
    memset(a, 0, sizeof *a);
    a->kvs = kvs;
    a->server.ssid = 1;
    a->server.lifetime_s = 86400;
    memcpy(a->server.binding, "U", 2);
}

void cl_accounts_wipe(struct cl_accounts *a)
{
    cl_wipe(a->account, sizeof a->account);
}

/* One walk over all fields serves both directions. */
struct walk {
    struct cl_accounts *a;
    bool save;
    uint8_t generation, chunk, chunks;
    uint8_t buf[CL_KVS_VALUE_MAX];
    size_t len, at;
    cl_err_t err;
};

static uint64_t chunk_key(uint8_t generation, uint8_t chunk)
{
    return KEY_BASE | (uint64_t)generation << 8 | chunk;
}

static void flush(struct walk *w)
{
    if (w->chunk == CHUNKS_MAX) {
        w->err = CL_ERR_SPACE;
        return;
    }
    w->err = cl_kvs_set(w->a->kvs, chunk_key(w->generation, w->chunk++), w->buf, w->len, 0);
    w->len = 0;
}

static void refill(struct walk *w)
{
    w->at = w->len = 0;
    if (w->chunk == w->chunks) {
        w->err = CL_ERR_INVAL;
        return;
    }
    w->err = cl_kvs_get(w->a->kvs, chunk_key(w->generation, w->chunk++), w->buf, sizeof w->buf,
                        &w->len, NULL);
    if (w->err == CL_OK && (w->len == 0 || w->len > sizeof w->buf)) {
        w->err = CL_ERR_INVAL;
    }
}

static void raw(struct walk *w, void *p, size_t len)
{
    uint8_t *b = p;

    for (size_t i = 0; i < len && w->err == CL_OK; i++) {
        if (w->save) {
            w->buf[w->len++] = b[i];
            if (w->len == sizeof w->buf) {
                flush(w);
            }
        } else {
            if (w->at == w->len) {
                refill(w);
            }
            b[i] = w->err == CL_OK ? w->buf[w->at++] : 0;
        }
    }
}

static void flag(struct walk *w, bool *v)
{
    uint8_t b = *v;

    raw(w, &b, 1);
    *v = b != 0;
}

static void num16(struct walk *w, uint16_t *v)
{
    uint8_t b[2];

    cl_put16(b, *v);
    raw(w, b, 2);
    *v = cl_get16(b);
}

static void num32(struct walk *w, uint32_t *v)
{
    uint8_t b[4];

    cl_put32(b, *v);
    raw(w, b, 4);
    *v = cl_get32(b);
}

static void bytes(struct walk *w, uint8_t *p, uint16_t *len, size_t cap)
{
    num16(w, len);
    if (*len > cap) {
        w->err = CL_ERR_INVAL;
        *len = 0;
    }
    raw(w, p, *len);
}

static void text(struct walk *w, char *p, size_t cap)
{
    uint16_t len = w->save ? (uint16_t)strlen(p) : 0;

    bytes(w, (uint8_t *)p, &len, cap - 1);
    p[len] = '\0';
}

static void account_walk(struct walk *w, struct cl_account *acc)
{
    bool there = acc->there && acc->written;

    flag(w, &there);
    if (!there || w->err != CL_OK) {
        return;
    }
    acc->there = acc->written = true;
    num16(w, &acc->inst);
    raw(w, &acc->mode, 1);
    num16(w, &acc->ssid);
    num32(w, &acc->hold_off_s);
    text(w, acc->uri, sizeof acc->uri);
    bytes(w, acc->id, &acc->id_len, sizeof acc->id);
    bytes(w, acc->peer, &acc->peer_len, sizeof acc->peer);
    bytes(w, acc->key, &acc->key_len, sizeof acc->key);
}

static void set_walk(struct walk *w)
{
    struct cl_server *s = &w->a->server;

    account_walk(w, &w->a->account[CL_SERVER]);
    account_walk(w, &w->a->account[CL_BOOTSTRAPPER]);
    flag(w, &s->there);
    flag(w, &s->store_notes);
    num16(w, &s->inst);
    num16(w, &s->ssid);
    num32(w, &s->lifetime_s);
    num32(w, &s->pmin_s);
    num32(w, &s->pmax_s);
    text(w, s->binding, sizeof s->binding);
}

static uint32_t origin_of(const struct cl_account *acc)
{
    uint8_t hash[CL_HASH_LEN];
    uint32_t all;

    cl_sha256(acc->uri, strlen(acc->uri), hash);
    all = cl_get32(hash);
    cl_sha256(acc->id, acc->id_len, hash);
    all ^= cl_get32(hash);
    cl_sha256(acc->key, acc->key_len, hash);
    return all ^ cl_get32(hash + 4);
}

static cl_err_t chunks_remove(struct cl_accounts *a, uint8_t generation)
{
    for (uint8_t i = 0; i < CHUNKS_MAX; i++) {
        cl_err_t err = cl_kvs_remove(a->kvs, chunk_key(generation, i));
        if (err != CL_OK && err != CL_ERR_NOENT) {
            return err;
        }
    }
    return CL_OK;
}

cl_err_t cl_accounts_forget(struct cl_accounts *a)
{
    if (a->kvs == NULL) {
        return CL_OK;
    }
    cl_err_t err = cl_kvs_remove(a->kvs, KEY_HEAD);
    return err != CL_OK && err != CL_ERR_NOENT ? err : chunks_remove(a, a->generation);
}

cl_err_t cl_accounts_load(struct cl_accounts *a)
{
    uint8_t head[HEAD_LEN];
    size_t len = 0;

    a->origin = origin_of(&a->account[CL_BOOTSTRAPPER]);
    cl_err_t err =
        a->kvs == NULL ? CL_ERR_NOENT : cl_kvs_get(a->kvs, KEY_HEAD, head, sizeof head, &len, NULL);
    if (err != CL_OK) {
        return err;
    }
    if (len != HEAD_LEN || head[0] != FORMAT || head[2] > CHUNKS_MAX) {
        return CL_ERR_INVAL;
    }
    a->generation = head[1];
    if (cl_get32(head + 3) != a->origin) {
        err = cl_accounts_forget(a);
        return err == CL_OK ? CL_ERR_NOENT : err;
    }
    struct walk w = {.a = a, .generation = head[1], .chunks = head[2]};
    set_walk(&w);
    cl_wipe(w.buf, sizeof w.buf);
    return w.err;
}

cl_err_t cl_accounts_save(struct cl_accounts *a)
{
    struct walk w = {.a = a, .save = true, .generation = a->generation ^ 1};

    if (a->kvs == NULL) {
        return CL_OK;
    }
    cl_err_t err = chunks_remove(a, w.generation);
    if (err != CL_OK) {
        return err;
    }
    set_walk(&w);
    if (w.err == CL_OK && w.len > 0) {
        flush(&w);
    }
    cl_wipe(w.buf, sizeof w.buf);
    if (w.err != CL_OK) {
        return w.err;
    }
    uint8_t head[HEAD_LEN] = {FORMAT, w.generation, w.chunk};
    cl_put32(head + 3, a->origin);
    err = cl_kvs_set(a->kvs, KEY_HEAD, head, sizeof head, 0);
    if (err != CL_OK) {
        return err;
    }
    a->generation = w.generation;
    return chunks_remove(a, w.generation ^ 1);
}

static const struct {
    const char *text;
    enum cl_scheme scheme;
    uint16_t port;
} schemes[] = {
    {"coap://", CL_COAP, 5683},
    {"coaps://", CL_COAPS, 5684},
    {"coap+tcp://", CL_COAP_TCP, 5683},
    {"coaps+tcp://", CL_COAPS_TCP, 5684},
};

/* The port behind the host: ":1234" up to '/', '?' or the end. */
static bool port_of(const char **at, uint16_t *ret)
{
    uint32_t port = 0;
    const char *p = *at;

    if (*p != ':') {
        return true;
    }
    for (p++; *p >= '0' && *p <= '9' && port < 65536; p++) {
        port = port * 10 + (uint32_t)(*p - '0');
    }
    *at = p;
    *ret = (uint16_t)port;
    return port > 0 && port < 65536;
}

cl_err_t cl_uri_parse(const char *uri, struct cl_uri *ret)
{
    struct cl_uri u = {.query = ""};
    const char *p = NULL;

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(uri, schemes[i].text, strlen(schemes[i].text)) == 0) {
            p = uri + strlen(schemes[i].text);
            u.scheme = schemes[i].scheme;
            u.port = schemes[i].port;
        }
    }
    if (p == NULL) {
        return CL_ERR_INVAL;
    }
    bool bracket = *p == '[';
    p += bracket ? 1 : 0;
    size_t len = strcspn(p, bracket ? "]" : ":/?");
    if (len == 0 || len >= sizeof u.host || (bracket && p[len] != ']')) {
        return CL_ERR_INVAL;
    }
    memcpy(u.host, p, len);
    p += len + (bracket ? 1 : 0);
    if (!port_of(&p, &u.port)) {
        return CL_ERR_INVAL;
    }
    p += *p == '/' ? 1 : 0;
    if (*p == '?') {
        u.query = p + 1;
    } else if (*p != '\0') {
        return CL_ERR_INVAL;
    }
    *ret = u;
    return CL_OK;
}
