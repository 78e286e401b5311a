/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent PSA keys in our store, with the library's own storage replaced at link time. Each life
 * of the device is a process; the flash is memory that outlives it. Power is cut in the writes: a
 * key is whole, as it was before, or absent, and the device can always go on. DR_LONG=1: in every
 * one.
 */
#include "client/core/its.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <psa/crypto.h>

#include "tests/unit/client/rig.h"
#include "tests/unit/run.h"

#define BASE     (2 * RIG_SLOT)
#define AREA     1024 /* small: compacts within one life */
#define PSK_ID   1u
#define IDENT_ID 2u
#define CONST_ID 0x500u
#define STEPS    9
#define PSK_LEN  16

/* Outlives a process. */
struct world {
    uint8_t mem[RIG_FLASH];
    uint64_t writes;
    int done; /* steps acknowledged */
    char failed[120];
};
static struct world *world;

#define NEED(cond, what)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            (void)snprintf(world->failed, sizeof world->failed, "line %d: %s", __LINE__, what);    \
            _exit(3);                                                                              \
        }                                                                                          \
    } while (0)

static void power_off(struct nor *nor)
{
    (void)nor;
    _exit(7);
}

static void psk_of(int step, uint8_t ret[PSK_LEN])
{
    memset(ret, 0x40 + step, PSK_LEN);
}

static psa_status_t psk_put(int step)
{
    psa_key_attributes_t attr = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key;
    uint8_t psk[PSK_LEN];

    psa_status_t status = psa_destroy_key(PSK_ID);
    if (status != PSA_SUCCESS && status != PSA_ERROR_INVALID_HANDLE) {
        return status;
    }
    psk_of(step, psk);
    psa_set_key_id(&attr, PSK_ID);
    psa_set_key_type(&attr, PSA_KEY_TYPE_RAW_DATA);
    psa_set_key_usage_flags(&attr, PSA_KEY_USAGE_EXPORT);
    return psa_import_key(&attr, psk, sizeof psk, &key);
}

static psa_status_t ident_make(void)
{
    psa_key_attributes_t attr = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key;

    psa_set_key_id(&attr, IDENT_ID);
    psa_set_key_type(&attr, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attr, 256);
    psa_set_key_usage_flags(&attr, PSA_KEY_USAGE_SIGN_HASH | PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&attr, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    psa_status_t status = psa_generate_key(&attr, &key);
    return status == PSA_ERROR_ALREADY_EXISTS ? PSA_SUCCESS : status;
}

/* 1 = works, 0 = absent; anything else is a failure. */
static int ident_works(void)
{
    uint8_t hash[CL_HASH_LEN], sig[CL_SIG_LEN];
    size_t len = 0;

    cl_sha256("x", 1, hash);
    psa_status_t status = psa_sign_hash(IDENT_ID, PSA_ALG_ECDSA(PSA_ALG_SHA_256), hash, sizeof hash,
                                        sig, sizeof sig, &len);
    if (status == PSA_ERROR_INVALID_HANDLE) {
        return 0;
    }
    return status == PSA_SUCCESS && psa_verify_hash(IDENT_ID, PSA_ALG_ECDSA(PSA_ALG_SHA_256), hash,
                                                    sizeof hash, sig, len) == PSA_SUCCESS
               ? 1
               : -1;
}

/* The step whose PSK is there, 0 = absent, -1 = something else is. */
static int psk_there(void)
{
    uint8_t got[64], want[PSK_LEN];
    size_t len = 0;

    psa_status_t status = psa_export_key(PSK_ID, got, sizeof got, &len);
    if (status == PSA_ERROR_INVALID_HANDLE) {
        return 0;
    }
    for (int step = 1; status == PSA_SUCCESS && step <= STEPS; step++) {
        psk_of(step, want);
        if (len == PSK_LEN && memcmp(got, want, PSK_LEN) == 0) {
            return step;
        }
    }
    return -1;
}

/* Steps: 1 a PSK, 2 the identity, 3 a write-once value, from 4 on other PSKs. */
static void life(void)
{
    struct cl_kvs kvs;
    int done = world->done;

    NEED(cl_kvs_open(&kvs, BASE, AREA) == CL_OK, "the store opens");
    cl_its_mount(&kvs);
    NEED(psa_crypto_init() == PSA_SUCCESS, "PSA starts");
    int psk = psk_there(), ident = ident_works();
    /* an exchange of the PSK is a removal and a new key: in between there is none */
    int last = done >= 4 ? done : done >= 1 ? 1 : 0, next = done >= 3 ? done + 1 : last;
    next = done == 0 ? 1 : next;
    NEED(psk == last || psk == next || (psk == 0 && (done == 0 || done >= 3)),
         "the PSK is the old one, the new one, or absent while it is exchanged");
    NEED(ident == 1 || (ident == 0 && done < 2), "the identity key is whole, or absent before");
    if (done >= 3) {
        uint8_t value[8];
        size_t len = 0;
        struct psa_storage_info_t info = {0};
        NEED(psa_its_get(CONST_ID, 0, sizeof value, value, &len) == PSA_SUCCESS && len == 5 &&
                 memcmp(value, "const", 5) == 0,
             "the write-once value stays");
        NEED(psa_its_get_info(CONST_ID, &info) == PSA_SUCCESS && info.size == 5 && info.flags == 1,
             "and says so");
    }
    for (int step = done + 1; step <= STEPS; step++) {
        psa_status_t status;
        if (step == 2) {
            status = ident_make();
        } else if (step == 3) {
            status = psa_its_set(CONST_ID, 5, "const", 1);
            if (status == PSA_ERROR_NOT_PERMITTED) {
                status = PSA_SUCCESS; /* it was in flight and arrived */
            }
        } else {
            status = psk_put(step);
        }
        NEED(status == PSA_SUCCESS, "a step succeeds");
        world->done = step;
    }
    NEED(psk_there() == STEPS && ident_works() == 1, "all keys are there in the end");
    struct psa_storage_info_t key = {0};
    NEED(psa_its_get_info(PSK_ID, &key) == PSA_SUCCESS && key.size > PSK_LEN,
         "the library keeps its keys in our store");
    NEED(psa_its_set(CONST_ID, 1, "x", 0) == PSA_ERROR_NOT_PERMITTED &&
             psa_its_remove(CONST_ID) == PSA_ERROR_NOT_PERMITTED,
         "write-once holds");
    mbedtls_psa_crypto_free();
    _exit(0);
}

/* One power-on, cut in write n (0 = none). @return the exit status of the process */
static int power_on(uint64_t n, enum nor_tear tear)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        rig_reset();
        rig.nor.mem = world->mem;
        rig.nor.on_cut = power_off;
        if (n != 0) {
            rig_cut(n, tear, 0, (uint32_t)n);
        }
        life();
    }
    int status = 0;
    ck_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static void blank(void)
{
    memset(world, 0, sizeof *world);
    memset(world->mem, 0xff, sizeof world->mem);
}

