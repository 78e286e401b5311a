/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/target.h"

#include <string.h>
#include <strings.h>

#include "base/ids.h"

#define SEGMENTS_MAX 3

static bool is_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!hex) {
            return false;
        }
    }
    return true;
}

static bool token_take(const char *text, size_t len, struct camp_target *t)
{
    if (len != DB_TOKEN_LEN || !is_hex(text, len)) {
        return false;
    }
    memcpy(t->token, text, len);
    t->token[len] = '\0';
    return true;
}

/* "coap", "http" and the same with s, in front of "://". @return length of all that, or 0 */
static size_t scheme_len(const char *uri, size_t len)
{
    static const char *const schemes[] = {"coap://", "coaps://", "http://", "https://"};

    for (size_t i = 0; i < DR_ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (len >= n && strncasecmp(uri, schemes[i], n) == 0) {
            return n;
        }
    }
    return 0;
}

/* Does the address end in "/fw/ID/TOKEN", as ours do? */
static bool own_take(const char *path, size_t len, struct camp_target *t)
{
    static const char mark[] = "/fw/";
    const size_t tail = sizeof mark - 1 + DR_ID_LEN + 1 + DB_TOKEN_LEN;
    int64_t id = 0;

    if (len < tail) {
        return false;
    }
    const char *at = path + len - tail;
    const char *token = at + sizeof mark - 1 + DR_ID_LEN + 1;
    if (memcmp(at, mark, sizeof mark - 1) != 0 || token[-1] != '/' ||
        dr_id_parse(at + sizeof mark - 1, DR_ID_LEN, &id) != DR_OK ||
        !token_take(token, DB_TOKEN_LEN, t)) {
        return false;
    }
    t->image = id;
    return true;
}

dr_err_t camp_target_parse_uri(const char *uri, size_t len, struct camp_target *ret)
{
    dr_assert((uri != NULL || len == 0) && ret != NULL);
    struct camp_target t = {.uri = uri, .uri_len = len};

    if (len == 0 || len > CAMP_TARGET_URI_MAX) {
        return DR_ERR_PROTO;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)uri[i];
        if (c <= ' ' || c >= 0x7f) {
            return DR_ERR_PROTO;
        }
    }
    if (memmem(uri, len, "://", 3) == NULL) {
        return DR_ERR_PROTO;
    }
    size_t at = scheme_len(uri, len);
    if (at == 0) {
        return DR_ERR_UNSUPPORTED;
    }
    const char *path = memchr(uri + at, '/', len - at);
    size_t host = path == NULL ? len - at : (size_t)(path - uri) - at;
    if (host == 0 || memchr(uri + at, '@', host) != NULL) {
        return DR_ERR_PROTO;
    }
    if (path != NULL) {
        (void)own_take(path, len - (size_t)(path - uri), &t);
    }
    *ret = t;
    return DR_OK;
}

/* Path segments of the message; more than SEGMENTS_MAX count as one more. */
static size_t segments(const struct cx_pdu *pdu, struct cx_opt out[SEGMENTS_MAX])
{
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;
    size_t n = 0;

    while (cx_opt_next(&it, &opt) && opt.num <= CX_OPT_URI_PATH) {
        if (opt.num == CX_OPT_URI_PATH) {
            if (n == SEGMENTS_MAX) {
                return n + 1;
            }
            out[n++] = opt;
        }
    }
    return n;
}

dr_err_t camp_target_parse(const struct cx_pdu *pdu, struct camp_target *ret)
{
    dr_assert(pdu != NULL && ret != NULL);
    struct cx_opt seg[SEGMENTS_MAX], proxy;
    struct camp_target t = {.image = 0};
    size_t n = segments(pdu, seg);
    bool has_proxy = cx_opt_find(pdu, CX_OPT_PROXY_URI, &proxy);

    if (has_proxy) {
        return n == 1 ? camp_target_parse_uri((const char *)proxy.val, proxy.len, ret)
                      : DR_ERR_PROTO;
    }
    if (n < 2) {
        return DR_ERR_PROTO;
    }
    if (n > SEGMENTS_MAX || dr_id_parse((const char *)seg[1].val, seg[1].len, &t.image) != DR_OK ||
        t.image == 0 ||
        (n == SEGMENTS_MAX && !token_take((const char *)seg[2].val, seg[2].len, &t))) {
        return DR_ERR_NOT_FOUND;
    }
    *ret = t;
    return DR_OK;
}
