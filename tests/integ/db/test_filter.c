/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, paging, filters and counts of devices against a naive model in memory. */
#include "tests/integ/db/dbt.h"

#include "base/ids.h"

#define OK(e)     ck_assert_int_eq((e), DR_OK)
#define DEVICES_N 700
#define T0        1600000000000LL

struct model {
    int64_t id, account, updated_at, bootstrapped;
    char endpoint[32], name[32], type[16], klass[40], vendor[40], site[16];
    enum db_device_state state;
    bool suspended;
    int64_t mode;
};

static struct model fleet[DEVICES_N];
static uint64_t seed;

static uint32_t roll(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % n;
}

static void invent(struct model *m, int i)
{
    m->id = (T0 + i * 1000LL) << 20 | roll(1000);
    m->account = roll(5) == 0 ? DBT_OTHER : DBT_ACCOUNT;
    m->updated_at = T0 + roll(1000) * 1000LL;
    m->bootstrapped = roll(3) == 0 ? 0 : T0 + roll(100) * 1000LL;
    snprintf(m->endpoint, sizeof(m->endpoint), "ep-%d", i);
    snprintf(m->name, sizeof(m->name), roll(3) == 0 ? "" : "Name %u", roll(30));
    snprintf(m->type, sizeof(m->type), roll(4) == 0 ? "" : "type%u", roll(4));
    snprintf(m->klass, sizeof(m->klass), "%08x000000000000000000000000", roll(3));
    snprintf(m->vendor, sizeof(m->vendor), roll(5) == 0 ? "" : "vendor%u", roll(50));
    snprintf(m->site, sizeof(m->site), roll(4) == 0 ? "" : "s%u", roll(6));
    m->state = (enum db_device_state)roll(5);
    m->suspended = roll(10) == 0;
    m->mode = roll(2) == 0 ? 1 : 5;
}

