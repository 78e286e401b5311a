/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing, the master key's places, and the files of an installation. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "certs/install.h"
#include "tests/unit/run.h"

static char dir[64];

static int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void setup(void)
{
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    (void)snprintf(dir, sizeof dir, "/tmp/certs-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    (void)nftw(dir, rm, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

START_TEST(a_secret_comes_back_under_its_label_only)
{
    const uint8_t key[CERT_MASTER_LEN] = {1}, other_key[CERT_MASTER_LEN] = {2};
    struct cert_vault *v, *w;
    uint8_t sealed[64], again[64], out[64] = {0};
    size_t len = 0, len2 = 0, n = 99;

    ck_assert_int_eq(cert_vault_new(key, &v), DR_OK);
    ck_assert_int_eq(cert_vault_new(other_key, &w), DR_OK);
    const struct dr_bytes label = dr_bytes_str("a"), secret = dr_bytes_str("secret");
    ck_assert_int_eq(cert_vault_seal(v, label, secret, sealed, sizeof sealed, &len), DR_OK);
    ck_assert_uint_eq(len, 6 + CERT_SEAL_EXTRA);
    ck_assert_int_eq(cert_vault_seal(v, label, secret, again, sizeof again, &len2), DR_OK);
    ck_assert(memcmp(sealed, again, len) != 0); /* never the same nonce */
    ck_assert_ptr_null(memmem(sealed, len, "secret", 6));
    ck_assert_int_eq(
        cert_vault_unseal(v, dr_bytes_str("b"), dr_bytes_of(sealed, len), out, sizeof out, &n),
        DR_ERR_CRYPTO);
    ck_assert_int_eq(cert_vault_unseal(w, label, dr_bytes_of(sealed, len), out, sizeof out, &n),
                     DR_ERR_CRYPTO);
    for (size_t i = 0; i < len; i++) {
        sealed[i] ^= 0x10;
        ck_assert_int_eq(cert_vault_unseal(v, label, dr_bytes_of(sealed, len), out, sizeof out, &n),
                         DR_ERR_CRYPTO);
        sealed[i] ^= 0x10;
    }
    ck_assert_uint_eq(n, 99);
    ck_assert_int_eq(cert_vault_unseal(v, label, dr_bytes_of(sealed, len), out, 5, &n),
                     DR_ERR_NOSPACE);
    ck_assert_int_eq(cert_vault_unseal(v, label, dr_bytes_of(sealed, len), out, sizeof out, &n),
                     DR_OK);
    ck_assert_uint_eq(n, 6);
    ck_assert_mem_eq(out, "secret", 6);
    ck_assert_int_eq(cert_vault_seal(v, label, secret, sealed, len - 1, &len), DR_ERR_NOSPACE);
    cert_vault_free(v);
    cert_vault_free(w);
}
END_TEST

START_TEST(the_master_key_is_made_once_and_private)
{
    struct cert_vault *v = NULL, *w = NULL;
    struct stat st;
    uint8_t sealed[64], out[64];
    size_t len, n;

    ck_assert_int_eq(cert_vault_open(dir, false, &v, NULL), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(cert_vault_open(dir, true, &v, NULL), DR_OK);
    ck_assert_int_eq(stat(path_of("master.key"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(cert_vault_open(dir, true, &w, NULL), DR_OK);
    ck_assert_int_eq(
        cert_vault_seal(v, dr_bytes_str("x"), dr_bytes_str("y"), sealed, sizeof sealed, &len),
        DR_OK);
    ck_assert_int_eq(
        cert_vault_unseal(w, dr_bytes_str("x"), dr_bytes_of(sealed, len), out, sizeof out, &n),
        DR_OK);
    cert_vault_free(v);
    cert_vault_free(w);
    ck_assert_int_eq(dr_file_write(path_of("master.key"), "12345", 5, NULL), DR_OK);
    ck_assert_int_eq(cert_vault_open(dir, true, &v, NULL), DR_ERR_CORRUPT);
}
END_TEST

START_TEST(the_system_may_hand_the_master_key_over)
{
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    struct cert_vault *v = NULL;

    ck_assert_int_eq(mkdir(path_of("cred"), 0700), 0);
    ck_assert_int_eq(dr_file_write(path_of("cred/drover-master"), hex, strlen(hex), NULL), DR_OK);
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", path_of("cred"), 1), 0);
    ck_assert_int_eq(cert_vault_open(dir, true, &v, NULL), DR_OK);
    ck_assert_int_ne(access(path_of("master.key"), F_OK), 0);
    cert_vault_free(v);
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}
END_TEST

START_TEST(an_installation_is_made_once_and_read_again)
{
    const uint8_t key[CERT_MASTER_LEN] = {1};
    struct cert_vault *v;
    struct cert_install *in = NULL, *again = NULL;
    bool made = false;
    struct stat st;

    ck_assert_int_eq(cert_vault_new(key, &v), DR_OK);
    ck_assert_int_eq(cert_install_open(dir, v, &in, &made, NULL), DR_OK);
    ck_assert(made);
    ck_assert_int_eq(cert_install_open(dir, v, &again, &made, NULL), DR_OK);
    ck_assert(!made);
    for (int i = 0; i < CERT_N_ROLES; i++) {
        struct dr_bytes a = cert_authority_der(cert_install_authority(in, (enum cert_role)i));
        struct dr_bytes b = cert_authority_der(cert_install_authority(again, (enum cert_role)i));
        char name[64];
        ck_assert(dr_bytes_eq(a, b));
        (void)snprintf(name, sizeof name, "%s.key", cert_role_name((enum cert_role)i));
        ck_assert_int_eq(stat(path_of(name), &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0600);
    }
    for (int i = 0; i < CERT_N_SERVERS; i++) {
        ck_assert(dr_bytes_eq(cert_install_server_der(in, (enum cert_server)i),
                              cert_install_server_der(again, (enum cert_server)i)));
    }
    uint8_t before[CERT_DER_MAX];
    size_t len = cert_install_server_der(again, CERT_SERVER_LWM2M).len;
    memcpy(before, cert_install_server_der(again, CERT_SERVER_LWM2M).p, len);
    ck_assert_int_eq(cert_install_renew(again, CERT_SERVER_LWM2M, NULL), DR_OK);
    ck_assert(
        !dr_bytes_eq(dr_bytes_of(before, len), cert_install_server_der(again, CERT_SERVER_LWM2M)));
    cert_install_free(in);
    cert_install_free(again);
    cert_vault_free(v);
}
END_TEST

START_TEST(another_master_key_opens_nothing)
{
    const uint8_t key[CERT_MASTER_LEN] = {1}, other[CERT_MASTER_LEN] = {2};
    struct cert_vault *v, *w;
    struct cert_install *in = NULL;
    struct dr_errinfo info = {0};

    ck_assert_int_eq(cert_vault_new(key, &v), DR_OK);
    ck_assert_int_eq(cert_vault_new(other, &w), DR_OK);
    ck_assert_int_eq(cert_install_open(dir, v, &in, NULL, NULL), DR_OK);
    in = cert_install_free(in);
    ck_assert_int_eq(cert_install_open(dir, w, &in, NULL, &info), DR_ERR_CRYPTO);
    ck_assert_ptr_nonnull(strstr(info.text, "master key"));
    ck_assert_int_eq(unlink(path_of("device-issuer.key")), 0);
    ck_assert_int_eq(cert_install_open(dir, v, &in, NULL, &info), DR_ERR_CORRUPT);
    ck_assert_int_eq(dr_file_write(path_of("device-issuer.crt"), "x", 1, NULL), DR_OK);
    ck_assert_int_eq(cert_install_open(dir, v, &in, NULL, &info), DR_ERR_CORRUPT);
    ck_assert_ptr_null(in);
    cert_vault_free(v);
    cert_vault_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("certs install");
    TCase *vault = add_case(s, "vault"), *install = add_case(s, "install");

    tcase_add_checked_fixture(vault, setup, teardown);
    tcase_add_checked_fixture(install, setup, teardown);
    tcase_add_test(vault, a_secret_comes_back_under_its_label_only);
    tcase_add_test(vault, the_master_key_is_made_once_and_private);
    tcase_add_test(vault, the_system_may_hand_the_master_key_over);
    tcase_add_test(install, an_installation_is_made_once_and_read_again);
    tcase_add_test(install, another_master_key_opens_nothing);
    return run_suite(s);
}
