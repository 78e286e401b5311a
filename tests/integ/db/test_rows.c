/* SPDX-License-Identifier: Apache-2.0 */
/* Every aggregate: what is put comes back, other accounts do not see it, conflicts are told. */
#include "tests/integ/db/dbt.h"

/* Tests are written inside one job: W runs a block with the writer, reading its own changes. */
struct block {
    void (*fn)(struct db_writer *w, struct db_reader *r);
};

static dr_err_t block_run(struct db_writer *w, void *ctx)
{
    const struct block *b = (const struct block *)ctx;

    b->fn(w, db_writer_reader(w));
    return DR_OK;
}

static void in_writer(void (*fn)(struct db_writer *w, struct db_reader *r))
{
    struct block b = {fn};

    ck_assert_int_eq(dbt_write(block_run, &b), DR_OK);
}

#define OK(e)        ck_assert_int_eq((e), DR_OK)
#define FAILS(e, er) ck_assert_int_eq((e), (er))

/** What row callbacks have seen. */
static struct {
    int n;
    char text[64][64];
    int64_t ids[64];
} seen;

static void see(int64_t id, const char *text)
{
    ck_assert_int_lt(seen.n, 64);
    seen.ids[seen.n] = id;
    snprintf(seen.text[seen.n++], 64, "%s", text);
}

/* ---- accounts ---- */

static dr_err_t see_account(void *data, const struct db_account *row)
{
    see(row->id, row->display_name);
    if (data != NULL) {
        ck_assert_str_eq(row->fields, (const char *)data);
        ck_assert_str_eq(row->tier, "1");
        ck_assert_int_eq(row->created_at, 3);
        ck_assert_int_eq(row->updated_at, 9);
    }
    return DR_OK;
}

static void accounts(struct db_writer *w, struct db_reader *r)
{
    struct db_account a = {.id = 3LL << 20 | 5,
                           .display_name = "three",
                           .status = "ACTIVE",
                           .tier = "1",
                           .end_market = "",
                           .fields = "{\"city\":\"Turku\"}",
                           .updated_at = 9};

    OK(db_account_insert(w, &a));
    FAILS(db_account_insert(w, &a), DR_ERR_EXISTS);
    OK(db_account_get(r, a.id, see_account, "{\"city\":\"Turku\"}"));
    a.display_name = "drei";
    a.fields = NULL;
    OK(db_account_update(w, &a));
    OK(db_account_get(r, a.id, see_account, "{}"));
    ck_assert_str_eq(seen.text[1], "drei");
    a.id++;
    FAILS(db_account_update(w, &a), DR_ERR_NOT_FOUND);
    FAILS(db_account_get(r, a.id, see_account, NULL), DR_ERR_NOT_FOUND);
    seen.n = 0;
    OK(db_account_list(r, DBT_ACCOUNT, 10, see_account, NULL));
    ck_assert_int_eq(seen.n, 2);
    ck_assert_int_eq(seen.ids[0], DBT_OTHER);
}

START_TEST(accounts_come_back)
{
    in_writer(accounts);
}
END_TEST

/* ---- API keys ---- */

static dr_err_t see_key(void *data, const struct db_apikey *row)
{
    see(row->id, row->name);
    if (data != NULL) {
        *(struct db_apikey *)data = *row;
    }
    return DR_OK;
}

