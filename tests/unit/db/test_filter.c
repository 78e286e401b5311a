/* SPDX-License-Identifier: Apache-2.0 */
/* What of lists needs no database: checking conditions, names of states, error translation. */
#include <check.h>
#include <string.h>

#include <sqlite3.h>

#include "db/conn_priv.h"
#include "db/device.h"
#include "db/filter_priv.h"

static const struct {
    const char *in, *want;
} uuids[] = {
    {"fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", "fa6b4a53d5ad5fdfbe9de663e4d41ffe"},
    {"FA6B4A53D5AD5FDFBE9DE663E4D41FFE", "fa6b4a53d5ad5fdfbe9de663e4d41ffe"},
    {"f-a6b4a53d5ad5fdfbe9de663e4d41ffe", "fa6b4a53d5ad5fdfbe9de663e4d41ffe"},
    {"fa6b4a53d5ad5fdfbe9de663e4d41ff", "fa6b4a53d5ad5fdfbe9de663e4d41ff"},
    {"fa6b4a53d5ad5fdfbe9de663e4d41ffe0", "fa6b4a53d5ad5fdfbe9de663e4d41ffe0"},
    {"Meter-7", "Meter-7"},
    {"", ""},
};

START_TEST(uuids_get_one_form_and_other_texts_keep_theirs)
{
    char out[FILTER_UUID_LEN + 1];

    ck_assert_str_eq(filter_uuid(uuids[_i].in, out), uuids[_i].want);
}
END_TEST

START_TEST(states_have_names)
{
    enum db_device_state got = DB_DEVICE_BOOTSTRAPPED;

    for (int s = DB_DEVICE_UNENROLLED; s <= DB_DEVICE_DEREGISTERED; s++) {
        ck_assert(db_device_state_parse(db_device_state_name((enum db_device_state)s), &got));
        ck_assert_int_eq(got, s);
    }
    ck_assert(!db_device_state_parse("Registered", &got));
    ck_assert(!db_device_state_parse("", &got));
    ck_assert_int_eq(got, DB_DEVICE_DEREGISTERED);
    ck_assert_str_eq(db_device_state_name((enum db_device_state)5), "");
    ck_assert_str_eq(db_device_state_name((enum db_device_state) - 1), "");
}
END_TEST

static const struct {
    int rc;
    dr_err_t want;
} codes[] = {
    {SQLITE_OK, DR_OK},
    {SQLITE_FULL, DR_ERR_NOSPACE},
    {SQLITE_READONLY_DIRECTORY, DR_ERR_READONLY},
    {SQLITE_IOERR_FSYNC, DR_ERR_IO},
    {SQLITE_IOERR_NOMEM, DR_ERR_NOMEM},
    {SQLITE_NOMEM, DR_ERR_NOMEM},
    {SQLITE_CORRUPT_INDEX, DR_ERR_CORRUPT},
    {SQLITE_NOTADB, DR_ERR_CORRUPT},
    {SQLITE_BUSY_SNAPSHOT, DR_ERR_BUSY},
    {SQLITE_CONSTRAINT_UNIQUE, DR_ERR_EXISTS},
    {SQLITE_CONSTRAINT_PRIMARYKEY, DR_ERR_EXISTS},
    {SQLITE_CONSTRAINT_FOREIGNKEY, DR_ERR_NOT_FOUND},
    {SQLITE_CONSTRAINT_NOTNULL, DR_ERR_RANGE},
    {SQLITE_TOOBIG, DR_ERR_TOO_LARGE},
    {SQLITE_INTERRUPT, DR_ERR_CANCELED},
    {SQLITE_ERROR, DR_ERR_INTERNAL},
};

START_TEST(result_codes_are_translated)
{
    ck_assert_int_eq(db_err(codes[_i].rc), codes[_i].want);
}
END_TEST

START_TEST(a_refused_condition_names_its_field)
{
    const char *const values[] = {"x", "y"};
    const struct db_cond good = {"name", DB_OP_EQ, values, 1};
    const struct db_cond bad[] = {{"name", DB_OP_EQ, values, 1}, {"colour", DB_OP_EQ, values, 1}};
    const struct db_cond two = {"name", DB_OP_EQ, values, 2};
    const struct db_cond none = {"name", DB_OP_IN, values, 0};
    struct dr_errinfo info = {"kept", 7, "kept"};

    ck_assert_int_eq(db_conds_check(DB_LIST_DEVICE, NULL, 0, &info), DR_OK);
    ck_assert_int_eq(db_conds_check(DB_LIST_DEVICE, &good, 1, &info), DR_OK);
    ck_assert_int_eq(db_conds_check(DB_LIST_DEVICE, &none, 1, &info), DR_OK);
    ck_assert_str_eq(info.field, "kept");
    ck_assert_int_eq(db_conds_check(DB_LIST_DEVICE, bad, 2, &info), DR_ERR_INVAL);
    ck_assert_str_eq(info.field, "colour");
    ck_assert_int_eq(db_conds_check(DB_LIST_DEVICE, &two, 1, &info), DR_ERR_INVAL);
    ck_assert_str_eq(info.field, "name");
    ck_assert_int_eq(db_conds_check(DB_LIST_EVENT, &good, 1, NULL), DR_ERR_INVAL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db/filter");
    TCase *tc = tcase_create("filter");

    tcase_add_loop_test(tc, uuids_get_one_form_and_other_texts_keep_theirs, 0, DR_ARRAY_LEN(uuids));
    tcase_add_test(tc, states_have_names);
    tcase_add_loop_test(tc, result_codes_are_translated, 0, DR_ARRAY_LEN(codes));
    tcase_add_test(tc, a_refused_condition_names_its_field);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
