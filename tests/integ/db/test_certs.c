/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, enrolments and sealed columns in a real store. */
#include <fcntl.h>

#include "db/cert.h"
#include "db/enrollment.h"
#include "tests/integ/db/dbt.h"

#define OK(call)         ck_assert_int_eq(call, DR_OK)
#define FAILS(call, err) ck_assert_int_eq(call, err)

/* ---- a seal that can be seen: xor with a byte, the label's length as the check ---- */

static uint8_t toy_key;

static dr_err_t toy_seal(void *data, struct dr_bytes label, struct dr_bytes plain, uint8_t *out,
                         size_t cap, size_t *ret_len)
{
    (void)data;
    ck_assert_uint_le(plain.len + 2, cap);
    out[0] = toy_key;
    out[1] = (uint8_t)label.len;
    for (size_t i = 0; i < plain.len; i++) {
        out[2 + i] = plain.p[i] ^ 0x80;
    }
    *ret_len = plain.len + 2;
    return DR_OK;
}

static dr_err_t toy_unseal(void *data, struct dr_bytes label, struct dr_bytes sealed, uint8_t *out,
                           size_t cap, size_t *ret_len)
{
    (void)data;
    if (sealed.len < 2 || sealed.p[0] != toy_key || sealed.p[1] != (uint8_t)label.len ||
        sealed.len - 2 > cap) {
        return DR_ERR_CRYPTO;
    }
    for (size_t i = 2; i < sealed.len; i++) {
        out[i - 2] = sealed.p[i] ^ 0x80;
    }
    *ret_len = sealed.len - 2;
    return DR_OK;
}

static const struct db_seal toy = {.seal = toy_seal, .unseal = toy_unseal};

static dr_err_t insert_psk(struct db_writer *w, void *ctx)
{
    const struct db_psk p = {.id = 1,
                             .account = DBT_ACCOUNT,
                             .identity = dr_bytes_str("dev"),
                             .endpoint_name = "dev",
                             .key = dr_bytes_str("a-secret-of-its-own")};

    (void)ctx;
    return db_psk_insert(w, &p);
}

static dr_err_t see_key(void *data, const struct db_psk *row)
{
    ck_assert(dr_bytes_eq_str(row->key, "a-secret-of-its-own"));
    *(int *)data = 1;
    return DR_OK;
}

static dr_err_t find_psk(struct db_reader *r, void *ctx)
{
    return db_psk_find(r, dr_bytes_str("dev"), see_key, ctx);
}

