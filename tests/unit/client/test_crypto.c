/* SPDX-License-Identifier: Apache-2.0 */
/* ES256 with the published answers, in both forms of the check. */
#include "client/core/crypto.h"

#include <check.h>
#include <psa/crypto.h>

#include "tests/unit/client/rig.h"
#include "tests/unit/run.h"

/* spec: RFC6979#A.2.5 (P-256, SHA-256) */
#define X        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
#define Y        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define R_SAMPLE "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
#define S_SAMPLE "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define R_TEST   "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
#define S_TEST   "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
#define ZERO     "0000000000000000000000000000000000000000000000000000000000000000"
#define ORDER    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"

static const struct {
    const char *why, *text, *key, *sig;
    bool good;
} cases[] = {
    {"sample", "sample", "04" X Y, R_SAMPLE S_SAMPLE, true},
    {"test, s with a leading zero", "test", "04" X Y, R_TEST S_TEST, true},
    {"another text", "Sample", "04" X Y, R_SAMPLE S_SAMPLE, false},
    {"r of one, s of the other", "test", "04" X Y, R_TEST S_SAMPLE, false},
    {"r and s in each other's place", "sample", "04" X Y, S_SAMPLE R_SAMPLE, false},
    {"r is zero", "sample", "04" X Y, ZERO S_SAMPLE, false},
    {"s is zero", "sample", "04" X Y, R_SAMPLE ZERO, false},
    {"both are zero", "sample", "04" X Y, ZERO ZERO, false},
    {"r is the order", "sample", "04" X Y, ORDER S_SAMPLE, false},
    {"s is the order", "sample", "04" X Y, R_SAMPLE ORDER, false},
    {"a key off the curve", "sample", "04" X X, R_SAMPLE S_SAMPLE, false},
    {"x and y in each other's place", "sample", "04" Y X, R_SAMPLE S_SAMPLE, false},
    {"a key of zeros", "sample", "04" ZERO ZERO, R_SAMPLE S_SAMPLE, false},
    {"not an uncompressed point", "sample", "02" X Y, R_SAMPLE S_SAMPLE, false},
};

static void bytes_of(const char *hex, uint8_t *ret, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        ret[i] = (uint8_t)byte;
    }
}

START_TEST(both_checks_give_the_published_answers)
{
    struct cl_trust trust = {.verify = cl_verify_es256};
    uint8_t hash[CL_HASH_LEN], sig[CL_SIG_LEN];

    ck_assert_int_eq(psa_crypto_init(), PSA_SUCCESS);
    bytes_of(cases[_i].key, trust.pub, sizeof trust.pub);
    bytes_of(cases[_i].sig, sig, sizeof sig);
    cl_sha256(cases[_i].text, strlen(cases[_i].text), hash);
    ck_assert_msg(trust.verify(&trust, hash, sig) == cases[_i].good, "%s", cases[_i].why);
    trust.verify = cl_verify_psa;
    ck_assert_msg(trust.verify(&trust, hash, sig) == cases[_i].good, "PSA: %s", cases[_i].why);
    if (cases[_i].good) { /* each single bit counts */
        for (unsigned bit = 0; bit < 8 * CL_SIG_LEN; bit += 37) {
            sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert(!cl_verify_es256(&trust, hash, sig) && !cl_verify_psa(&trust, hash, sig));
            sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    mbedtls_psa_crypto_free();
}
END_TEST

START_TEST(hash_gives_the_published_answer)
{
    uint8_t want[CL_HASH_LEN], got[CL_HASH_LEN];

    /* spec: FIPS180-4, "abc" and nothing */
    bytes_of("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", want, sizeof want);
    cl_sha256("abc", 3, got);
    ck_assert_mem_eq(got, want, sizeof want);
    bytes_of("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", want, sizeof want);
    cl_sha256(NULL, 0, got);
    ck_assert_mem_eq(got, want, sizeof want);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client crypto");
    TCase *tc = add_case(suite, "es256");

    tcase_add_loop_test(tc, both_checks_give_the_published_answers, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_test(tc, hash_gives_the_published_answer);
    return run_suite(suite);
}
