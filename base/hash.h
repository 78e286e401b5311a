/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/hash.h
 * @brief Hashes for tables: keyed for what a peer chooses, a plain mix for ids that we made.
 *
 * Layer: base, pure.  Threads: reentrant.  Memory: none.  Limits: none.
 * Security: a peer who does not know the key cannot make collisions in SipHash.  Spec: SipHash-1-3.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct dr_hash_key {
    uint64_t k0, k1;
};

/** A random key; one per process or table. */
void dr_hash_key_init(struct dr_hash_key *key);

/** SipHash-1-3. */
uint64_t dr_siphash(const struct dr_hash_key *key, const void *data, size_t len);

/** Upper half of dr_siphash(): what dr_table wants. */
static inline uint32_t dr_hash32(const struct dr_hash_key *key, const void *data, size_t len)
{
    return (uint32_t)(dr_siphash(key, data, len) >> 32);
}

/** Bijective mix of an id that no peer can choose. */
static inline uint64_t dr_mix64(uint64_t v)
{
    v ^= v >> 30;
    v *= 0xbf58476d1ce4e5b9U;
    v ^= v >> 27;
    v *= 0x94d049bb133111ebU;
    return v ^ v >> 31;
}

static inline uint32_t dr_mix32(uint64_t v)
{
    return (uint32_t)(dr_mix64(v) >> 32);
}