static void apikeys(struct db_writer *w, struct db_reader *r)
{
    struct db_apikey k = {.id = 70LL << 20,
                          .account = DBT_ACCOUNT,
                          .owner = 9LL << 20,
                          .name = "first",
                          .role = DB_ROLE_READONLY,
                          .active = true,
                          .secret_hash = {1, 2, 3},
                          .updated_at = 70},
                     got;
    static const char *const inactive[] = {"INACTIVE"}, *const bad[] = {"SLEEPY"};
    struct db_cond cond = {"status", DB_OP_EQ, inactive, 1};
    struct db_query q = {.account = DBT_ACCOUNT, .limit = 10};
    struct dr_errinfo info;
    int64_t n;

    OK(db_apikey_insert(w, &k));
    FAILS(db_apikey_insert(w, &k), DR_ERR_EXISTS);
    k.id++;
    k.account = 12345;
    FAILS(db_apikey_insert(w, &k), DR_ERR_NOT_FOUND);
    k.account = DBT_ACCOUNT;
    k.name = "second";
    k.active = false;
    OK(db_apikey_insert(w, &k));
    OK(db_apikey_find(r, 70LL << 20, see_key, &got));
    ck_assert_int_eq(got.account, DBT_ACCOUNT);
    ck_assert_int_eq(got.role, DB_ROLE_READONLY);
    ck_assert(got.active);
    ck_assert_int_eq(got.secret_hash[2], 3);
    ck_assert_int_eq(got.created_at, 70);
    FAILS(db_apikey_get(r, DBT_OTHER, k.id, see_key, NULL), DR_ERR_NOT_FOUND);
    FAILS(db_apikey_find(r, 1, see_key, NULL), DR_ERR_NOT_FOUND);

    seen.n = 0;
    OK(db_apikey_list(r, &q, see_key, NULL, &info));
    ck_assert_int_eq(seen.n, 2);
    ck_assert_str_eq(seen.text[0], "first");
    q.conds = &cond;
    q.n_conds = 1;
    seen.n = 0;
    OK(db_apikey_list(r, &q, see_key, NULL, &info));
    ck_assert_int_eq(seen.n, 1);
    ck_assert_str_eq(seen.text[0], "second");
    OK(db_apikey_count(r, &q, &n, &info));
    ck_assert_int_eq(n, 1);
    cond.values = bad;
    FAILS(db_apikey_list(r, &q, see_key, NULL, &info), DR_ERR_INVAL);
    ck_assert_str_eq(info.field, "status");

    k.name = "renamed";
    k.active = true;
    k.groups = "[\"g\"]";
    OK(db_apikey_update(w, &k));
    uint8_t hash[DB_SECRET_HASH_LEN] = {9};
    OK(db_apikey_secret_set(w, DBT_ACCOUNT, k.id, hash, 99));
    FAILS(db_apikey_secret_set(w, DBT_OTHER, k.id, hash, 99), DR_ERR_NOT_FOUND);
    OK(db_apikey_login(w, DBT_ACCOUNT, k.id, 100));
    OK(db_apikey_get(r, DBT_ACCOUNT, k.id, see_key, &got));
    ck_assert_int_eq(got.secret_hash[0], 9);
    ck_assert_int_eq(got.updated_at, 99);
    ck_assert_int_eq(got.last_login_at, 100);
    FAILS(db_apikey_delete(w, DBT_OTHER, k.id), DR_ERR_NOT_FOUND);
    OK(db_apikey_delete(w, DBT_ACCOUNT, k.id));
    FAILS(db_apikey_delete(w, DBT_ACCOUNT, k.id), DR_ERR_NOT_FOUND);
    k.account = DBT_OTHER;
    FAILS(db_apikey_update(w, &k), DR_ERR_NOT_FOUND);
}

START_TEST(api_keys_come_back)
{
    in_writer(apikeys);
}
END_TEST

/* ---- settings ---- */

static dr_err_t see_setting(void *data, const char *name, const char *value)
{
    (void)data;
    see(0, name);
    see(0, value);
    return DR_OK;
}

static void settings(struct db_writer *w, struct db_reader *r)
{
    OK(db_setting_put(w, DBT_ACCOUNT, "limit.a", "1"));
    OK(db_setting_put(w, DBT_ACCOUNT, "limit.b", "2"));
    OK(db_setting_put(w, DBT_ACCOUNT, "lima", "3"));
    OK(db_setting_put(w, 0, "limit.c", "4"));
    FAILS(db_setting_add(w, DBT_ACCOUNT, "limit.a", "9"), DR_ERR_EXISTS);
    OK(db_setting_list(r, DBT_ACCOUNT, "limit.", see_setting, NULL));
    ck_assert_int_eq(seen.n, 4);
    ck_assert_str_eq(seen.text[0], "limit.a");
    ck_assert_str_eq(seen.text[1], "1");
    ck_assert_str_eq(seen.text[2], "limit.b");
    OK(db_setting_put(w, DBT_ACCOUNT, "limit.a", NULL));
    FAILS(db_setting_get(r, DBT_ACCOUNT, "limit.a", see_setting, NULL), DR_ERR_NOT_FOUND);
    OK(db_setting_get(r, 0, "limit.c", see_setting, NULL));
}

START_TEST(settings_come_back)
{
    in_writer(settings);
}
END_TEST

/* ---- keys ---- */

static dr_err_t see_psk(void *data, const struct db_psk *row)
{
    see(row->id, row->endpoint_name);
    if (data != NULL) {
        struct db_psk *got = (struct db_psk *)data;
        static uint8_t key[DB_PSK_KEY_MAX];
        *got = *row;
        memcpy(key, row->key.len != 0 ? row->key.p : key, row->key.len);
        got->key.p = key;
    }
    return DR_OK;
}

