/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/util_priv.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

dr_err_t lwm2m_objlnk_parse(const char *text, size_t len, struct lwm2m_objlnk *ret)
{
    dr_assert(ret != NULL);

    uint64_t obj = 0, inst = 0;

    if (len == 9 && strncasecmp(text, "FFFF:FFFF", 9) == 0) {
        *ret = (struct lwm2m_objlnk){.obj = UINT16_MAX, .inst = UINT16_MAX};
        return DR_OK;
    }
    const char *colon = len == 0 ? NULL : memchr(text, ':', len);
    if (colon == NULL) {
        return DR_ERR_PROTO;
    }
    size_t left = (size_t)(colon - text);
    if (dr_parse_u64_max(text, left, UINT16_MAX, &obj) != DR_OK ||
        dr_parse_u64_max(colon + 1, len - left - 1, UINT16_MAX, &inst) != DR_OK) {
        return DR_ERR_PROTO;
    }
    *ret = (struct lwm2m_objlnk){.obj = (uint16_t)obj, .inst = (uint16_t)inst};
    return DR_OK;
}

size_t lwm2m_objlnk_format(struct lwm2m_objlnk link, char out[LWM2M_OBJLNK_STR_MAX])
{
    struct dr_wr wr = dr_wr_of(out, LWM2M_OBJLNK_STR_MAX);

    dr_wr_printf(&wr, "%u:%u", link.obj, link.inst);
    return dr_wr_len(&wr);
}

size_t lwm2m_float_plain(double f, char out[LWM2M_FLOAT_PLAIN_MAX])
{
    if (dr_double_format(f, out) > 0 && strpbrk(out, "eE") == NULL) {
        return strlen(out);
    }
    struct dr_wr wr = dr_wr_of(out, LWM2M_FLOAT_PLAIN_MAX - 1);
    if (fabs(f) < 1) {
        dr_wr_printf(&wr, "%.20f", f);
    } else {
        dr_wr_printf(&wr, "%.0f", f < 0 ? fmax(f, -1e29) : fmin(f, 1e29));
    }
    size_t n = dr_wr_len(&wr);
    if (memchr(out, '.', n) != NULL) {
        while (out[n - 1] == '0') {
            n--;
        }
        n -= out[n - 1] == '.' ? 1 : 0;
    }
    out[n] = '\0';
    return n;
}

dr_err_t lwm2m_base64_any(const char *text, size_t len, uint8_t *out, size_t *ret_len)
{
    if (dr_base64url_decode(text, len, out, len, ret_len) == DR_OK) {
        return DR_OK;
    }
    if (dr_base64_decode(text, len, out, len, ret_len) == DR_OK) {
        return DR_OK;
    }
    /* the standard alphabet without padding: pad the last group here */
    char tail[4] = {'=', '=', '=', '='};
    size_t whole = len / 4 * 4, rest = len - whole, head_len = 0, tail_len = 0;
    uint8_t last[3];

    if (rest < 2) {
        return DR_ERR_PROTO;
    }
    memcpy(tail, text + whole, rest);
    if ((whole > 0 && dr_base64_decode(text, whole, out, len, &head_len) != DR_OK) ||
        dr_base64_decode(tail, 4, last, sizeof(last), &tail_len) != DR_OK ||
        head_len != whole / 4 * 3) {
        return DR_ERR_PROTO;
    }
    memcpy(out + head_len, last, tail_len);
    *ret_len = head_len + tail_len;
    return DR_OK;
}

bool lwm2m_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct lwm2m_str lwm2m_str_sub(struct lwm2m_str s, size_t from, size_t to)
{
    dr_assert(from <= to && to <= s.len);
    return (struct lwm2m_str){.ptr = s.ptr == NULL ? NULL : s.ptr + from, .len = to - from};
}

struct lwm2m_str lwm2m_str_trim(struct lwm2m_str s)
{
    size_t from = 0, to = s.len;

    while (from < to && lwm2m_blank(s.ptr[from])) {
        from++;
    }
    while (to > from && lwm2m_blank(s.ptr[to - 1])) {
        to--;
    }
    return lwm2m_str_sub(s, from, to);
}

struct lwm2m_str lwm2m_str_unquote(struct lwm2m_str s)
{
    if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"') {
        return lwm2m_str_sub(s, 1, s.len - 1);
    }
    return s;
}

bool lwm2m_str_ieq(struct lwm2m_str s, const char *z)
{
    return strlen(z) == s.len && (s.len == 0 || strncasecmp(s.ptr, z, s.len) == 0);
}