static bool file_has(const char *text)
{
    char path[128];
    static char bytes[1 << 20];

    (void)snprintf(path, sizeof path, "%s/%s", dbt_dir, DB_FILE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ssize_t n = read(fd, bytes, sizeof bytes);
    ck_assert(n > 0 && (size_t)n < sizeof bytes);
    (void)close(fd);
    return memmem(bytes, (size_t)n, text, strlen(text)) != NULL;
}

START_TEST(plain_keys_are_sealed_when_there_is_a_master_key)
{
    const struct db_config config = {.free_min_bytes = 1, .seal = &toy};
    struct dr_errinfo info = {{0}, 0, {0}};
    int found = 0;

    toy_key = 1;
    OK(dbt_write(insert_psk, NULL));
    dbt_db = db_close(dbt_db);
    ck_assert(file_has("a-secret-of-its-own"));
    dbt_open_with(config);
    OK(dbt_read(find_psk, &found));
    ck_assert_int_eq(found, 1);
    dbt_db = db_close(dbt_db);
    ck_assert(!file_has("a-secret-of-its-own"));
    toy_key = 2; /* another master key */
    struct db_config other = config;
    other.dir = dbt_dir;
    FAILS(db_open(&other, &dbt_db, &info), DR_ERR_CRYPTO);
    ck_assert_ptr_nonnull(strstr(info.text, "put the old"));
    toy_key = 1;
    dbt_open_with(config);
}
END_TEST

/* ---- rows ---- */

static struct db_trusted trusted(int64_t id, int64_t account, const char *name, const uint8_t *hash)
{
    return (struct db_trusted){.id = id,
                               .account = account,
                               .name = name,
                               .description = "",
                               .service = "lwm2m",
                               .active = true,
                               .subject = name,
                               .issuer = "i",
                               .fingerprint = "f",
                               .key_hash = dr_bytes_of(hash, DB_CERT_HASH_LEN),
                               .certificate = dr_bytes_str("der"),
                               .endpoint_name = ""};
}

static dr_err_t count_trusted(void *data, const struct db_trusted *row)
{
    (void)row;
    (*(int *)data)++;
    return DR_OK;
}

static dr_err_t see_developer(void *data, const struct db_trusted *row, struct dr_bytes key)
{
    (*(int *)data)++;
    ck_assert_str_eq(row->name, "dev");
    ck_assert(dr_bytes_eq_str(key, "private"));
    return DR_OK;
}

static dr_err_t trusted_rows(struct db_writer *w, void *ctx)
{
    uint8_t h1[DB_CERT_HASH_LEN] = {1}, h2[DB_CERT_HASH_LEN] = {2}, h3[DB_CERT_HASH_LEN] = {3};
    struct db_reader *r = db_writer_reader(w);
    struct db_trusted row = trusted(1, DBT_ACCOUNT, "one", h1);
    int n = 0;

    (void)ctx;
    OK(db_trusted_insert(w, &row, (struct dr_bytes){0}));
    row = trusted(3, DBT_OTHER, "mine now", h1);
    FAILS(db_trusted_insert(w, &row, (struct dr_bytes){0}), DR_ERR_EXISTS); /* the key is taken */
    row = trusted(3, DBT_OTHER, "one", h2);
    OK(db_trusted_insert(w, &row, (struct dr_bytes){0})); /* the name is the account's own */
    row = trusted(4, DBT_ACCOUNT, "dev", h3);
    row.execution_mode = 1;
    OK(db_trusted_insert(w, &row, dr_bytes_str("private")));
    OK(db_developer_get(r, DBT_ACCOUNT, 4, see_developer, &n));
    ck_assert_int_eq(n, 1);
    FAILS(db_developer_get(r, DBT_ACCOUNT, 1, see_developer, &n), DR_ERR_NOT_FOUND);
    FAILS(db_developer_get(r, DBT_OTHER, 4, see_developer, &n), DR_ERR_NOT_FOUND);
    FAILS(db_trusted_get(r, DBT_OTHER, 1, count_trusted, &n), DR_ERR_NOT_FOUND);
    n = 0;
    OK(db_trusted_anchors(r, count_trusted, &n));
    ck_assert_int_eq(n, 3);
    row = trusted(1, DBT_ACCOUNT, "one", h1);
    row.active = false;
    OK(db_trusted_update(w, &row));
    row.account = DBT_OTHER;
    FAILS(db_trusted_update(w, &row), DR_ERR_NOT_FOUND);
    n = 0;
    OK(db_trusted_anchors(r, count_trusted, &n));
    ck_assert_int_eq(n, 2);
    FAILS(db_trusted_delete(w, DBT_OTHER, 1), DR_ERR_NOT_FOUND);
    OK(db_trusted_delete(w, DBT_ACCOUNT, 1));
    FAILS(db_trusted_delete(w, DBT_ACCOUNT, 1), DR_ERR_NOT_FOUND);
    return DR_OK;
}

static dr_err_t count_certs(void *data, const struct db_device_cert *row)
{
    ck_assert_uint_eq(row->fingerprint.len, DB_CERT_HASH_LEN);
    (*(int *)data)++;
    return DR_OK;
}

static dr_err_t device_rows(struct db_writer *w, void *ctx)
{
    uint8_t fp[DB_CERT_HASH_LEN] = {1}, fp2[DB_CERT_HASH_LEN] = {2};
    struct db_reader *r = db_writer_reader(w);
    struct db_device_cert row = {.id = 1,
                                 .account = DBT_ACCOUNT,
                                 .endpoint_name = "d",
                                 .name = "LWM2M",
                                 .serial = "00",
                                 .fingerprint = dr_bytes_of(fp, sizeof fp)};
    int n = 0;
    int64_t count = 9;

    (void)ctx;
    OK(db_device_cert_insert(w, &row));
    row.id = 2;
    FAILS(db_device_cert_insert(w, &row), DR_ERR_EXISTS);
    row.fingerprint = dr_bytes_of(fp2, sizeof fp2);
    OK(db_device_cert_insert(w, &row));
    OK(db_device_cert_revoked(r, count_certs, &n));
    ck_assert_int_eq(n, 0);
    row.id = 3;
    OK(db_device_cert_revoke(w, &row)); /* the row that is there */
    OK(db_device_cert_revoked(r, count_certs, &n));
    ck_assert_int_eq(n, 1);
    OK(db_device_cert_revoke_all(w, DBT_OTHER, "d", 5, &count));
    ck_assert_int_eq(count, 0);
    OK(db_device_cert_revoke_all(w, DBT_ACCOUNT, "d", 5, &count));
    ck_assert_int_eq(count, 1);
    n = 0;
    OK(db_device_cert_list(r, DBT_ACCOUNT, "d", 0, 10, count_certs, &n));
    ck_assert_int_eq(n, 2);
    n = 0;
    OK(db_device_cert_list(r, DBT_ACCOUNT, NULL, 1, 10, count_certs, &n));
    ck_assert_int_eq(n, 1);
    return DR_OK;
}

#define ID_A                                                                                       \
    "A-00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:1a:1b:1c:1d:" \
    "1e:1f"
#define ID_B                                                                                       \
    "A-00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:" \
    "1E:1F"

static dr_err_t see_claim(void *data, const struct db_enrollment *row)
{
    *(int64_t *)data = row->account;
    return DR_OK;
}

static dr_err_t enrollment_rows(struct db_writer *w, void *ctx)
{
    struct db_reader *r = db_writer_reader(w);
    struct db_enrollment row = {.id = 1, .account = DBT_ACCOUNT, .identity = ID_A};
    uint8_t key[DB_ENROLLMENT_KEY], none[DB_ENROLLMENT_KEY] = {9};
    int64_t account = 0, id = 0;

    (void)ctx;
    OK(db_enrollment_insert(w, &row));
    row.id = 2;
    row.account = DBT_OTHER;
    row.identity = ID_B; /* the same bytes */
    FAILS(db_enrollment_insert(w, &row), DR_ERR_EXISTS);
    row.identity = "A-00:01";
    FAILS(db_enrollment_insert(w, &row), DR_ERR_PROTO);
    OK(db_enrollment_parse(ID_B, key));
    ck_assert_uint_eq(key[31], 0x1f);
    OK(db_enrollment_find(r, dr_bytes_of(none, sizeof none), dr_bytes_of(key, sizeof key), 10,
                          see_claim, &account));
    ck_assert_int_eq(account, DBT_ACCOUNT);
    FAILS(db_enrollment_find(r, dr_bytes_of(none, sizeof none), dr_bytes_of(none, sizeof none), 10,
                             see_claim, &account),
          DR_ERR_NOT_FOUND);
    OK(db_enrollment_claim(w, DBT_ACCOUNT, 1, 77, 10));
    FAILS(db_enrollment_claim(w, DBT_OTHER, 1, 77, 10), DR_ERR_NOT_FOUND);
    FAILS(db_enrollment_delete_identity(w, DBT_OTHER, ID_A, &id), DR_ERR_NOT_FOUND);
    OK(db_enrollment_delete_identity(w, DBT_ACCOUNT, ID_A, &id));
    ck_assert_int_eq(id, 1);
    return DR_OK;
}

static dr_err_t see_bulk(void *data, const struct db_bulk *row)
{
    *(struct db_bulk *)data = *row;
    return DR_OK;
}

static dr_err_t bulk_rows(struct db_writer *w, void *ctx)
{
    struct db_bulk row = {.id = 1, .account = DBT_ACCOUNT, .total = 10}, got;

    (void)ctx;
    OK(db_bulk_insert(w, &row));
    row.status = DB_BULK_PROCESSING;
    row.processed = 4;
    row.errors = 1;
    OK(db_bulk_update(w, &row));
    FAILS(db_bulk_get(db_writer_reader(w), DBT_ACCOUNT, 1, true, see_bulk, &got), DR_ERR_NOT_FOUND);
    FAILS(db_bulk_get(db_writer_reader(w), DBT_OTHER, 1, false, see_bulk, &got), DR_ERR_NOT_FOUND);
    OK(db_bulk_interrupted(w, 50));
    OK(db_bulk_get(db_writer_reader(w), DBT_ACCOUNT, 1, false, see_bulk, &got));
    ck_assert_int_eq(got.status, DB_BULK_COMPLETED);
    ck_assert_int_eq(got.errors, 7);
    ck_assert_int_eq(got.completed_at, 50);
    return DR_OK;
}

START_TEST(trusted_certificates_belong_to_one_account)
{
    OK(dbt_write(trusted_rows, NULL));
}
END_TEST

START_TEST(device_certificates_are_revoked)
{
    OK(dbt_write(device_rows, NULL));
}
END_TEST

START_TEST(a_device_is_claimed_once)
{
    OK(dbt_write(enrollment_rows, NULL));
}
END_TEST

START_TEST(an_interrupted_bulk_job_is_over)
{
    OK(dbt_write(bulk_rows, NULL));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db/certs");
    TCase *tc = tcase_create("certs");

    tcase_add_checked_fixture(tc, dbt_setup, dbt_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, plain_keys_are_sealed_when_there_is_a_master_key);
    tcase_add_test(tc, trusted_certificates_belong_to_one_account);
    tcase_add_test(tc, device_certificates_are_revoked);
    tcase_add_test(tc, a_device_is_claimed_once);
    tcase_add_test(tc, an_interrupted_bulk_job_is_over);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