static void psks(struct db_writer *w, struct db_reader *r)
{
    struct db_psk p = {.id = 1,
                       .account = DBT_ACCOUNT,
                       .identity = dr_bytes_str("id-1"),
                       .endpoint_name = "ep-1",
                       .key = dr_bytes_str("0123456789abcdef"),
                       .created_at = 5},
                  got;

    OK(db_psk_insert(w, &p));
    p.id = 2;
    FAILS(db_psk_insert(w, &p), DR_ERR_EXISTS); /* same identity */
    p.identity = dr_bytes_str("id-2");
    FAILS(db_psk_insert(w, &p), DR_ERR_EXISTS); /* same endpoint */
    p.account = DBT_OTHER;
    OK(db_psk_insert(w, &p)); /* of another account: fine */
    p.id = 3;
    p.identity = dr_bytes_str("id-1");
    p.endpoint_name = "ep-3";
    FAILS(db_psk_insert(w, &p), DR_ERR_EXISTS); /* an identity is the installation's */
    p.account = DBT_ACCOUNT;
    p.identity = dr_bytes_of("a\0b", 3);
    p.use = DB_PSK_BOOTSTRAPPED;
    p.endpoint_name = "ep-1";
    OK(db_psk_insert(w, &p)); /* same endpoint, other use */
    p.key = (struct dr_bytes){0};
    p.id = 4;
    FAILS(db_psk_insert(w, &p), DR_ERR_RANGE);

    OK(db_psk_find(r, dr_bytes_of("a\0b", 3), see_psk, &got));
    ck_assert_int_eq(got.account, DBT_ACCOUNT);
    ck_assert_int_eq(got.use, DB_PSK_BOOTSTRAPPED);
    FAILS(db_psk_find(r, dr_bytes_str("a"), see_psk, NULL), DR_ERR_NOT_FOUND);
    OK(db_psk_get(r, DBT_ACCOUNT, "ep-1", DB_PSK_OPERATOR, see_psk, &got));
    ck_assert_int_eq(got.version, 1);
    ck_assert_uint_eq(got.key.len, 16);
    OK(db_psk_rekey(w, DBT_ACCOUNT, "ep-1", DB_PSK_OPERATOR, dr_bytes_str("new")));
    FAILS(db_psk_rekey(w, DBT_ACCOUNT, "ep-9", DB_PSK_OPERATOR, dr_bytes_str("new")),
          DR_ERR_NOT_FOUND);
    OK(db_psk_find(r, dr_bytes_str("id-1"), see_psk, &got));
    ck_assert_int_eq(got.version, 2);
    ck_assert_mem_eq(got.key.p, "new", 3);

    FAILS(db_psk_delete(w, DBT_OTHER, "ep-1x", DB_PSK_OPERATOR, NULL, NULL), DR_ERR_NOT_FOUND);
    OK(db_psk_delete(w, DBT_ACCOUNT, "ep-1", DB_PSK_OPERATOR, see_psk, NULL));
    FAILS(db_psk_find(r, dr_bytes_str("id-1"), see_psk, NULL), DR_ERR_NOT_FOUND);
}

static void many_psks(struct db_writer *w, struct db_reader *r)
{
    char name[32];

    for (int i = 1; i <= 25; i++) {
        snprintf(name, sizeof(name), "ep-%d", i);
        struct db_psk p = {.id = i * 10,
                           .account = i % 5 == 0 ? DBT_OTHER : DBT_ACCOUNT,
                           .identity = dr_bytes_str(name),
                           .endpoint_name = name,
                           .key = dr_bytes_str("k")};
        OK(db_psk_insert(w, &p));
    }
    int64_t after = 0;
    int total = 0;
    for (;;) {
        seen.n = 0;
        OK(db_psk_list(r, DBT_ACCOUNT, after, 7, see_psk, NULL));
        if (seen.n == 0) {
            break;
        }
        ck_assert_int_gt(seen.ids[0], after);
        after = seen.ids[seen.n - 1];
        total += seen.n;
    }
    ck_assert_int_eq(total, 20);
}

START_TEST(keys_come_back)
{
    in_writer(psks);
}
END_TEST

START_TEST(keys_are_listed_in_pages)
{
    in_writer(many_psks);
}
END_TEST

/* ---- devices ---- */

static struct db_device got_device;
static char got_strings[4096];
static size_t got_used;

static const char *keep(const char *s)
{
    size_t n = strlen(s) + 1;

    ck_assert_uint_le(got_used + n, sizeof(got_strings));
    memcpy(got_strings + got_used, s, n);
    got_used += n;
    return got_strings + got_used - n;
}

#define KEEP_TEXT(v)  keep(v)
#define KEEP_UUID(v)  keep(v)
#define KEEP_JSON(v)  keep(v)
#define KEEP_INT(v)   v
#define KEEP_BOOL(v)  v
#define KEEP_TIME(v)  v
#define KEEP_STATE(v) v

static dr_err_t see_device(void *data, const struct db_device *row)
{
    (void)data;
    got_used = 0;
    got_device = *row;
#define KEEP(symbol, type, member, kind) got_device.member = KEEP_##kind(row->member);
    DB_DEVICE_FIELDS(KEEP)
    got_device.endpoint_name = keep(row->endpoint_name);
    return DR_OK;
}

