/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"

#define POOL_LEN 512U

/* Small requests are cut from a pool, because a system call for each token would cost more than the
 * rest of the answer. A child of fork() must not repeat its parent's pool: the generation tells. */
static _Atomic uint32_t fork_generation = 1;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static _Thread_local struct {
    uint8_t bytes[POOL_LEN];
    size_t left;
    uint32_t generation;
} pool;

static void forked(void)
{
    atomic_fetch_add_explicit(&fork_generation, 1, memory_order_relaxed);
}

static void watch_fork(void)
{
    dr_assert(pthread_atfork(NULL, NULL, forked) == 0);
}

static void from_kernel(uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(out, len, 0);
        dr_assert(n > 0 || errno == EINTR);
        if (n > 0) {
            out += n;
            len -= (size_t)n;
        }
    }
}

void dr_rand_bytes(void *out, size_t len)
{
    dr_assert(out != NULL || len == 0);
    if (len > POOL_LEN / 4) {
        from_kernel(out, len);
        return;
    }
    uint32_t generation = atomic_load_explicit(&fork_generation, memory_order_relaxed);
    if (pool.left < len || pool.generation != generation) {
        (void)pthread_once(&fork_once, watch_fork);
        from_kernel(pool.bytes, POOL_LEN);
        pool.left = POOL_LEN;
        pool.generation = generation;
    }
    if (len != 0) {
        pool.left -= len;
        memcpy(out, pool.bytes + pool.left, len);
        explicit_bzero(pool.bytes + pool.left, len); /* what was handed out is not kept */
    }
}

uint32_t dr_rand_u32(void)
{
    uint32_t v;

    dr_rand_bytes(&v, sizeof v);
    return v;
}

uint64_t dr_rand_u64(void)
{
    uint64_t v;

    dr_rand_bytes(&v, sizeof v);
    return v;
}

static uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

void dr_prng_init(struct dr_prng *r, uint64_t seed)
{
    dr_assert(r != NULL);
    for (size_t i = 0; i < 4; i++) { /* splitmix64 spreads the seed; never all zero */
        seed += 0x9e3779b97f4a7c15U;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
        z = (z ^ z >> 27) * 0x94d049bb133111ebU;
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t dr_prng_u64(struct dr_prng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint32_t dr_prng_below(struct dr_prng *r, uint32_t n)
{
    dr_assert(n > 0);
    return (uint32_t)((dr_prng_u64(r) >> 32) * n >> 32);
}

double dr_prng_double(struct dr_prng *r)
{
    return (double)(dr_prng_u64(r) >> 11) * 0x1p-53;
}

void dr_prng_bytes(struct dr_prng *r, void *out, size_t len)
{
    uint8_t *p = out;

    while (len > 0) {
        uint64_t v = dr_prng_u64(r);
        size_t n = len < sizeof v ? len : sizeof v;
        memcpy(p, &v, n);
        p += n;
        len -= n;
    }
}