START_TEST(keys_survive_cuts)
{
    bool all = getenv("DR_LONG") != NULL;
    unsigned cuts = 0;

    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(world != MAP_FAILED);
    for (int tear = 0; tear < NOR_TEARS; tear++) {
        /* coprime to the number of tears: together they meet other writes each time */
        for (uint64_t n = 1 + (all ? 0 : (uint64_t)tear);; n += all ? 1 : 7) {
            blank();
            int status = power_on(n, (enum nor_tear)tear);
            if (status == 0) {
                ck_assert_uint_gt(n, 80); /* the cuts reach the end */
                break;
            }
            ck_assert_msg(status == 7, "write %u, tear %d: %s", (unsigned)n, tear, world->failed);
            cuts++;
            status = power_on(n % 11 + 1, (enum nor_tear)tear); /* once more on the way back */
            ck_assert_msg(status == 7 || status == 0, "write %u, tear %d, again: %s", (unsigned)n,
                          tear, world->failed);
            for (int i = 0; i < 2; i++) { /* goes on, and then finds all of it */
                ck_assert_msg(power_on(0, 0) == 0, "write %u, tear %d, after: %s", (unsigned)n,
                              tear, world->failed);
            }
        }
    }
    printf("%u cuts in writes of keys\n", cuts);
    ck_assert_int_eq(munmap(world, sizeof *world), 0);
}
END_TEST

START_TEST(calls_are_checked)
{
    struct cl_kvs kvs;
    uint8_t big[CL_KVS_VALUE_MAX + 1] = {0}, value[4] = {9, 9, 9, 9};
    struct psa_storage_info_t info = {77, 77};
    size_t len = 5;

    cl_its_mount(NULL);
    ck_assert_int_eq(psa_its_set(1, 1, "x", 0), PSA_ERROR_INVALID_ARGUMENT);
    rig_reset();
    ck_assert_int_eq(cl_kvs_open(&kvs, BASE, 8192), CL_OK);
    cl_its_mount(&kvs);
    ck_assert_int_eq(psa_its_set(0, 1, "x", 0), PSA_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(psa_its_set(CL_KEY_OWN | 1, 1, "x", 0), PSA_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(psa_its_set(1, 1, "x", 8), PSA_ERROR_NOT_SUPPORTED);
    ck_assert_int_eq(psa_its_set(1, sizeof big, big, 0), PSA_ERROR_INSUFFICIENT_STORAGE);
    ck_assert_int_eq(psa_its_get_info(1, &info), PSA_ERROR_DOES_NOT_EXIST);
    ck_assert_int_eq(psa_its_get(1, 0, 4, value, &len), PSA_ERROR_DOES_NOT_EXIST);
    ck_assert_int_eq(psa_its_remove(1), PSA_ERROR_DOES_NOT_EXIST);
    ck_assert(info.size == 77 && len == 5 && value[0] == 9);
    ck_assert_int_eq(psa_its_set(1, 3, "abc", 2), PSA_SUCCESS);
    ck_assert_int_eq(psa_its_get(1, 1, 4, value, &len), PSA_SUCCESS);
    ck_assert(len == 2 && memcmp(value, "bc", 2) == 0 && value[2] == 9);
    ck_assert_int_eq(psa_its_get(1, 3, 4, value, &len), PSA_SUCCESS);
    ck_assert_uint_eq(len, 0);
    ck_assert_int_eq(psa_its_get(1, 4, 4, value, &len), PSA_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(psa_its_get_info(1, &info), PSA_SUCCESS);
    ck_assert(info.size == 3 && info.flags == 0);
    ck_assert_int_eq(psa_its_set(2, 0, NULL, 0), PSA_SUCCESS);
    ck_assert_int_eq(psa_its_remove(1), PSA_SUCCESS);
    ck_assert_int_eq(psa_its_get_info(1, &info), PSA_ERROR_DOES_NOT_EXIST);
    cl_its_mount(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client keys");
    TCase *tc = add_case(suite, "keys");

    tcase_add_test(tc, keys_survive_cuts);
    tcase_add_test(tc, calls_are_checked);
    return run_suite(suite);
}