#define FILL_TEXT(member, i)  #member
#define FILL_UUID(member, i)  "AAAAAAAA-bbbb-CCCC-dddd-000000000001"
#define FILL_JSON(member, i)  "{\"a\":\"b\"}"
#define FILL_INT(member, i)   ((i) + 100)
#define FILL_BOOL(member, i)  true
#define FILL_TIME(member, i)  ((i) + 1000)
#define FILL_STATE(member, i) DB_DEVICE_BOOTSTRAPPED
#define SAME_TEXT(member, i)  ck_assert_str_eq(got_device.member, #member)
#define SAME_UUID(member, i)  ck_assert_str_eq(got_device.member, "aaaaaaaabbbbccccdddd000000000001")
#define SAME_JSON(member, i)  ck_assert_str_eq(got_device.member, "{\"a\":\"b\"}")
#define SAME_INT(member, i)   ck_assert_int_eq(got_device.member, (i) + 100)
#define SAME_BOOL(member, i)  ck_assert(got_device.member)
#define SAME_TIME(member, i)  ck_assert_int_eq(got_device.member, (i) + 1000)
#define SAME_STATE(member, i) ck_assert_int_eq(got_device.member, DB_DEVICE_BOOTSTRAPPED)

static void full_device(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 50LL << 20,
                          .account = DBT_ACCOUNT,
                          .endpoint_name = "ep",
                          .updated_at = 60,
#define FILL(symbol, type, member, kind) .member = FILL_##kind(member, DB_DEVICE_F_##symbol),
                          DB_DEVICE_FIELDS(FILL)};
#define SAME(symbol, type, member, kind) SAME_##kind(member, DB_DEVICE_F_##symbol);

    OK(db_device_insert(w, &d, NULL));
    OK(db_device_get(r, DBT_ACCOUNT, d.id, see_device, NULL));
    DB_DEVICE_FIELDS(SAME)
    ck_assert_int_eq(got_device.created_at, 50);
    ck_assert_int_eq(got_device.updated_at, 60);
    ck_assert_str_eq(got_device.endpoint_name, "ep");

    /* the same through an update of everything */
    struct db_device plain = {.id = 51LL << 20, .account = DBT_ACCOUNT, .endpoint_name = "ep2"};
    OK(db_device_insert(w, &plain, NULL));
    d.id = plain.id;
    OK(db_device_update(w, &d, (1ULL << DB_DEVICE_F_COUNT) - 1, NULL));
    OK(db_device_find(r, DBT_ACCOUNT, "ep2", see_device, NULL));
    DB_DEVICE_FIELDS(SAME)
}

START_TEST(every_field_of_a_device_comes_back)
{
    in_writer(full_device);
}
END_TEST

static dr_err_t see_event(void *data, const struct db_event *row)
{
    (void)data;
    see(row->id, row->event_type);
    return DR_OK;
}

struct counted {
    const char *field, *value;
    int64_t n;
};

static dr_err_t count_run(struct db_reader *r, void *ctx)
{
    struct counted *ct = (struct counted *)ctx;
    const char *const values[] = {ct->value};
    struct db_cond c = {ct->field, DB_OP_EQ, values, 1};
    struct db_query q = {.account = DBT_ACCOUNT, .conds = &c, .n_conds = ct->field != NULL};

    return db_device_count(r, &q, &ct->n, NULL);
}

static int64_t count(const char *field, const char *value)
{
    struct counted ct = {field, value, -1};

    OK(dbt_read(count_run, &ct));
    return ct.n;
}

static void device_made(struct db_writer *w, struct db_reader *r)
{
    (void)r;
    struct db_device d = {.id = 50LL << 20,
                          .account = DBT_ACCOUNT,
                          .endpoint_name = "ep",
                          .vendor_id = "v1",
                          .name = "before"};
    struct db_event ev = {
        .id = 50LL << 20 | 1, .account = DBT_ACCOUNT, .device = d.id, .event_type = "created"};

    OK(db_device_insert(w, &d, &ev));
    FAILS(db_device_insert(w, &d, NULL), DR_ERR_EXISTS);
    d.id++;
    FAILS(db_device_insert(w, &d, NULL), DR_ERR_EXISTS); /* endpoint name */
    d.account = DBT_OTHER;
    OK(db_device_insert(w, &d, NULL));
    d.account = 4711;
    d.id++;
    FAILS(db_device_insert(w, &d, NULL), DR_ERR_NOT_FOUND);
}

