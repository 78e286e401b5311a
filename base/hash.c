/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

#include "base/err.h"
#include "base/rand.h"

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotl(s->b, 13) ^ s->a;
    s->d = rotl(s->d, 16) ^ s->c;
    s->a = rotl(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotl(s->b, 17) ^ s->c;
    s->d = rotl(s->d, 21) ^ s->a;
    s->c = rotl(s->c, 32);
}

static inline uint64_t load_le(const uint8_t *p, size_t len)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static inline void sip_word(struct sip *s, uint64_t w)
{
    s->d ^= w;
    sip_round(s);
    s->a ^= w;
}

uint64_t dr_siphash(const struct dr_hash_key *key, const void *data, size_t len)
{
    dr_assert(key != NULL && (data != NULL || len == 0));
    const uint8_t *p = data;
    size_t words = len / 8;
    struct sip s = {key->k0 ^ 0x736f6d6570736575U, key->k1 ^ 0x646f72616e646f6dU,
                    key->k0 ^ 0x6c7967656e657261U, key->k1 ^ 0x7465646279746573U};

    for (size_t i = 0; i < words; i++) {
        uint64_t w;
        memcpy(&w, p + 8 * i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        w = __builtin_bswap64(w);
#endif
        sip_word(&s, w);
    }
    uint64_t tail = len % 8 == 0 ? 0 : load_le(p + 8 * words, len % 8);
    sip_word(&s, tail | (uint64_t)len << 56);
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++) {
        sip_round(&s);
    }
    return s.a ^ s.b ^ s.c ^ s.d;
}

void dr_hash_key_init(struct dr_hash_key *key)
{
    dr_assert(key != NULL);
    dr_rand_bytes(key, sizeof *key);
}
