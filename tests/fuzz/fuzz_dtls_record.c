/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_dtls_record.c
 * @brief A datagram for a live association: as it is, and its records sealed with the right key.
 *
 * The first byte chooses suite and role, the rest is the datagram.
 */
#include <stdlib.h>
#include <string.h>

#include "coap/dtls_assoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void setup(struct dtls_assoc *us, struct dtls_assoc *them, uint8_t mode)
{
    static const uint8_t flight[] = {0, 1, 'f'};

    memset(us, 0, sizeof *us);
    memset(them, 0, sizeof *them);
    us->suite = them->suite = (uint8_t)(1 + (mode & 3));
    us->flags = mode & 4 ? DTLS_ASSOC_CLIENT : 0;
    us->rx_key[0] = them->tx_key[0] = 1;
    if (mode & 8) {
        dr_assert(dtls_assoc_flight_put(us, flight, sizeof flight) == DR_OK);
    }
}

static void drain(const struct dtls_assoc *a, const struct dtls_input *in)
{
    const uint8_t *p;
    size_t off = 0, n = 0;

    if (in->got == DTLS_GOT_REPEAT) {
        while (dtls_assoc_flight_next(a, &off, &p) != 0) {
            n++;
        }
        dr_assert(n == 1);
    }
    dr_assert(in->reply_len <= sizeof in->reply);
    dr_assert(in->got != DTLS_GOT_DATA || in->len > 0);
}

/* the body of a record as what an authentic peer says */
static void give_sealed(struct dtls_assoc *us, struct dtls_assoc *them, struct dtls_crypto *c,
                        const struct dtls_record *rec, uint64_t now_ms)
{
    static uint8_t buf[DTLS_SEAL_HEAD + 2048 + DTLS_SEAL_TAIL_MAX];
    struct dtls_record sealed;
    struct dtls_input in;
    size_t n, off = 0;
    size_t len = rec->len < 2048 ? rec->len : 2048;

    memcpy(buf + DTLS_SEAL_HEAD, rec->body, len);
    if (dtls_assoc_seal(them, c, rec->type, buf, len, &n) == DR_OK) {
        dr_assert(dtls_record_next(buf, n, &off, &sealed) && off == n);
        bool closed = us->flags & DTLS_ASSOC_CLOSED;
        dtls_assoc_input(us, c, &sealed, now_ms, &in);
        dr_assert((in.got == DTLS_GOT_BAD) == (closed || rec->type == DTLS_TYPE_CCS));
        drain(us, &in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct dtls_crypto *c;
    struct dtls_assoc us, them;
    struct dtls_record rec;
    struct dtls_input in;
    size_t off = 0;

    if (len == 0 || (c == NULL && dtls_crypto_new(&c) != DR_OK)) {
        return 0;
    }
    setup(&us, &them, data[0]);
    uint8_t *copy = malloc(len);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data + 1, len - 1);
    for (uint64_t now = 1; dtls_record_next(copy, len - 1, &off, &rec); now += 400) {
        give_sealed(&us, &them, c, &rec, now);
        dtls_assoc_input(&us, c, &rec, now, &in);
        drain(&us, &in);
    }
    dr_assert(off <= len - 1);
    free(copy);
    dtls_assoc_fini(&us);
    dtls_assoc_fini(&them);
    return 0;
}