static void device_changed(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 50LL << 20,
                          .account = DBT_ACCOUNT,
                          .name = "after",
                          .vendor_id = "v2",
                          .description = "not in the mask",
                          .state = DB_DEVICE_REGISTERED,
                          .updated_at = 77};
    struct db_event ev = {
        .id = 50LL << 20 | 2, .account = DBT_ACCOUNT, .device = d.id, .event_type = "updated"};
    OK(db_device_update(
        w, &d, DB_DEVICE_BIT(NAME) | DB_DEVICE_BIT(VENDOR_ID) | DB_DEVICE_BIT(STATE), &ev));
    OK(db_device_get(r, DBT_ACCOUNT, d.id, see_device, NULL));
    ck_assert_str_eq(got_device.name, "after");
    ck_assert_str_eq(got_device.description, "");
    ck_assert_int_eq(got_device.updated_at, 77);
    OK(db_event_get(r, DBT_ACCOUNT, ev.id, see_event, NULL));
}

static void device_deleted(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 50LL << 20, .account = DBT_OTHER};
    int64_t none = 0;

    FAILS(db_device_update(w, &d, DB_DEVICE_BIT(NAME), NULL), DR_ERR_NOT_FOUND);
    FAILS(db_device_get(r, DBT_OTHER, d.id, see_device, NULL), DR_ERR_NOT_FOUND);
    FAILS(db_device_delete(w, DBT_OTHER, d.id), DR_ERR_NOT_FOUND);
    FAILS(db_generation_bump(w, DBT_OTHER, d.id, &none), DR_ERR_NOT_FOUND);
    OK(db_device_delete(w, DBT_ACCOUNT, d.id));
    FAILS(db_device_get(r, DBT_ACCOUNT, d.id, see_device, NULL), DR_ERR_NOT_FOUND);
    OK(db_event_get(r, DBT_ACCOUNT, 50LL << 20 | 2, see_event, NULL)); /* the log stays */
}

START_TEST(a_device_is_changed_counted_and_deleted)
{
    in_writer(device_made);
    ck_assert_int_eq(count("vendor_id", "v1"), 1);
    ck_assert_int_eq(count("state", "unenrolled"), 1);
    in_writer(device_changed);
    ck_assert_int_eq(count("vendor_id", "v1"), 0);
    ck_assert_int_eq(count("vendor_id", "v2"), 1);
    ck_assert_int_eq(count("state", "registered"), 1);
    ck_assert_int_eq(count("state", "unenrolled"), 0);
    in_writer(device_deleted);
    ck_assert_int_eq(count(NULL, NULL), 0);
    ck_assert_int_eq(count("state", "registered"), 0);
    ck_assert_int_eq(count("vendor_id", "v2"), 0);
}
END_TEST

static char long_name[DB_TEXT_MAX + 2], long_type[256];

static void long_texts(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 1, .account = DBT_ACCOUNT, .endpoint_name = "ep"};

    (void)r;
    memset(long_name, 'x', DB_TEXT_MAX + 1);
    d.name = long_name;
    FAILS(db_device_insert(w, &d, NULL), DR_ERR_RANGE);
    long_name[DB_TEXT_MAX] = '\0';
    OK(db_device_insert(w, &d, NULL));
}

static void set_type(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 1, .account = DBT_ACCOUNT, .endpoint_type = long_type};

    (void)r;
    OK(db_device_update(w, &d, DB_DEVICE_BIT(ENDPOINT_TYPE), NULL));
}

START_TEST(texts_have_a_limit)
{
    in_writer(long_texts);
    /* A type too long for a counter is counted by rows. */
    memset(long_type, 'y', 200);
    in_writer(set_type);
    ck_assert_int_eq(count("endpoint_type", long_type), 1);
    long_type[64] = '\0';
    ck_assert_int_eq(count("endpoint_type", long_type), 0);
    in_writer(set_type);
    ck_assert_int_eq(count("endpoint_type", long_type), 1);
    long_type[65] = '\0';
    long_type[64] = 'y';
    in_writer(set_type);
    ck_assert_int_eq(count("endpoint_type", long_type), 1);
    long_type[64] = '\0';
    ck_assert_int_eq(count("endpoint_type", long_type), 0);
}
END_TEST

/* ---- events ---- */

