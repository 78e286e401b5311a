/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/rand.h"
#include "base/text.h"
#include "tests/unit/run.h"

START_TEST(random_bytes_do_not_repeat)
{
    uint8_t seen[64][16];

    for (int i = 0; i < 64; i++) {
        dr_rand_bytes(seen[i], 16);
        for (int k = 0; k < i; k++) {
            ck_assert_mem_ne(seen[i], seen[k], 16);
        }
    }
    uint8_t big[1000] = {0};
    dr_rand_bytes(big, sizeof big);
    int zero = 0;
    for (size_t i = 0; i < sizeof big; i++) {
        zero += big[i] == 0 ? 1 : 0;
    }
    ck_assert_int_lt(zero, 40);
    dr_rand_bytes(NULL, 0);
    ck_assert(dr_rand_u64() != dr_rand_u64());
    uint32_t all = 0;
    for (int i = 0; i < 40; i++) {
        all |= dr_rand_u32();
    }
    ck_assert_uint_eq(all, UINT32_MAX);
}
END_TEST

START_TEST(a_child_does_not_repeat_its_parent)
{
    int fds[2];
    uint64_t theirs = 0;

    (void)dr_rand_u64(); /* a pool is there */
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        uint64_t v = dr_rand_u64();
        _exit(write(fds[1], &v, sizeof v) == (ssize_t)sizeof v ? 0 : 1);
    }
    uint64_t ours = dr_rand_u64();
    ck_assert_int_eq(read(fds[0], &theirs, sizeof theirs), (ssize_t)sizeof theirs);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(ours != theirs);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(a_seed_gives_the_same_numbers)
{
    struct dr_prng a;
    struct dr_prng b;
    uint8_t x[13];
    uint8_t y[13];

    dr_prng_init(&a, 1);
    dr_prng_init(&b, 1);
    dr_prng_bytes(&a, x, sizeof x);
    dr_prng_bytes(&b, y, sizeof y);
    ck_assert_mem_eq(x, y, sizeof x);
    int buckets[10] = {0};
    for (int i = 0; i < 10000; i++) {
        ck_assert(dr_prng_u64(&a) == dr_prng_u64(&b));
        buckets[dr_prng_below(&a, 10)]++;
        (void)dr_prng_u64(&b);
        double d = dr_prng_double(&a);
        ck_assert(d >= 0 && d < 1);
        (void)dr_prng_u64(&b);
    }
    for (int i = 0; i < 10; i++) {
        ck_assert_int_gt(buckets[i], 850);
        ck_assert_int_lt(buckets[i], 1150);
    }
    dr_prng_init(&b, 2);
    ck_assert(dr_prng_u64(&a) != dr_prng_u64(&b));
}
END_TEST

START_TEST(xoshiro_gives_the_published_sequence)
{
    /* state 1,2,3,4: first outputs of the reference implementation of xoshiro256** */
    struct dr_prng r = {.s = {1, 2, 3, 4}};
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};

    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(dr_prng_u64(&r), want[i]);
    }
}
END_TEST

START_TEST(siphash_depends_on_key_and_every_byte)
{
    struct dr_hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    struct dr_hash_key other = key;
    uint8_t data[64];

    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)i;
    }
    for (size_t len = 0; len < sizeof data; len++) {
        uint64_t h = dr_siphash(&key, data, len);
        ck_assert_uint_eq((uint32_t)(h >> 32), dr_hash32(&key, data, len));
        ck_assert(h != dr_siphash(&key, data, len + 1));
        for (size_t i = 0; i < len; i++) {
            data[i] ^= 0x80;
            ck_assert(h != dr_siphash(&key, data, len));
            data[i] ^= 0x80;
        }
        other.k1 ^= 1;
        ck_assert(h != dr_siphash(&other, data, len));
        other.k1 ^= 1;
    }
}
END_TEST

START_TEST(siphash_1_3_vectors)
{
    /* inputs 00, 00 01, 00 01 02 ...: what CPython 3.11 (hash of bytes, PYTHONHASHSEED=42) computes
     */
    struct dr_hash_key key = {0xdc504fd368cd90af, 0xb920bb9ffe99e9c1};
    static const uint64_t want[] = {
        0xce880c366bcf3489, 0xef32fbc0469f0756, 0xef4b9dcae9b04417, 0x79793200f3b3b3db,
        0xbe8653fc64f95fbd, 0xb32b5a11619800dd, 0xce280fabc397fbda, 0x60866c3c108c6afb,
        0x68814005f7469e03, 0x060a514cd0a2e301, 0x72f315ef14fb4b09, 0x550fe6ca26ef7fdd,
        0x19c8185b4c3e2799, 0xfaa1fc2224a07929, 0x94ace24d68c18cf8, 0x339176f3ac59ce05};
    uint8_t data[16];

    for (size_t i = 0; i < DR_ARRAY_LEN(want); i++) {
        data[i] = (uint8_t)i;
        ck_assert_uint_eq(dr_siphash(&key, data, i + 1), want[i]);
    }
}
END_TEST

START_TEST(a_random_key_is_random)
{
    struct dr_hash_key a;
    struct dr_hash_key b;

    dr_hash_key_init(&a);
    dr_hash_key_init(&b);
    ck_assert(a.k0 != b.k0 && a.k1 != b.k1);
}
END_TEST

START_TEST(the_mix_has_no_collisions_among_small_ids)
{
    ck_assert(dr_mix64(0) == 0); /* a bijection that keeps zero */
    for (uint64_t i = 1; i < 1000; i++) {
        ck_assert(dr_mix64(i) != dr_mix64(i + 1));
        ck_assert_uint_eq(dr_mix32(i), (uint32_t)(dr_mix64(i) >> 32));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/rand");
    TCase *tc = add_case(s, "rand");

    tcase_add_test(tc, random_bytes_do_not_repeat);
    tcase_add_test(tc, a_child_does_not_repeat_its_parent);
    tcase_add_test(tc, a_seed_gives_the_same_numbers);
    tcase_add_test(tc, xoshiro_gives_the_published_sequence);
    tc = add_case(s, "hash");
    tcase_add_test(tc, siphash_depends_on_key_and_every_byte);
    tcase_add_test(tc, siphash_1_3_vectors);
    tcase_add_test(tc, a_random_key_is_random);
    tcase_add_test(tc, the_mix_has_no_collisions_among_small_ids);
    return run_suite(s);
}