static dr_err_t insert_fleet(struct db_writer *w, void *ctx)
{
    (void)ctx;
    for (int i = 0; i < DEVICES_N; i++) {
        const struct model *m = &fleet[i];
        char json[64];
        snprintf(json, sizeof(json), m->site[0] != '\0' ? "{\"site\":\"%s\"}" : "{}", m->site);
        struct db_device d = {.id = m->id,
                              .account = m->account,
                              .endpoint_name = m->endpoint,
                              .updated_at = m->updated_at,
                              .bootstrapped_timestamp = m->bootstrapped,
                              .name = m->name,
                              .endpoint_type = m->type,
                              .device_class = m->klass,
                              .vendor_id = m->vendor,
                              .custom_attributes = json,
                              .state = m->state,
                              .operator_suspended = m->suspended,
                              .device_execution_mode = m->mode};
        dr_err_t err = db_device_insert(w, &d, NULL);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

/* ---- the model's idea of a condition ---- */

static const char *const fields[] = {"id",
                                     "endpoint_name",
                                     "state",
                                     "updated_at",
                                     "created_at",
                                     "name",
                                     "endpoint_type",
                                     "device_class",
                                     "vendor_id",
                                     "lifecycle_status",
                                     "device_execution_mode",
                                     "bootstrapped_timestamp",
                                     "custom_attributes__site",
                                     "etag",
                                     "account_id",
                                     "operator_suspended"};

static bool is_number(const char *field)
{
    return strcmp(field, "updated_at") == 0 || strcmp(field, "etag") == 0 ||
           strcmp(field, "created_at") == 0 || strcmp(field, "bootstrapped_timestamp") == 0 ||
           strcmp(field, "device_execution_mode") == 0;
}

/* The value as the text that a filter would have, and as a number where it is one. */
static void value_of(const struct model *m, const char *field, char text[64], int64_t *num)
{
    *num = 0;
    text[0] = '\0';
    if (strcmp(field, "id") == 0) {
        dr_id_format(m->id, text);
    } else if (strcmp(field, "account_id") == 0) {
        dr_id_format(m->account, text);
    } else if (strcmp(field, "endpoint_name") == 0) {
        (void)snprintf(text, 64, "%s", m->endpoint);
    } else if (strcmp(field, "state") == 0) {
        (void)snprintf(text, 64, "%s", db_device_state_name(m->state));
    } else if (strcmp(field, "updated_at") == 0 || strcmp(field, "etag") == 0) {
        *num = m->updated_at;
    } else if (strcmp(field, "created_at") == 0) {
        *num = DR_ID_MS(m->id);
    } else if (strcmp(field, "bootstrapped_timestamp") == 0) {
        *num = m->bootstrapped;
    } else if (strcmp(field, "device_execution_mode") == 0) {
        *num = m->mode;
    } else if (strcmp(field, "name") == 0) {
        (void)snprintf(text, 64, "%s", m->name);
    } else if (strcmp(field, "endpoint_type") == 0) {
        (void)snprintf(text, 64, "%s", m->type);
    } else if (strcmp(field, "device_class") == 0) {
        (void)snprintf(text, 64, "%s", m->klass);
    } else if (strcmp(field, "vendor_id") == 0) {
        (void)snprintf(text, 64, "%s", m->vendor);
    } else if (strcmp(field, "lifecycle_status") == 0) {
        (void)snprintf(text, 64, "%s", m->suspended ? "blocked" : "enabled");
    } else if (strcmp(field, "operator_suspended") == 0) {
        (void)snprintf(text, 64, "%s", m->suspended ? "true" : "false");
    } else {
        (void)snprintf(text, 64, "%s", m->site);
    }
    if (is_number(field)) {
        if (strcmp(field, "device_execution_mode") == 0) {
            snprintf(text, 64, "%lld", (long long)*num);
        } else {
            dr_time_format(*num, text);
        }
    }
}

static bool holds_one(const struct model *m, const struct db_cond *c, const char *value)
{
    char mine[64], low[64], want[64];
    int64_t num, other = 0;
    bool time = is_number(c->field) && strcmp(c->field, "device_execution_mode") != 0;

    value_of(m, c->field, mine, &num);
    if (c->op == DB_OP_EQ || c->op == DB_OP_NEQ || c->op == DB_OP_IN || c->op == DB_OP_NIN) {
        return strcmp(mine, value) == 0;
    }
    if (c->op == DB_OP_LIKE) {
        for (size_t i = 0; i < 64; i++) {
            low[i] = (char)(mine[i] >= 'A' && mine[i] <= 'Z' ? mine[i] + 32 : mine[i]);
        }
        snprintf(want, sizeof(want), "%s", value);
        for (char *p = want; *p != '\0'; p++) {
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        }
        return strstr(low, want) != NULL;
    }
    if (is_number(c->field)) {
        if (time) {
            OK(dr_time_parse(value, strlen(value), &other));
        } else {
            other = strtoll(value, NULL, 10);
        }
        if (time && num == 0) {
            return false;
        }
        return c->op == DB_OP_LTE ? num <= other : num >= other;
    }
    int cmp = strcmp(mine, value);
    return c->op == DB_OP_LTE ? cmp <= 0 : cmp >= 0;
}

static bool holds(const struct model *m, const struct db_query *q)
{
    if (m->account != q->account) {
        return false;
    }
    for (size_t i = 0; i < q->n_conds; i++) {
        const struct db_cond *c = &q->conds[i];
        bool any = false;
        for (size_t v = 0; v < c->n_values; v++) {
            any = any || holds_one(m, c, c->values[v]);
        }
        if ((c->op == DB_OP_NEQ || c->op == DB_OP_NIN) ? any : !any) {
            return false;
        }
    }
    return true;
}

/* ---- asking both ---- */

struct ask {
    struct db_query q;
    int64_t ids[DEVICES_N + 1];
    int n;
    int64_t count;
    struct dr_errinfo info;
};

static dr_err_t take_row(void *data, const struct db_device *row)
{
    struct ask *a = (struct ask *)data;

    a->ids[a->n++] = row->id;
    return DR_OK;
}

static dr_err_t take_id(void *data, int64_t id)
{
    struct ask *a = (struct ask *)data;

    a->ids[a->n++] = id;
    return DR_OK;
}

static dr_err_t ask_list(struct db_reader *r, void *ctx)
{
    struct ask *a = (struct ask *)ctx;

    a->n = 0;
    return db_device_list(r, &a->q, take_row, a, &a->info);
}

static dr_err_t ask_ids(struct db_reader *r, void *ctx)
{
    struct ask *a = (struct ask *)ctx;

    a->n = 0;
    return db_device_ids(r, &a->q, take_id, a, &a->info);
}

static dr_err_t ask_count(struct db_reader *r, void *ctx)
{
    struct ask *a = (struct ask *)ctx;

    return db_device_count(r, &a->q, &a->count, &a->info);
}

static struct ask a;

static void compare_walk(bool desc, uint32_t limit)
{
    int64_t want[DEVICES_N];
    int n = 0, at = 0;

    for (int i = 0; i < DEVICES_N; i++) {
        const struct model *m = &fleet[desc ? DEVICES_N - 1 - i : i];
        if (holds(m, &a.q)) {
            want[n++] = m->id;
        }
    }
    a.q.order = desc ? DB_DESC : DB_ASC;
    a.q.limit = limit;
    a.q.after = 0;
    do {
        OK(dbt_read(ask_list, &a));
        ck_assert_int_le(a.n, (int)limit);
        for (int i = 0; i < a.n; i++) {
            ck_assert_int_lt(at, n);
            ck_assert_int_eq(a.ids[i], want[at++]);
        }
        if (a.n != 0) {
            a.q.after = a.ids[a.n - 1];
        }
    } while (a.n == (int)limit);
    ck_assert_int_eq(at, n);
    a.q.after = 0;
    OK(dbt_read(ask_count, &a));
    ck_assert_int_eq(a.count, n);
    a.q.limit = DEVICES_N;
    OK(dbt_read(ask_ids, &a));
    ck_assert_int_eq(a.n, n);
}

static void setup(void)
{
    dbt_setup();
    seed = 12345;
    for (int i = 0; i < DEVICES_N; i++) {
        invent(&fleet[i], i);
    }
    OK(dbt_write(insert_fleet, NULL));
}

START_TEST(lists_without_conditions_are_walked_in_pages)
{
    a.q = (struct db_query){.account = DBT_ACCOUNT};
    compare_walk(false, 50);
    compare_walk(true, 7);
    compare_walk(false, 1000);
    a.q.account = DBT_OTHER;
    compare_walk(true, 2);
    a.q.account = 4711;
    compare_walk(false, 10);
}
END_TEST

START_TEST(random_conditions_agree_with_the_model)
{
    static char texts[3][4][64];
    const char *values[3][4];
    struct db_cond conds[3];

    seed = 1000 + (uint64_t)_i;
    for (int round = 0; round < 120; round++) {
        size_t n = 1 + roll(3);
        for (size_t i = 0; i < n; i++) {
            const char *field = fields[roll(DR_ARRAY_LEN(fields))];
            bool text_field = !is_number(field) && strcmp(field, "id") != 0 &&
                              strcmp(field, "account_id") != 0 && strcmp(field, "state") != 0 &&
                              strcmp(field, "lifecycle_status") != 0 &&
                              strcmp(field, "operator_suspended") != 0;
            enum db_op op = (enum db_op)roll(text_field ? 7 : is_number(field) ? 6 : 4);
            size_t nv = op == DB_OP_IN || op == DB_OP_NIN ? roll(5) : 1;
            for (size_t v = 0; v < nv; v++) {
                int64_t num;
                value_of(&fleet[roll(DEVICES_N)], field, texts[i][v], &num);
                if (op == DB_OP_LIKE && strlen(texts[i][v]) > 3) {
                    texts[i][v][3] = '\0';
                }
                values[i][v] = texts[i][v];
            }
            conds[i] = (struct db_cond){field, op, values[i], nv};
        }
        a.q = (struct db_query){.account = DBT_ACCOUNT, .conds = conds, .n_conds = n};
        compare_walk(roll(2) == 0, 1 + roll(100));
    }
}
END_TEST

static const struct {
    const char *why, *field, *value;
    enum db_op op;
    dr_err_t err;
} single[] = {
    {"unknown field", "colour", "red", DB_OP_EQ, DR_ERR_INVAL},
    {"SQL is only a name", "id = id OR 1", "1", DB_OP_EQ, DR_ERR_INVAL},
    {"SQL is only a value", "name", "' OR 1=1 --", DB_OP_EQ, DR_OK},
    {"a column that is no field", "account", "1", DB_OP_EQ, DR_ERR_INVAL},
    {"a map as a whole", "custom_attributes", "x", DB_OP_EQ, DR_ERR_INVAL},
    {"a map without a name", "custom_attributes__", "x", DB_OP_EQ, DR_ERR_INVAL},
    {"a quote in the name", "custom_attributes__a\"b", "x", DB_OP_EQ, DR_ERR_INVAL},
    {"a name with a dot", "custom_attributes__a.b", "x", DB_OP_EQ, DR_OK},
    {"no such state", "state", "asleep", DB_OP_EQ, DR_ERR_INVAL},
    {"no id", "id", "xyz", DB_OP_EQ, DR_ERR_INVAL},
    {"no time", "created_at", "yesterday", DB_OP_GTE, DR_ERR_INVAL},
    {"a date", "created_at", "2020-01-01", DB_OP_GTE, DR_OK},
    {"compact time", "created_at", "20161130T162512Z", DB_OP_GTE, DR_OK},
    {"far future", "created_at", "9999-12-31T23:59:59Z", DB_OP_LTE, DR_OK},
    {"far past", "created_at", "1201-01-01T00:00:00Z", DB_OP_GTE, DR_OK},
    {"no number", "device_execution_mode", "many", DB_OP_EQ, DR_ERR_INVAL},
    {"a negative number", "device_execution_mode", "-1", DB_OP_NEQ, DR_OK},
    {"no truth", "auto_update", "maybe", DB_OP_EQ, DR_ERR_INVAL},
    {"like on a time", "updated_at", "2020", DB_OP_LIKE, DR_ERR_INVAL},
    {"like on a text", "description", "x", DB_OP_LIKE, DR_OK},
    {"operator out of range", "name", "x", (enum db_op)99, DR_ERR_INVAL},
    {"dashes and case of a UUID", "device_class", "00000001-0000-0000-0000-000000000000", DB_OP_EQ,
     DR_OK},
};

START_TEST(conditions_are_checked)
{
    const char *const values[] = {single[_i].value};
    struct db_cond c = {single[_i].field, single[_i].op, values, 1};

    a.q = (struct db_query){.account = DBT_ACCOUNT, .conds = &c, .n_conds = 1, .limit = 10};
    ck_assert_msg(dbt_read(ask_list, &a) == single[_i].err, "%s", single[_i].why);
    ck_assert_msg(dbt_read(ask_count, &a) == single[_i].err, "%s", single[_i].why);
    ck_assert_int_eq(db_conds_check(DB_LIST_DEVICE, &c, 1, &a.info), single[_i].err);
    if (single[_i].err != DR_OK) {
        ck_assert_str_eq(a.info.field, single[_i].field);
    }
}
END_TEST

START_TEST(a_uuid_is_found_in_any_form)
{
    const char *const values[] = {"00000001-0000-0000-0000-000000000000"};
    struct db_cond c = {"device_class", DB_OP_EQ, values, 1};
    int n = 0;

    a.q = (struct db_query){.account = DBT_ACCOUNT, .conds = &c, .n_conds = 1};
    for (int i = 0; i < DEVICES_N; i++) {
        n += fleet[i].account == DBT_ACCOUNT && fleet[i].klass[7] == '1';
    }
    OK(dbt_read(ask_count, &a));
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(a.count, n);
}
END_TEST

START_TEST(conditions_have_limits)
{
    static const char *values[DB_COND_VALUES_MAX + 1];
    struct db_cond c[DB_CONDS_MAX + 1];

    for (size_t i = 0; i < DR_ARRAY_LEN(values); i++) {
        values[i] = "v";
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(c); i++) {
        c[i] = (struct db_cond){"vendor_id", DB_OP_NEQ, values, 1};
    }
    a.q = (struct db_query){.account = DBT_ACCOUNT, .conds = c, .limit = 1001};
    a.q.n_conds = DB_CONDS_MAX;
    OK(dbt_read(ask_list, &a));
    a.q.n_conds = DB_CONDS_MAX + 1;
    ck_assert_int_eq(dbt_read(ask_list, &a), DR_ERR_LIMIT);
    a.q.n_conds = 1;
    c[0].op = DB_OP_NIN;
    c[0].n_values = DB_COND_VALUES_MAX;
    OK(dbt_read(ask_list, &a));
    c[0].n_values++;
    ck_assert_int_eq(dbt_read(ask_list, &a), DR_ERR_LIMIT);
    /* each within its limit, too many together */
    for (size_t i = 0; i < DR_ARRAY_LEN(c); i++) {
        c[i] = (struct db_cond){"vendor_id", DB_OP_NIN, values, DB_COND_VALUES_MAX};
    }
    a.q.n_conds = 4;
    OK(dbt_read(ask_list, &a));
    OK(dbt_read(ask_count, &a));
    a.q.n_conds = 5;
    ck_assert_int_eq(dbt_read(ask_list, &a), DR_ERR_LIMIT);
    a.q.n_conds = 0;
    a.q.limit = 1002;
    ck_assert_int_eq(dbt_read(ask_list, &a), DR_ERR_RANGE);
    a.q.limit = 0;
    ck_assert_int_eq(dbt_read(ask_list, &a), DR_ERR_RANGE);
}
END_TEST

static dr_err_t stop_at_third(void *data, const struct db_device *row)
{
    int *n = (int *)data;

    (void)row;
    return ++*n == 3 ? DR_ERR_CANCELED : DR_OK;
}

static dr_err_t ask_stop(struct db_reader *r, void *ctx)
{
    struct db_query q = {.account = DBT_ACCOUNT, .limit = 10};

    return db_device_list(r, &q, stop_at_third, ctx, NULL);
}

START_TEST(a_row_callback_may_end_the_list)
{
    int n = 0;

    ck_assert_int_eq(dbt_read(ask_stop, &n), DR_ERR_CANCELED);
    ck_assert_int_eq(n, 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db/filter");
    TCase *tc = tcase_create("filter");

    tcase_add_checked_fixture(tc, setup, dbt_teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, lists_without_conditions_are_walked_in_pages);
    tcase_add_loop_test(tc, random_conditions_agree_with_the_model, 0, 5);
    tcase_add_loop_test(tc, conditions_are_checked, 0, DR_ARRAY_LEN(single));
    tcase_add_test(tc, a_uuid_is_found_in_any_form);
    tcase_add_test(tc, conditions_have_limits);
    tcase_add_test(tc, a_row_callback_may_end_the_list);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