static void events(struct db_writer *w, struct db_reader *r)
{
    static const char *const dev[] = {"00000000000000000000000000000007"};
    static const char *const late[] = {"1970-01-01T00:00:00.060Z"};
    struct db_cond conds[] = {{"device_id", DB_OP_EQ, dev, 1}, {"date_time", DB_OP_GTE, late, 1}};
    struct db_query q = {.account = DBT_ACCOUNT, .limit = 50, .order = DB_DESC};
    uint32_t gone = 0;
    int64_t n;

    for (int i = 1; i <= 100; i++) {
        struct db_event ev = {.id = (int64_t)i << 20,
                              .account = i % 10 == 0 ? DBT_OTHER : DBT_ACCOUNT,
                              .device = i % 2 == 0 ? 7 : 8,
                              .event_type = "t",
                              .state_change = true};
        OK(db_event_append(w, &ev));
    }
    struct db_event again = {.id = 1LL << 20, .account = DBT_ACCOUNT, .device = 7};
    FAILS(db_event_append(w, &again), DR_ERR_EXISTS);
    OK(db_event_list(r, &q, see_event, NULL, NULL));
    ck_assert_int_eq(seen.n, 50);
    ck_assert_int_eq(seen.ids[0], 99LL << 20);
    q.conds = conds;
    q.n_conds = 1;
    OK(db_event_count(r, &q, &n, NULL));
    ck_assert_int_eq(n, 40);
    q.n_conds = 2;
    seen.n = 0;
    OK(db_event_list(r, &q, see_event, NULL, NULL));
    ck_assert_int_eq(seen.n, 16);
    ck_assert_int_eq(seen.ids[15], 62LL << 20);
    FAILS(db_event_get(r, DBT_OTHER, 1LL << 20, see_event, NULL), DR_ERR_NOT_FOUND);

    /* by age: 1..20 go (2 of them the other account's), in bites */
    OK(db_event_purge(w, 0, 21, INT64_MAX, 15, &gone));
    ck_assert_uint_eq(gone, 15);
    OK(db_event_purge(w, 0, 21, 1000, 15, &gone));
    ck_assert_uint_eq(gone, 5);
    /* by count: 10 newest of each account stay */
    OK(db_event_purge(w, DBT_ACCOUNT, 0, 10, 1000, &gone));
    ck_assert_uint_eq(gone, 62);
    q.n_conds = 0;
    OK(db_event_count(r, &q, &n, NULL));
    ck_assert_int_eq(n, 10);
    q.account = DBT_OTHER;
    OK(db_event_count(r, &q, &n, NULL));
    ck_assert_int_eq(n, 8);
    OK(db_event_purge(w, 0, 0, 0, 1000, &gone));
    ck_assert_uint_eq(gone, 18);
}

START_TEST(events_are_listed_and_purged)
{
    in_writer(events);
}
END_TEST

/* ---- requests ---- */

static struct db_request got_request;
static char got_payload[64], got_result[64];

static dr_err_t see_request(void *data, const struct db_request *row)
{
    (void)data;
    see(row->id, row->async_id);
    got_request = *row;
    snprintf(got_payload, sizeof(got_payload), "%.*s", (int)row->payload.len,
             row->payload.len != 0 ? (const char *)row->payload.p : "");
    snprintf(got_result, sizeof(got_result), "%.*s", (int)row->result.len,
             row->result.len != 0 ? (const char *)row->result.p : "");
    return DR_OK;
}

static void requests(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 1, .account = DBT_ACCOUNT, .endpoint_name = "ep"};
    struct db_request q = {.id = 10,
                           .account = DBT_ACCOUNT,
                           .device = 1,
                           .key = 5,
                           .async_id = "a",
                           .method = 1,
                           .uri = "/3/0/1",
                           .content_type = "text/plain",
                           .accept = "",
                           .payload = dr_bytes_str("hello"),
                           .retry_left = 2,
                           .created_at = 100,
                           .expires_at = 200};
    struct db_answer a = {.id = 10,
                          .status = 200,
                          .result_type = "text/plain",
                          .result = dr_bytes_str("world"),
                          .max_age_s = 3,
                          .done_at = 150};
    uint32_t n = 0;

    OK(db_device_insert(w, &d, NULL));
    OK(db_request_insert(w, &q, 3));
    q.id = 11;
    FAILS(db_request_insert(w, &q, 3), DR_ERR_EXISTS); /* async id pending */
    q.key = 6;
    OK(db_request_insert(w, &q, 3)); /* of another key */
    q.id = 12;
    q.async_id = "b";
    OK(db_request_insert(w, &q, 3));
    q.id = 13;
    q.async_id = "c";
    FAILS(db_request_insert(w, &q, 3), DR_ERR_LIMIT);
    q.account = DBT_OTHER;
    FAILS(db_request_insert(w, &q, 0), DR_ERR_NOT_FOUND);
    q.account = DBT_ACCOUNT;
    q.device = 2;
    FAILS(db_request_insert(w, &q, 0), DR_ERR_NOT_FOUND);

    OK(db_request_get(r, 10, see_request, NULL));
    ck_assert_str_eq(got_payload, "hello");
    ck_assert_int_eq(got_request.method, 1);
    ck_assert_int_eq(got_request.retry_left, 2);
    ck_assert_int_eq(got_request.state, DB_REQUEST_QUEUED);
    OK(db_request_sent(w, 10, 1));
    OK(db_request_get(r, 10, see_request, NULL));
    ck_assert_int_eq(got_request.state, DB_REQUEST_SENT);
    ck_assert_int_eq(got_request.retry_left, 1);
    OK(db_request_requeue(w, 10, 0));
    OK(db_request_done(w, &a));
    FAILS(db_request_done(w, &a), DR_ERR_STALE);
    FAILS(db_request_sent(w, 10, 1), DR_ERR_STALE);
    FAILS(db_request_requeue(w, 99, 1), DR_ERR_STALE);
    OK(db_request_get(r, 10, see_request, NULL));
    ck_assert_str_eq(got_payload, "");
    ck_assert_str_eq(got_result, "world");
    ck_assert_int_eq(got_request.status, 200);
    ck_assert_uint_eq(got_request.max_age_s, 3);
    ck_assert_int_eq(got_request.done_at, 150);

    /* done: the async id and the place in the queue are free again */
    q.id = 14;
    q.device = 1;
    q.key = 5;
    q.async_id = "a";
    OK(db_request_insert(w, &q, 3));
    seen.n = 0;
    OK(db_request_queue(r, 1, see_request, NULL));
    ck_assert_int_eq(seen.n, 3);
    ck_assert_int_eq(seen.ids[0], 11);
    seen.n = 0;
    OK(db_request_list(r, 0, 100, see_request, NULL));
    ck_assert_int_eq(seen.n, 4);

    /* the device goes: what waits is answered and can still be delivered */
    OK(db_device_delete(w, DBT_ACCOUNT, 1));
    a = (struct db_answer){.status = 429, .error = "DEVICE_REMOVED_REGISTRATION", .done_at = 300};
    OK(db_request_fail_device(w, 1, &a, &n));
    ck_assert_uint_eq(n, 3);
    OK(db_request_get(r, 12, see_request, NULL));
    ck_assert_int_eq(got_request.status, 429);
    OK(db_request_delete(w, 12));
    OK(db_request_delete(w, 12));
    OK(db_request_purge(w, 200, 10, &n));
    ck_assert_uint_eq(n, 1);
    FAILS(db_request_get(r, 10, see_request, NULL), DR_ERR_NOT_FOUND);
}

