/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_cbor.c
 * @brief The CBOR reader on any bytes: it ends, its checks agree with each other, canonical input
 * comes back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void put_item(struct dr_wr *wr, const struct dr_cbor_item *it)
{
    switch (it->type) {
    case DR_CBOR_UINT:
        dr_cbor_put_uint(wr, it->u);
        break;
    case DR_CBOR_NINT:
        if (it->u <= INT64_MAX) {
            dr_cbor_put_int(wr, -1 - (int64_t)it->u);
        } else { /* below int64: only the reader knows such numbers */
            dr_wr_u8(wr, 0x3b);
            dr_wr_u64(wr, it->u);
        }
        break;
    case DR_CBOR_BYTES:
        dr_cbor_put_bytes(wr, it->s.p, it->s.len);
        break;
    case DR_CBOR_TEXT:
        dr_cbor_put_text(wr, (const char *)it->s.p, it->s.len);
        break;
    case DR_CBOR_ARRAY:
        dr_cbor_put_array(wr, it->u);
        break;
    case DR_CBOR_MAP:
        dr_cbor_put_map(wr, it->u);
        break;
    case DR_CBOR_TAG:
        dr_cbor_put_tag(wr, it->u);
        break;
    case DR_CBOR_BOOL:
        dr_cbor_put_bool(wr, it->b);
        break;
    case DR_CBOR_NULL:
        dr_cbor_put_null(wr);
        break;
    case DR_CBOR_UNDEFINED:
        dr_cbor_put_undefined(wr);
        break;
    case DR_CBOR_SIMPLE:
        dr_cbor_put_simple(wr, (uint8_t)it->u);
        break;
    case DR_CBOR_FLOAT:
        dr_cbor_put_number(wr, it->f);
        break;
    case DR_CBOR_END:
    case DR_CBOR_EOF:
        break;
    }
}

/* All items to the end; what was read is written to wr when that is not NULL. */
static dr_err_t read_all(const uint8_t *data, size_t len, uint32_t flags, struct dr_wr *wr)
{
    struct dr_cbor r;
    struct dr_cbor_item it;
    size_t steps = 0;

    dr_cbor_init(&r, data, len, flags);
    do {
        dr_err_t err = dr_cbor_next(&r, &it);
        if (err != DR_OK) {
            return err;
        }
        if (it.s.len > len || dr_cbor_pos(&r) > len || ++steps > 2 * len + 2) {
            abort();
        }
        if (wr != NULL) {
            put_item(wr, &it);
        }
    } while (it.type != DR_CBOR_EOF);
    return DR_OK;
}

static dr_err_t skip_all(const uint8_t *data, size_t len)
{
    struct dr_cbor r;
    dr_err_t err;

    dr_cbor_init(&r, data, len, 0);
    do {
        err = dr_cbor_skip(&r);
    } while (err == DR_OK);
    return err == DR_ERR_NOT_FOUND ? DR_OK : err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    dr_err_t tolerant = read_all(data, len, 0, NULL);
    dr_err_t strict = read_all(data, len, DR_CBOR_STRICT, NULL);
    dr_err_t canonical = read_all(data, len, DR_CBOR_CANONICAL, NULL);

    if (skip_all(data, len) != tolerant || (tolerant != DR_OK && strict == DR_OK) ||
        (strict != DR_OK && canonical == DR_OK)) {
        abort();
    }
    if (canonical == DR_OK) {
        uint8_t *out = malloc(len + 1);
        if (out == NULL) {
            return 0;
        }
        struct dr_wr wr = dr_wr_of(out, len);
        if (read_all(data, len, 0, &wr) != DR_OK || !dr_wr_ok(&wr) || dr_wr_len(&wr) != len ||
            (len != 0 && memcmp(out, data, len) != 0)) {
            abort();
        }
        free(out);
    }
    return 0;
}
