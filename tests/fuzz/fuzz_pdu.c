/* SPDX-License-Identifier: Apache-2.0 */
/* A datagram: decode, walk, encode again, compare. The encoding of a message is unique, so the
 * bytes must be the same. */
#include <stdlib.h>
#include <string.h>

#include "coap/block.h"
#include "coap/pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct cx_pdu pdu, untouched;
    memset(&pdu, 0x5a, sizeof pdu);
    memset(&untouched, 0x5a, sizeof untouched);
    uint8_t type;
    uint16_t mid;
    bool peeked = cx_pdu_peek(data, len, &type, &mid);
    dr_err_t err = cx_pdu_decode(data, len, &pdu);
    if (err == DR_ERR_PROTO) {
        check(memcmp(&pdu, &untouched, sizeof pdu) == 0);
        return 0;
    }
    check(err == DR_OK || err == DR_ERR_UNSUPPORTED);
    check(peeked && type == pdu.type && mid == pdu.mid);

    struct cx_opt opts[CX_OPTS_MAX], opt;
    size_t n = 0;
    bool all = true;
    uint16_t before = 0;
    for (struct cx_opt_iter it = cx_opt_begin(&pdu); cx_opt_next(&it, &opt);) {
        check(opt.num >= before);
        before = opt.num;
        check(opt.len == 0 || (opt.val >= data && opt.val + opt.len <= data + len));
        all = all && n < CX_OPTS_MAX;
        if (all) {
            opts[n++] = opt;
        }
        struct cx_opt first;
        check(cx_opt_find(&pdu, opt.num, &first) && first.num == opt.num);
    }
    struct cx_block block;
    (void)!cx_block_decode(pdu.block1, &block);
    if (cx_block_decode(pdu.block2, &block) == DR_OK) {
        check(cx_block_encode(&block) == (uint32_t)pdu.block2);
    }
    char path[256];
    if (cx_pdu_path(&pdu, path, sizeof path) == DR_OK) {
        check(path[0] == '/' && strlen(path) < sizeof path);
    }
    if (!all) {
        return 0;
    }
    uint8_t *out = malloc(len);
    check(out != NULL);
    struct dr_wr wr = dr_wr_of(out, len);
    check(cx_pdu_encode(&wr, pdu.type, pdu.code, pdu.mid, pdu.token, pdu.token_len, opts, n,
                        pdu.payload, pdu.payload_len) == DR_OK);
    if (pdu.code == CX_EMPTY) { /* a stray tail was dropped, and the token length with it */
        check(dr_wr_len(&wr) == 4 && memcmp(out + 1, data + 1, 3) == 0);
    } else {
        check(dr_wr_len(&wr) == len && memcmp(out, data, len) == 0);
    }
    free(out);
    return 0;
}