START_TEST(requests_go_through_their_states)
{
    in_writer(requests);
}
END_TEST

/* ---- subscriptions and cache ---- */

static dr_err_t see_subscription(void *data, const struct db_subscription *row)
{
    (void)data;
    see(row->key, row->path);
    return DR_OK;
}

static dr_err_t see_presub(void *data, int64_t account, int64_t key, uint32_t order,
                           const char *json)
{
    (void)data;
    ck_assert(account == DBT_ACCOUNT || account == DBT_OTHER);
    see(key * 100 + order, json);
    return DR_OK;
}

static void subscriptions(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 1, .account = DBT_ACCOUNT, .endpoint_name = "ep"};
    struct db_subscription s = {
        .account = DBT_ACCOUNT, .device = 1, .key = 5, .path = "/3/0/1", .created_at = 4};
    uint32_t n;

    OK(db_device_insert(w, &d, NULL));
    OK(db_subscription_insert(w, &s));
    FAILS(db_subscription_insert(w, &s), DR_ERR_EXISTS);
    s.key = 6;
    OK(db_subscription_insert(w, &s));
    s.path = "/3303/0";
    s.presub = true;
    OK(db_subscription_insert(w, &s));
    s.path = "/4/0";
    OK(db_subscription_insert(w, &s));
    s.account = DBT_OTHER;
    FAILS(db_subscription_insert(w, &s), DR_ERR_NOT_FOUND);
    OK(db_subscription_list(r, DBT_ACCOUNT, 1, see_subscription, NULL));
    ck_assert_int_eq(seen.n, 4);
    ck_assert_str_eq(seen.text[0], "/3/0/1");
    seen.n = 0;
    OK(db_subscription_list(r, DBT_OTHER, 1, see_subscription, NULL));
    ck_assert_int_eq(seen.n, 0);
    OK(db_subscription_delete(w, DBT_OTHER, 1, NULL, 0, &n));
    ck_assert_uint_eq(n, 0);
    OK(db_subscription_delete(w, DBT_ACCOUNT, 1, "/3/0/1", 5, &n));
    ck_assert_uint_eq(n, 1);
    OK(db_subscription_delete_manual(w, 1, &n));
    ck_assert_uint_eq(n, 1);
    OK(db_subscription_delete(w, DBT_ACCOUNT, 1, "/4/0", 0, &n));
    ck_assert_uint_eq(n, 1);
    OK(db_subscription_delete_key(w, DBT_OTHER, 6, &n));
    ck_assert_uint_eq(n, 0);
    OK(db_subscription_delete_key(w, DBT_ACCOUNT, 6, &n));
    ck_assert_uint_eq(n, 1);
    s.account = DBT_ACCOUNT;
    OK(db_subscription_insert(w, &s));
    OK(db_device_delete(w, DBT_ACCOUNT, 1));
    OK(db_device_insert(w, &d, NULL));
    seen.n = 0;
    OK(db_subscription_list(r, DBT_ACCOUNT, 1, see_subscription, NULL));
    ck_assert_int_eq(seen.n, 0);
}

static void presubscriptions(struct db_writer *w, struct db_reader *r)
{
    const char *const three[] = {"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"};

    OK(db_presubscription_replace(w, DBT_ACCOUNT, 5, three, 3));
    OK(db_presubscription_replace(w, DBT_OTHER, 6, three + 2, 1));
    OK(db_presubscription_list(r, 0, 0, see_presub, NULL));
    ck_assert_int_eq(seen.n, 4);
    ck_assert_str_eq(seen.text[1], "{\"b\":2}");
    ck_assert_int_eq(seen.ids[1], 501);
    OK(db_presubscription_replace(w, DBT_ACCOUNT, 5, three + 1, 1));
    seen.n = 0;
    OK(db_presubscription_list(r, DBT_ACCOUNT, 5, see_presub, NULL));
    ck_assert_int_eq(seen.n, 1);
    ck_assert_str_eq(seen.text[0], "{\"b\":2}");
    OK(db_presubscription_replace(w, DBT_ACCOUNT, 5, NULL, 0));
    seen.n = 0;
    OK(db_presubscription_list(r, DBT_ACCOUNT, 0, see_presub, NULL));
    ck_assert_int_eq(seen.n, 0);
}

START_TEST(subscriptions_come_back)
{
    in_writer(subscriptions);
}
END_TEST

START_TEST(presubscriptions_are_replaced_as_a_list)
{
    in_writer(presubscriptions);
}
END_TEST

static dr_err_t see_cache(void *data, const struct db_cache *row)
{
    snprintf((char *)data, 64, "%lld:%.*s", (long long)row->generation, (int)row->blob.len,
             (const char *)row->blob.p);
    return DR_OK;
}

static void caches(struct db_writer *w, struct db_reader *r)
{
    struct db_device d = {.id = 1, .account = DBT_ACCOUNT, .endpoint_name = "ep"};
    char got[64];
    int64_t gen = 0;
    size_t n;

    OK(db_device_insert(w, &d, NULL));
    OK(db_generation_bump(w, DBT_ACCOUNT, 1, &gen));
    ck_assert_int_eq(gen, 1);
    struct db_cache rows[] = {
        {.device = 1, .generation = 1, .blob = dr_bytes_str("one")},
        {.device = 2, .generation = 1, .blob = dr_bytes_str("no such device")},
        {.device = 1, .generation = 7, .blob = dr_bytes_str("not its generation")},
    };
    OK(db_cache_put(w, rows, 3, &n));
    ck_assert_uint_eq(n, 1);
    OK(db_cache_get(r, 1, see_cache, got));
    ck_assert_str_eq(got, "1:one");
    OK(db_generation_bump(w, DBT_ACCOUNT, 1, &gen));
    ck_assert_int_eq(gen, 2);
    OK(db_cache_put(w, rows, 1, &n));
    ck_assert_uint_eq(n, 0);
    rows[0].generation = 2;
    rows[0].blob = dr_bytes_str("two");
    OK(db_cache_put(w, rows, 1, &n));
    OK(db_cache_get(r, 1, see_cache, got));
    ck_assert_str_eq(got, "2:two");
    OK(db_cache_delete(w, 1));
    FAILS(db_cache_get(r, 1, see_cache, got), DR_ERR_NOT_FOUND);
}

START_TEST(the_cache_keeps_only_its_generation)
{
    in_writer(caches);
}
END_TEST

static void clear_seen(void)
{
    memset(&seen, 0, sizeof(seen));
    dbt_setup();
}

int main(void)
{
    Suite *s = suite_create("db/rows");
    TCase *tc = tcase_create("rows");

    tcase_add_checked_fixture(tc, clear_seen, dbt_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, accounts_come_back);
    tcase_add_test(tc, api_keys_come_back);
    tcase_add_test(tc, settings_come_back);
    tcase_add_test(tc, keys_come_back);
    tcase_add_test(tc, keys_are_listed_in_pages);
    tcase_add_test(tc, every_field_of_a_device_comes_back);
    tcase_add_test(tc, a_device_is_changed_counted_and_deleted);
    tcase_add_test(tc, texts_have_a_limit);
    tcase_add_test(tc, events_are_listed_and_purged);
    tcase_add_test(tc, requests_go_through_their_states);
    tcase_add_test(tc, subscriptions_come_back);
    tcase_add_test(tc, presubscriptions_are_replaced_as_a_list);
    tcase_add_test(tc, the_cache_keeps_only_its_generation);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
